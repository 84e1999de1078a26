"""MTAN: masks on the shared features, per task and stage."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.heads import upsample_to
from benchmark.tasks import NYUV2_TASKS
from mtl_methods._shared.backbones import make_backbone
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.mtan import MTAN, Refine, TaskAttention, run_opened

TWO_TASKS = NYUV2_TASKS.select(["semseg", "depth"])


def open_all_masks(method: MTAN) -> None:
    """Masks of one everywhere: the logistic function of 40 is 1 in single precision."""
    for attention in method.modules():
        if isinstance(attention, TaskAttention):
            for mask in attention.values():
                nn.init.zeros_(mask[4].weight)
                nn.init.constant_(mask[4].bias, 40.0)


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet18", "hrnet_w18_small_v2", "vit_tiny"])
@torch.no_grad()
def test_masks_of_one_are_hard_sharing(backbone: str):
    torch.manual_seed(0)
    method, sharing = MTAN(TWO_TASKS, backbone).eval(), HardSharing(TWO_TASKS, backbone).eval()
    open_all_masks(method)
    method.backbone.load_state_dict(sharing.backbone.state_dict())
    method.heads.load_state_dict(sharing.heads.state_dict())
    for decoder in method.decoders.values():
        decoder.load_state_dict(sharing.decoder.state_dict())
    images = torch.randn(1, 3, 64, 96)
    ours, theirs = method(images).predictions, sharing(images).predictions
    for task in TWO_TASKS:
        torch.testing.assert_close(ours[task], theirs[task])


def written_out(method: MTAN, images: Tensor) -> dict[str, Tensor]:
    """MTAN on a ResNet as its description says, one task after the other, with a concatenation for each mask."""
    encoder = method.backbone
    state, before, after = encoder.stem(images), [], []
    for stage in encoder.stages:
        for block in stage[:-1]:
            state = block(state)
        before.append(state)
        state = stage[-1](state)
        after.append(state)
    predictions = {}
    for name in method.heads:
        maps: list[Tensor] = []
        for position, (read, gated) in enumerate(zip(before, after, strict=True)):
            if maps:
                read = torch.cat([read, method.refines[position - 1][0](maps[-1])], dim=1)
            maps.append(method.attentions[position][0][name](read) * gated)
        logits = method.heads[name](method.decoders[name](maps))
        predictions[name] = upsample_to(logits, images.shape[-2:])
    return predictions


def test_training_equals_the_description_written_out():
    """Outputs, gradients and the running statistics of every normalisation, the shared ones in the order of tasks.

    In double precision, so that only a different sum remains.
    """
    torch.manual_seed(0)
    method = MTAN(TWO_TASKS, "resnet18").double().train()
    reference = copy.deepcopy(method)
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    ours, theirs = method(images).predictions, written_out(reference, images)
    for predictions in (ours, theirs):
        torch.stack([maps.square().mean() for maps in predictions.values()]).sum().backward()
    for task in TWO_TASKS:
        torch.testing.assert_close(ours[task], theirs[task])
    for (name, parameter), other in zip(method.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, other.grad, msg=lambda text, name=name: f"{name}: {text}")
    # Each shared block ran once per task; these tasks ran in turn here, stage by stage there.
    for (name, buffer), other in zip(method.named_buffers(), reference.buffers(), strict=True):
        torch.testing.assert_close(buffer, other, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("task", TWO_TASKS)
def test_a_task_trains_the_shared_parts_and_its_own_only(task: str):
    torch.manual_seed(0)
    method = MTAN(TWO_TASKS, "resnet18")
    method(torch.randn(2, 3, 64, 64)).predictions[task].square().mean().backward()
    (other,) = set(TWO_TASKS) - {task}
    touched = {name for name, parameter in method.named_parameters() if parameter.grad is not None}
    # The first convolutions of all masks of a stage run as one, so the others' have a gradient, of zero.
    others = {
        name for name, parameter in method.named_parameters() if f".{other}." in name and parameter.grad is not None
    }
    assert all(not method.get_parameter(name).grad.any() for name in others)
    assert touched - others == {name for name, _ in method.named_parameters() if f".{other}." not in name}


@torch.no_grad()
def test_a_residual_stage_is_opened_before_its_last_block_and_others_are_not():
    torch.manual_seed(0)
    resnet, vit = make_backbone("resnet18").eval(), make_backbone("vit_tiny").eval()
    # A residual branch begins with a weight of zero, which would make the last block the identity.
    torch.nn.init.ones_(resnet.stages[0][-1].bn2.weight)
    images = torch.randn(1, 3, 64, 64)
    before, after = run_opened(resnet.stages[0], resnet.stem(images))
    assert torch.equal(after, resnet.stages[0][-1](before))
    assert not torch.equal(after, before)
    before, after = run_opened(vit.stages[0], vit.stem(images))
    assert torch.equal(before, after)


@torch.no_grad()
def test_pooling_rounds_up_as_strided_convolutions_do():
    """107x140, stride 4 of 425x560, becomes 54x70; no pooling where the stride stays."""
    maps = torch.randn(1, 8, 107, 140)
    assert Refine(FeatureSpec(8, 4), FeatureSpec(16, 8)).eval()(maps).shape == (1, 16, 54, 70)
    assert Refine(FeatureSpec(8, 8), FeatureSpec(16, 8)).eval()(maps).shape == (1, 16, 107, 140)


def test_head_follows_the_backbone_unless_it_is_named():
    """DeepLab heads on dilated ResNets, as in the public code; they have an `ASPP` (atrous spatial pyramid pooling)."""

    def kinds(method: MTAN) -> set[str]:
        return {type(module).__name__ for module in method.heads.modules()}

    with torch.device("meta"):
        assert "ASPP" in kinds(MTAN(TWO_TASKS, "resnet18_dilated"))
        assert "ASPP" not in kinds(MTAN(TWO_TASKS, "resnet18"))
        assert "ASPP" not in kinds(MTAN(TWO_TASKS, "resnet18_dilated", head="fcn"))


def test_the_class_token_is_not_attended_to():
    """Its mask would end in the last stage, whose state has no token: weights without a gradient."""
    with torch.device("meta"):
        method = MTAN(TWO_TASKS, "vit_base")
    assert [len(maps) for maps in method.backbone.stage_specs] == [2, 2, 2, 1]
    assert [len(branches) for branches in method.attentions] == [1, 1, 1, 1]
