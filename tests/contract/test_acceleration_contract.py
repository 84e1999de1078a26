"""Every registered regularizer gives the same loss terms and gradients with `accelerate` and in plain torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmark.cost.batches import random_batch
from benchmark.cost.target import CostTarget, build
from benchmark.records.result import RunSpec
from benchmark.registry import REGULARIZERS

TASKS = ("semseg", "depth", "normals", "boundary")
SIZE = (64, 96)


def terms_and_gradients(target: CostTarget) -> dict[str, Tensor]:
    """Loss terms and gradients of one training step in float64, by name."""
    torch.manual_seed(0)
    module = build(target).train().double()
    batch = random_batch(target.tasks, 2, SIZE)
    batch["images"] = batch["images"].double()
    torch.manual_seed(1)
    terms: dict[str, Tensor] = module(**batch, mode="loss")
    torch.stack([term for name, term in terms.items() if "loss" in name]).sum().backward()
    gradients = {name: part.grad for name, part in module.named_parameters() if part.grad is not None}
    return {name: value.detach() for name, value in {**terms, **gradients}.items()}


@pytest.mark.parametrize("name", REGULARIZERS.names())
def test_a_regularizer_is_the_same_when_accelerated(name: str) -> None:
    target = CostTarget(RunSpec("nyuv2_lite", "hard_sharing", name, "efficientnet_lite0", TASKS, 0), SIZE)
    fast, plain = (terms_and_gradients(each) for each in (target, target.without_acceleration()))
    assert list(fast) == list(plain)
    for key, expected in plain.items():
        error = (fast[key] - expected).norm() / expected.norm().clamp(min=1e-6)
        assert error < 1e-3, key
