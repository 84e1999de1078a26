"""Faster backward passes of batch normalisation and ReLU6.

ReLU6 keeps the bits of its results. A batch normalisation whose gradient is copied into another memory format sums in
another order, so its gradients are equal up to rounding.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_methods.accelerate.conditions import trains_on_cpu

MIN_GRADIENT = 1 << 18
"""Values from which the gradient of a batch normalisation is copied into the memory format of its maps."""


class ReLU6InPlace(nn.ReLU6):
    """ReLU6 in place, whose gradient is computed from the output.

    The gradient is zero where the output is 0 or 6. PyTorch computes it from the input, which it copies for this first.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Values of any shape, clamped in place."""
        if not trains_on_cpu(self, maps) or not maps.requires_grad:
            return super().forward(maps)
        output: Tensor = ClampInPlace.apply(maps)
        return output


class ClampInPlace(torch.autograd.Function):
    """`F.relu6` in place that saves its output in place of its input."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        """The values, clamped in place."""
        ctx.mark_dirty(F.relu6(maps, inplace=True))
        ctx.save_for_backward(maps)
        return maps

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Gradient of the values."""
        (output,) = ctx.saved_tensors
        to_maps: Tensor = torch.ops.aten.hardtanh_backward(gradient, output, 0.0, 6.0)
        return to_maps


def align_gradient(layer: nn.Module, _: Any, output: Tensor) -> None:
    """Forward hook of a batch normalisation: its gradient arrives in the memory format of its output.

    A gradient in another format, such as a part of a concatenation, takes PyTorch ten times as long: 8 maps of 64x30x40
    20 ms in place of 0.9 ms on one core with torch 2.14.
    """
    if trains_on_cpu(layer, output) and output.requires_grad and output.numel() >= MIN_GRADIENT:
        channels_last = output.is_contiguous(memory_format=torch.channels_last)
        memory_format = torch.channels_last if channels_last else torch.contiguous_format
        output.register_hook(lambda gradient: gradient.contiguous(memory_format=memory_format))
