"""Every registered regularizer gives the same loss terms and gradients with `accelerate` and in plain torch."""

from __future__ import annotations

from statistics import median

import pytest
import torch
from acceleration import relative_errors
from scenes import short_overrides
from torch import Tensor

from benchmark.cost.target import CostTarget, build
from benchmark.records.result import RunSpec
from benchmark.registry import REGULARIZERS
from benchmark.training.random_batches import random_batch

TASKS = ("semseg", "depth", "normals", "boundary")
SIZE = (64, 96)


def terms_and_gradients(target: CostTarget) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Loss terms and gradients of one training step, by name."""
    torch.manual_seed(0)
    module = build(target).train()
    torch.manual_seed(1)
    logged: dict[str, Tensor] = module(**random_batch(target.tasks, 2, SIZE), mode="loss")
    terms = {name: value for name, value in logged.items() if "loss" in name}
    torch.stack(list(terms.values())).sum().backward()
    gradients = {name: part.grad for name, part in module.named_parameters() if part.grad is not None}
    return {name: term.detach() for name, term in terms.items()}, gradients


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_a_regularizer_is_the_same_when_accelerated(name: str) -> None:
    """To float32 rounding, which batch normalisation amplifies in the backward pass."""
    spec = RunSpec("nyuv2_lite", "hard_sharing", name, "timm:test_efficientnet", TASKS, 0, short_overrides(name))
    target = CostTarget(spec, SIZE)
    (terms, gradients), (plain_terms, plain_gradients) = (
        terms_and_gradients(each) for each in (target, target.without_acceleration())
    )
    torch.testing.assert_close(terms, plain_terms, rtol=1e-3, atol=1e-5)
    assert median(relative_errors(gradients, plain_gradients).values()) < 1e-2
