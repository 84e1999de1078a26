"""Multi-modal distillation: where gates come from, and the batched form against one convolution at a time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from mtl_methods._shared.distillation import WIDE, make_distillation

TASKS = ["a", "b", "c"]


def with_weights(module: nn.Module, **values: float) -> nn.Module:
    """All gates and messages of a pair read the pixel itself, times a number."""
    for name, parameter in module.named_parameters():
        centre = parameter.shape[-1] // 2
        with torch.no_grad():
            parameter.zero_()[..., centre, centre] = values[name.split(".")[0]]
    return module


def constants(**values: float) -> dict[str, Tensor]:
    """One-channel features that are constant over 2x2 pixels."""
    return {task: torch.full((1, 1, 2, 2), value) for task, value in values.items()}


# Gate weight 0.5, message weight 2; features a = 1, b = 3, c = -2. By hand for the target a:
# from the source 1 + s(0.5 * 3) * 6 + s(0.5 * -2) * -4, from the target 1 + s(0.5 * 1) * (6 - 4).
@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("source", 1 + 6 / (1 + math.exp(-1.5)) - 4 / (1 + math.exp(1.0))),
        ("target", 1 + (6 - 4) / (1 + math.exp(-0.5))),
    ],
)
def test_the_gate_is_computed_from_its_side_of_the_message(gate: str, expected: float):
    module = with_weights(make_distillation(gate, TASKS, TASKS, 1), gates=0.5, messages=2.0)
    refined = module(constants(a=1.0, b=3.0, c=-2.0))
    torch.testing.assert_close(refined["a"], torch.full((1, 1, 2, 2), expected))


def one_at_a_time(module: nn.Module, gate: str, features: dict[str, Tensor]) -> dict[str, Tensor]:
    """The two definitions as they are written, a convolution for each pair."""
    refined = {}
    for target, messages in module.messages.items():
        refined[target] = features[target]
        for source, message in messages.items():
            if gate == "source":
                mask = module.gates[target][source](features[source]).sigmoid()
            else:
                mask = module.gates[target](features[target]).sigmoid()
            refined[target] = refined[target] + mask * message(features[source])
    return refined


@pytest.mark.parametrize("gate", ["source", "target"])
@pytest.mark.parametrize("targets", [["a", "b", "c"], ["c"]], ids=["all", "one"])
@pytest.mark.parametrize("channels", [6, WIDE])
def test_the_fast_form_equals_the_definition_with_its_gradients(gate: str, targets: list[str], channels: int):
    torch.manual_seed(0)
    module = make_distillation(gate, targets, TASKS, channels).double()
    shape = (2, channels, 5, 7)
    features = {task: torch.randn(shape, dtype=torch.double, requires_grad=True) for task in TASKS}
    inputs = [*features.values(), *module.parameters()]
    probe = {task: torch.randn(shape, dtype=torch.double) for task in targets}
    found, expected = module(features), one_at_a_time(module, gate, features)
    assert list(found) == list(expected) == targets
    for task in targets:
        torch.testing.assert_close(found[task], expected[task])
    gradients = [
        torch.autograd.grad(sum((refined[task] * probe[task]).sum() for task in targets), inputs, allow_unused=True)
        for refined in (found, expected)
    ]
    for ours, theirs in zip(*gradients, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("gate", ["source", "target"])
def test_a_task_alone_keeps_its_features_and_costs_nothing(gate: str):
    module = make_distillation(gate, ["a"], ["a"], 4)
    features = {"a": torch.randn(1, 4, 3, 3)}
    assert module(features)["a"] is features["a"]
    assert not list(module.parameters())


def test_an_unknown_gate_is_refused_with_a_near_match():
    with pytest.raises(ValueError, match="'sauce'. Did you mean 'source'"):
        make_distillation("sauce", TASKS, TASKS, 4)
