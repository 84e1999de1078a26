"""MTI-Net: exchange between tasks at four scales, and propagation from coarse to fine scales."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.tasks import NYUV2_TASKS
from mtl_methods.mti_net import FeaturePropagation, MTINet, over_adjacent_channels, over_tasks

FINALS = ["semseg", "depth"]


def small(**options: object) -> MTINet:
    """MTI-Net on the smallest backbone, in eval mode."""
    torch.manual_seed(0)
    return MTINet(NYUV2_TASKS, "efficientnet_lite0", width=4, **options).eval()


# Counted from the public code, ../shared/specs/checkpoints.md, runs mtinet_*.
@pytest.mark.parametrize(
    ("backbone", "options", "parameters", "gflops"),
    [
        pytest.param("hrnet_w18_small_v2", {}, 17_960_945, 56.773, marks=pytest.mark.slow),
        ("hrnet_w18_small_v2", {"final_tasks": FINALS}, 14_838_121, 45.758),
        pytest.param("hrnet_w48", {}, 165_402_153, 461.140, marks=pytest.mark.slow),
    ],
    ids=["hrnet18", "shipped", "hrnet48"],
)
def test_parameters_and_operations_are_those_of_the_public_code(
    backbone: str, options: dict, parameters: int, gflops: float
):
    with torch.device("meta"):
        method = MTINet(NYUV2_TASKS, backbone, **options).eval()
    with FlopCounterMode(display=False) as counter:
        method(torch.empty(1, 3, 480, 640, device="meta"))
    assert sum(parameter.numel() for parameter in method.parameters()) == parameters
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflops, rel=5e-3)


def test_the_public_mask_sums_to_one_over_adjacent_channels_and_the_papers_over_tasks():
    """Two tasks of three channels, tasks one after another; the sums are taken channel by channel."""
    scores = torch.randn(2, 6, 4, 5, generator=torch.Generator().manual_seed(0))
    public, paper = over_adjacent_channels(scores, 2), over_tasks(scores, 2)
    one = torch.ones(2, 4, 5)
    for first in (0, 2, 4):
        torch.testing.assert_close(public[:, first] + public[:, first + 1], one)
    for channel in range(3):
        torch.testing.assert_close(paper[:, channel] + paper[:, channel + 3], one)
    assert not torch.allclose(public[:, 0] + public[:, 3], one, atol=0.05)


def test_masks_of_known_scores():
    """Scores 0 and log 3 give 1/4 and 3/4; tasks (c0, c1) and (c0, c1)."""
    scores = torch.tensor([0.0, 3.0, 0.0, 1.0]).clamp(min=1).log().view(1, 4, 1, 1)
    assert over_adjacent_channels(scores, 2).flatten().tolist() == pytest.approx([0.25, 0.75, 0.5, 0.5])
    assert over_tasks(scores, 2).flatten().tolist() == pytest.approx([0.5, 0.75, 0.5, 0.25])


@torch.no_grad()
def test_propagation_adds_what_is_shared_to_the_features_of_each_task():
    """Without anything shared the features stay as they are."""
    torch.manual_seed(0)
    module = FeaturePropagation(["a", "b"], 8, "channels").eval()
    features = {"b": torch.randn(1, 8, 3, 4), "a": torch.randn(1, 8, 3, 4)}
    module.shared = Nothing()
    propagated = module(features)
    assert list(propagated) == ["a", "b"]
    assert all(torch.equal(propagated[name], features[name]) for name in features)


class Nothing(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.zeros_like(maps[:, : maps.shape[1] // 2])


def test_an_initial_prediction_reads_its_own_map_and_the_coarser_ones():
    method = small().train()
    output = method(torch.randn(2, 3, 64, 96))
    assert [part.name for part in output.auxiliary] == [f"scale_{scale}" for scale in range(4) for _ in NYUV2_TASKS]
    for part in output.auxiliary:
        energy = part.prediction.square().sum()
        found = torch.autograd.grad(energy, output.features, retain_graph=True, allow_unused=True)
        read = [scale for scale, gradient in enumerate(found) if gradient is not None and gradient.any()]
        assert read == list(range(int(part.name[-1]), 4)), part.name


def test_at_the_coarsest_scale_a_task_is_alone_and_finer_ones_and_the_final_prediction_see_all():
    method = small().train()
    output = method(torch.randn(2, 3, 64, 96))
    for part in output.auxiliary:
        expected = {part.task} if part.name == "scale_3" else set(NYUV2_TASKS)
        assert tasks_behind(method, part.prediction, scale=3) == expected
    for prediction in output.predictions.values():
        for scale in range(4):
            assert tasks_behind(method, prediction, scale) == set(NYUV2_TASKS)


def tasks_behind(method: MTINet, prediction: Tensor, scale: int) -> set[str]:
    """Tasks whose features at a scale a prediction was computed from."""
    blocks = method.predictors[scale].refinement
    firsts = {name: next(branch.parameters()) for name, branch in blocks.items()}
    found = torch.autograd.grad(prediction.square().sum(), list(firsts.values()), retain_graph=True, allow_unused=True)
    return {name for name, gradient in zip(firsts, found, strict=True) if gradient is not None and gradient.any()}


@torch.no_grad()
def test_a_size_that_is_no_multiple_of_32_is_padded_and_cropped():
    """Zeros to the right and below; what comes out lies over the image, the auxiliary predictions too."""
    method = small()
    images = torch.randn(1, 3, 75, 101)
    ours, padded = method(images), method(F.pad(images, (0, 27, 0, 21)))
    for name, prediction in ours.predictions.items():
        assert torch.equal(prediction, padded.predictions[name][..., :75, :101])
    for part, whole in zip(ours.auxiliary, padded.auxiliary, strict=True):
        over = F.interpolate(whole.prediction, size=(96, 128), mode="bilinear")[..., :75, :101]
        torch.testing.assert_close(part.prediction, over)
    assert [tuple(level.shape[-2:]) for level in ours.features] == [(19, 26), (10, 13), (5, 7), (3, 4)]


@torch.no_grad()
def test_auxiliary_predictions_stay_at_their_stride_where_nothing_is_padded():
    output = small()(torch.randn(1, 3, 64, 96))
    assert {part.name: tuple(part.prediction.shape[-2:]) for part in output.auxiliary} == {
        "scale_0": (16, 24),
        "scale_1": (8, 12),
        "scale_2": (4, 6),
        "scale_3": (2, 3),
    }


@torch.no_grad()
def test_every_prediction_is_supervised_once():
    """As in the public code: all tasks at four scales, and the final tasks once more."""
    output = small(final_tasks=FINALS)(torch.randn(1, 3, 64, 96))
    assert list(output.predictions) == list(NYUV2_TASKS)
    supervised = [(part.name, part.task) for part in output.auxiliary]
    assert supervised == [("scale_0", task) for task in FINALS] + [
        (f"scale_{scale}", task) for scale in (1, 2, 3) for task in NYUV2_TASKS
    ]
    assert {part.weight for part in output.auxiliary} == {1.0}


def test_the_laterals_double_their_width_as_hrnet_does():
    assert [spec.channels for spec in small().feature_specs] == [4, 8, 16, 32]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [({"softmax": "task"}, ValueError, "'task'.*'tasks'"), ({"final_tasks": ["dept"]}, KeyError, "'dept'.*'depth'")],
    ids=["softmax", "final task"],
)
def test_an_impossible_choice_is_refused(options: dict, error: type, message: str):
    with pytest.raises(error, match=message):
        MTINet(NYUV2_TASKS, "efficientnet_lite0", **options)
