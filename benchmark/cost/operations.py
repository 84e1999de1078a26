"""Multiply-accumulate operations of a forward pass, products of attention included."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmark.cost.target import CostTarget, build, build_shapes


def gigamacs(target: CostTarget) -> float:
    """10^9 multiply-accumulates of the model in eval mode for one image of the target's size.

    Half of the operations that torch's `FlopCounterMode` counts: convolutions, matrix products and attention, without
    interpolation, normalisation, activations and other element-wise work. The method runs in plain torch, without
    `accelerate`, so the count is the same on every processor. A method that computes in another order than its paper
    may need fewer operations than the paper states.
    """
    try:
        return _counted(build_shapes(target).model, torch.empty(1, 3, *target.size, device="meta"))
    except (NotImplementedError, RuntimeError):
        # A method whose control flow depends on values cannot run on the meta device.
        plain = target.without_acceleration()
        return _counted(build(plain).model, torch.zeros(1, 3, *target.size, device=target.device))


def _counted(model: nn.Module, images: torch.Tensor) -> float:
    return macs(model, images) / 1e9


def macs(model: nn.Module, images: torch.Tensor) -> float:
    """Multiply-accumulates of one forward pass in eval mode."""
    counter = FlopCounterMode(display=False, custom_mapping={CPU_ATTENTION: _cpu_attention})
    model.eval()
    with torch.no_grad(), counter:
        model(images)
    return counter.get_total_flops() / 2


CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Fused attention on a CPU. torch only counts the fused attention of other devices."""


def _cpu_attention(query: Any, key: Any, value: Any, *_arguments: Any, **_options: Any) -> int:
    """Operations of the fused attention, from the shapes of its arguments."""
    return int(sdpa_flop_count(query, key, value))
