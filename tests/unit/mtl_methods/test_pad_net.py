"""PAD-Net: initial predictions, messages between the features of the tasks, final predictions."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.heads import upsample_to
from benchmark.tasks import NYUV2_TASKS
from mtl_methods.pad_net import PADNet

HRNET = "hrnet_w18_small_v2"
FINALS = ["semseg", "depth"]


def small(**options: object) -> PADNet:
    """PAD-Net on the smallest backbone, in eval mode."""
    torch.manual_seed(0)
    return PADNet(NYUV2_TASKS, "efficientnet_lite0", width=16, **options).eval()


def on_meta(**options: object) -> PADNet:
    """PAD-Net on HRNet-18 without memory."""
    with torch.device("meta"):
        return PADNet(NYUV2_TASKS, HRNET, **options).eval()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


# Counted from the public code, ../shared/specs/checkpoints.md, runs padnet_hrnet18 and padnet_hrnet18_shipped2+2.
@pytest.mark.parametrize(
    ("options", "parameters", "gflops"),
    [pytest.param({}, 19_521_848, 620.323, marks=pytest.mark.slow), ({"final_tasks": FINALS}, 12_161_332, 337.797)],
    ids=["all", "shipped"],
)
def test_parameters_and_operations_are_those_of_the_public_code(options: dict, parameters: int, gflops: float):
    method = on_meta(**options)
    with FlopCounterMode(display=False) as counter:
        method(torch.empty(1, 3, 480, 640, device="meta"))
    assert count(method) == parameters
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflops, rel=5e-3)


def test_the_table_row_is_the_atrc_baseline_with_a_gate_and_three_messages_per_task():
    """4,515,556 of the baseline, and per task 67 * 67 * (1 + 3 * 9); the initial predictions come on top, 5.02 M."""
    method = on_meta(where="heads", gate="target")
    assert count(method) - count(method.initial) == 4_515_556 + 4 * 67 * 67 * 28
    assert round(count(method) / 1e6, 2) == 5.02


@pytest.mark.parametrize("where", ["trunk", "heads"])
@pytest.mark.parametrize("gate", ["source", "target"])
@torch.no_grad()
def test_without_messages_the_features_go_straight_to_the_final_heads(where: str, gate: str):
    method = small(where=where, gate=gate)
    for parameter in method.distillation.messages.parameters():
        parameter.zero_()
    images = torch.randn(1, 3, 64, 96)
    output = method(images)
    for name, head in method.heads.items():
        expected = head(method.branches[name](output.features[0]))
        torch.testing.assert_close(output.predictions[name], upsample_to(expected, (64, 96)))


@pytest.mark.parametrize("gate", ["source", "target"])
def test_a_final_prediction_depends_on_every_task_and_an_initial_one_on_its_own(gate: str):
    method = small(gate=gate).train()
    output = method(torch.randn(2, 3, 64, 96))
    initial = {part.task: part.prediction for part in output.auxiliary}
    for name in NYUV2_TASKS:
        assert branches_behind(method, initial[name]) == {name}
        assert branches_behind(method, output.predictions[name]) == set(NYUV2_TASKS)


def branches_behind(method: PADNet, prediction: torch.Tensor) -> set[str]:
    """Tasks whose features a prediction was computed from."""
    firsts = {name: next(branch.parameters()) for name, branch in method.branches.items()}
    found = torch.autograd.grad(prediction.square().sum(), list(firsts.values()), retain_graph=True, allow_unused=True)
    return {name for name, gradient in zip(firsts, found, strict=True) if gradient is not None and gradient.any()}


@torch.no_grad()
def test_every_final_task_is_supervised_twice_and_every_other_once():
    """As in the public code: the loss is the sum over all initial and all final predictions, each once."""
    method = small(final_tasks=FINALS)
    output = method(torch.randn(1, 3, 64, 96))
    assert [(part.name, part.task, part.weight) for part in output.auxiliary] == [
        ("initial", "semseg", 1.0),
        ("initial", "depth", 1.0),
    ]
    assert list(output.predictions) == list(NYUV2_TASKS)
    normals = method.initial["normals"](method.branches["normals"](output.features[0]))
    torch.testing.assert_close(output.predictions["normals"], upsample_to(normals, (64, 96)))


@torch.no_grad()
def test_a_task_without_a_final_prediction_still_sends_messages():
    method = small(final_tasks=FINALS)
    images = torch.randn(1, 3, 64, 96)
    before = method(images).predictions["depth"]
    method.branches["boundary"][1].bn3.bias.add_(1.0)
    assert not torch.equal(method(images).predictions["depth"], before)


def test_the_published_widths_are_the_defaults_on_hrnet():
    assert on_meta().initial["depth"].in_channels == 256
    assert on_meta(where="heads").initial["depth"].in_channels == 67


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"where": "head"}, ValueError, "'head'.*'heads'"),
        ({"gate": "targets"}, ValueError, "'targets'.*'target'"),
        ({"final_tasks": ["dept"]}, KeyError, "'dept'.*'depth'"),
        ({"width": 30}, ValueError, "multiple of 4 channels, found 30"),
    ],
    ids=["where", "gate", "final task", "width"],
)
def test_an_impossible_choice_is_refused(options: dict, error: type, message: str):
    with pytest.raises(error, match=message):
        PADNet(NYUV2_TASKS, "efficientnet_lite0", **options)
