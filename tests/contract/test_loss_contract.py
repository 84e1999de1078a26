"""Contract of every registered loss, on every standard task whose predictions and targets it takes."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from scenes import random_targets
from torch import Tensor

from benchmark.losses import LOSSES
from benchmark.tasks import STANDARD_TASKS, Task, TaskSet

OPTIONS: dict[str, dict[str, Any]] = {
    "normals_l1": {"divisor": "pixels"},
    "normals_l2": {"divisor": "pixels"},
    "balanced_bce": {"positive_weight": 0.8},
    "boundary_cross_entropy": {"positive_weight": 0.8},
    "balanced_cross_entropy": {"positive_weight": None},
    "normals_cluster_cross_entropy": {"centroids": ((0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))},
}
"""Options without a default."""
CHANNELS = (1, 2, 3)
"""Channels that are tried in addition to the channels of the task; losses on bins and clusters have their own."""


def prediction_of(channels: int, seed: int = 1) -> Tensor:
    """Random raw predictions."""
    return torch.randn(2, channels, 24, 32, generator=torch.Generator().manual_seed(seed)) + 2


def fitting(name: str) -> list[tuple[Task, Tensor, Tensor]]:
    """Tasks whose targets a loss takes, with a prediction and a target."""
    found = []
    for task in STANDARD_TASKS.values():
        target = random_targets(TaskSet([task]), 2, (24, 32), seed=0)[task.name]
        for channels in dict.fromkeys((task.channels, *CHANNELS)):
            try:
                LOSSES[name](prediction_of(channels), target, task.valid(target), **OPTIONS.get(name, {}))
            except (ValueError, RuntimeError, IndexError):
                continue
            found.append((task, prediction_of(channels), target))
            break
    return found


def fault_of(name: str, task: Task, prediction: Tensor, target: Tensor) -> str:
    """The part of the contract that a loss breaks on a task; empty if it keeps the contract."""
    valid, options = task.valid(target), OPTIONS.get(name, {})
    prediction = prediction.clone().requires_grad_()
    value = LOSSES[name](prediction, target, valid, **options)
    if value.shape != () or value.dtype != torch.float32 or not torch.isfinite(value):
        return f"expected a finite scalar in float32, found {value.dtype} of shape {tuple(value.shape)}"
    (gradient,) = torch.autograd.grad(value, prediction)
    if not gradient.abs().sum() > 0:
        return "no gradient"
    if gradient.movedim(1, -1)[~valid].any():
        return "a gradient at pixels without a label"
    changed = torch.where(valid[:, None], prediction.detach(), 7.0)
    if not torch.equal(LOSSES[name](changed, target, valid, **options), value.detach()):
        return "a value that depends on predictions without a label"
    nothing = LOSSES[name](prediction, target, torch.zeros_like(valid), **options)
    (gradient,) = torch.autograd.grad(nothing, prediction)
    return "" if nothing == 0 and gradient.isfinite().all() else f"{nothing:g} where no pixel has a label, expected 0"


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_keeps_its_contract(name: str) -> None:
    """On a standard task at least; a loss may also compute something on targets that it was not made for."""
    faults = {task.name: fault_of(name, task, prediction, target) for task, prediction, target in fitting(name)}
    assert faults, f"{name} takes the prediction and the target of no standard task"
    assert "" in faults.values(), faults


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_its_docstring_says_what_it_is(name: str) -> None:
    assert (inspect.getdoc(LOSSES[name]) or "").strip(), f"loss {name!r} needs a docstring of one line"
