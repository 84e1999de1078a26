"""Cross-stitch networks: linear mixtures of the features of the tasks, channel by channel."""

from __future__ import annotations

import pytest
import torch

from benchmark.tasks import NYUV2_TASKS, TaskSet
from mtl_methods.cross_stitch import CrossStitch, CrossStitchUnit
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.single_task import SingleTask

# Not in alphabetical order: weights must be found by name.
TWO_TASKS = TaskSet([NYUV2_TASKS["semseg"], NYUV2_TASKS["depth"]])


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "hrnet_w18_small_v2", "vit_tiny"])
@torch.no_grad()
def test_unit_cross_stitch_is_separate_networks(backbone: str):
    """Weights of one on a task's own features and zero on the others', networks of the single tasks."""
    torch.manual_seed(0)
    single = SingleTask(TWO_TASKS, backbone).eval()
    method = CrossStitch(TWO_TASKS, backbone, alpha=1.0, beta=0.0).eval()
    method.load_single_task(single.state_dict())
    images = torch.randn(1, 3, 64, 96)
    ours, theirs = method(images), single(images)
    for task in TWO_TASKS:
        torch.testing.assert_close(ours.predictions[task], theirs.predictions[task])
    for mine, other in zip(ours.features, theirs.features, strict=True):
        torch.testing.assert_close(mine, other)


@torch.no_grad()
def test_unit_is_the_weighted_sum_written_out():
    """Two tasks, two channels: semseg = 0.7 * [1, 2] + 0.2 * [10, 20], depth = [0.5, 0.25] * [10, 20]."""
    unit = CrossStitchUnit(TWO_TASKS, 2, weights=(0.7, 0.2))
    unit["depth"]["semseg"].fill_(0.0)
    unit["depth"]["depth"].copy_(torch.tensor([0.5, 0.25]))
    semseg, depth = (torch.tensor(values).view(1, 2, 1, 1) for values in ([1.0, 2.0], [10.0, 20.0]))
    mixed = unit([semseg, depth])
    torch.testing.assert_close(mixed[0].flatten(), torch.tensor([2.7, 5.4]))
    torch.testing.assert_close(mixed[1].flatten(), torch.tensor([5.0, 5.0]))
    assert semseg.flatten().tolist() == [1.0, 2.0]


def test_unit_has_the_gradients_of_the_sum():
    """Against finite differences, in double precision."""
    torch.manual_seed(0)
    unit = CrossStitchUnit(TWO_TASKS, 3, weights=(0.9, 0.1)).double()
    maps = [torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True) for _ in TWO_TASKS]
    assert torch.autograd.gradcheck(lambda *inputs: unit(inputs)[0] * unit(inputs)[1], maps)


@pytest.mark.parametrize(
    ("tasks", "beta", "row"),
    [(NYUV2_TASKS, 0.1, 1.2), (NYUV2_TASKS, None, 1.0), (TWO_TASKS, 0.1, 1.0), (TWO_TASKS, None, 1.0)],
)
def test_initial_rows_sum_as_documented(tasks: TaskSet, beta: float | None, row: float):
    """0.9 + 3 * 0.1 = 1.2 with four tasks is the public code's; beta=None normalises."""
    method = CrossStitch(tasks, "efficientnet_lite0", beta=beta)
    for unit in method.modules():
        if isinstance(unit, CrossStitchUnit):
            for target in tasks:
                total = torch.stack(list(unit[target].values())).sum(0)
                torch.testing.assert_close(total, torch.full_like(total, row))
                assert unit[target][target].eq(0.9).all()


def test_each_task_learns_from_the_networks_of_all():
    torch.manual_seed(0)
    method = CrossStitch(TWO_TASKS, "efficientnet_lite0")
    method(torch.randn(2, 3, 64, 64)).predictions["depth"].square().mean().backward()
    other = {name: parameter.grad for name, parameter in method.named_parameters() if ".networks.semseg." in name}
    # Behind the last unit a network is on its own.
    assert {name for name, gradient in other.items() if gradient is not None} == {
        name for name in other if ".semseg.backbone." in name
    }


def test_networks_of_other_tasks_or_heads_are_refused_by_name():
    with torch.device("meta"):
        method = CrossStitch(TWO_TASKS, "resnet18")
        state = SingleTask(TWO_TASKS, "resnet18").state_dict()
        more = SingleTask(NYUV2_TASKS, "resnet18").state_dict()
        other = SingleTask(TWO_TASKS, "resnet18", head="hrnet").state_dict()
    missing = dict(state)
    del missing["networks.depth.backbone.stem.0.weight"]
    with pytest.raises(ValueError, match=r"'networks\.depth\.backbone\.stem\.0\.weight' is not in"):
        method.load_single_task(missing)
    with pytest.raises(ValueError, match=r"'networks\.normals\..*belongs to no network"):
        method.load_single_task(more)
    with pytest.raises(ValueError, match=r"networks\.semseg\.head\."):
        method.load_single_task(other)
    turned = dict(state)
    turned["networks.semseg.head.logits.weight"] = turned["networks.semseg.head.logits.weight"].transpose(0, 1)
    with pytest.raises(ValueError, match=r"logits\.weight' has shape \(64, 40, 1, 1\).*\(40, 64, 1, 1\) here"):
        method.load_single_task(turned)


def test_units_keep_their_weights_when_networks_are_loaded():
    torch.manual_seed(0)
    method = CrossStitch(TWO_TASKS, "efficientnet_lite0", alpha=0.6, beta=0.3)
    method.load_single_task(SingleTask(TWO_TASKS, "efficientnet_lite0").state_dict())
    units = [parameter for name, parameter in method.named_parameters() if ".units." in name]
    assert {round(value, 4) for parameter in units for value in parameter.unique().tolist()} == {0.6, 0.3}


@torch.no_grad()
def test_unit_weights_on_the_heads_are_hard_sharing():
    torch.manual_seed(0)
    method = CrossStitch(TWO_TASKS, "efficientnet_lite0", where="heads", alpha=1.0, beta=0.0).eval()
    sharing = HardSharing(TWO_TASKS, "efficientnet_lite0").eval()
    for part in ("backbone", "decoder", "heads"):
        getattr(method.stitched, part).load_state_dict(getattr(sharing, part).state_dict())
    images = torch.randn(1, 3, 64, 96)
    ours, theirs = method(images).predictions, sharing(images).predictions
    for task in TWO_TASKS:
        torch.testing.assert_close(ours[task], theirs[task])


def test_size_on_the_heads_is_that_of_the_table():
    """Hard sharing's 4,515,556 and 16 weights of 67 channels: the 4.52 M of the row on HRNet-18."""
    with torch.device("meta"):
        method = CrossStitch(NYUV2_TASKS, "hrnet_w18_small_v2", where="heads")
    assert sum(parameter.numel() for parameter in method.parameters()) == 4_515_556 + 16 * 67


def test_unknown_face_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"'encoder', 'heads', found 'encoders'\. Did you mean 'encoder'\?"):
        CrossStitch(TWO_TASKS, "resnet18", where="encoders")
    with pytest.raises(ValueError, match="leave head out"):
        CrossStitch(TWO_TASKS, "resnet18", where="heads", head="deeplab")


def test_single_task_networks_fit_the_encoder_face_only():
    method = CrossStitch(TWO_TASKS, "efficientnet_lite0", where="heads")
    with pytest.raises(ValueError, match="encoder"):
        method.load_single_task({})
