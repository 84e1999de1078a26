"""Parameter groups, and clipping that keeps model and regularizer apart."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmark.optim import GroupClipOptimWrapper, PartsOptimWrapperConstructor


class Pair(nn.Module):
    """A model with a backbone, and a regularizer beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 1)})
        self.regularizer = nn.Linear(2, 1)


def wrapper(module: nn.Module, clip: float | None = None, **factors: float) -> GroupClipOptimWrapper:
    """SGD with lr 0.1 and weight decay 0.01."""
    config = dict(
        type="GroupClipOptimWrapper", optimizer=dict(type="SGD", lr=0.1, weight_decay=0.01),
        clip_grad=dict(max_norm=clip) if clip else None,
    )
    built: GroupClipOptimWrapper = PartsOptimWrapperConstructor(config, factors)(module)
    return built


def test_every_parameter_is_in_one_group_with_its_factors() -> None:
    module = Pair()
    groups = wrapper(
        module, regularizer_lr_mult=10.0, backbone_lr_mult=0.5, norm_and_bias_decay_mult=0.0
    ).optimizer.param_groups
    rates = {id(p): (g["part"], g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert len(rates) == sum(1 for _ in module.parameters())
    assert rates[id(module.model["backbone"].weight)] == ("model", 0.05, 0.01)
    assert rates[id(module.model["head"].weight)] == ("model", 0.1, 0.01)
    assert rates[id(module.model["head"].bias)] == ("model", 0.1, 0.0)
    assert rates[id(module.regularizer.weight)] == ("regularizer", 1.0, 0.01)


def test_clipping_the_model_does_not_depend_on_the_regularizer() -> None:
    """Model gradient (3, 4) has norm 5 and is clipped to 1: (0.6, 0.8), whatever stands beside it."""
    for beside in (0.0, 1e6):
        module = Pair()
        optimizer = wrapper(module, clip=1.0)
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)
        module.model["head"].weight.grad = torch.tensor([[3.0, 4.0]])
        module.regularizer.weight.grad = torch.full((1, 2), beside)
        optimizer._clip_grad()
        torch.testing.assert_close(module.model["head"].weight.grad, torch.tensor([[0.6, 0.8]]), rtol=1e-4, atol=1e-5)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="fp32, bf16, found 'fp8'"):
        GroupClipOptimWrapper(torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), precision="fp8")


def test_bf16_runs_the_forward_pass_in_half_precision() -> None:
    module = Pair()
    optimizer = GroupClipOptimWrapper(torch.optim.SGD(module.parameters(), lr=0.1), precision="bf16")
    with optimizer.optim_context(module):
        assert module.regularizer(torch.ones(1, 2)).dtype == torch.bfloat16
