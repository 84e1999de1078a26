"""Multiply-accumulate operations of a forward pass, products of attention included."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmark.cost.target import Subject, build, build_shapes


def gigamacs(subject: Subject) -> float:
    """10^9 multiply-accumulates of the model in eval mode for one image of the subject's size.

    Half of the operations that torch's `FlopCounterMode` counts: convolutions, matrix products and attention.
    Interpolation, normalisation, activations and other element-wise work are not among them.
    """
    try:
        return _counted(build_shapes(subject).model, torch.empty(1, 3, *subject.size, device="meta"))
    except (NotImplementedError, RuntimeError):
        # The values decide what happens next, so it has to be computed.
        return _counted(build(subject).model, torch.zeros(1, 3, *subject.size, device=subject.device))


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
"""torch counts the fused attention of every device but the CPU."""


def _cpu_attention(query: Any, key: Any, value: Any, *_arguments: Any, **_options: Any) -> int:
    """Operations of the fused attention, from the shapes of its arguments."""
    return int(sdpa_flop_count(query, key, value))
