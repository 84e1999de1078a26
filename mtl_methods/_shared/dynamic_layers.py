"""Layers without weights of their own: the weights are computed by the caller and given with the input.

They are modules, not functions, so that `mtl_methods.accelerate` can replace them.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class DynamicConv2d(nn.Module):
    """Convolution of stride 1 that keeps the size of the map."""

    def forward(self, maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Maps (B, C, H, W), weight (C', C, k, k) with odd k, bias (C',) -> (B, C', H, W)."""
        return F.conv2d(maps, weight, bias, padding=weight.shape[-1] // 2)


class DynamicLinear(nn.Module):
    """Linear layer."""

    def forward(self, tokens: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Tokens (..., C), weight (C', C), bias (C',) -> (..., C')."""
        return F.linear(tokens, weight, bias)
