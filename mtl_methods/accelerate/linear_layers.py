"""Linear layers whose large products go to oneDNN in place of MKL."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_methods._shared.dynamic_layers import DynamicLinear
from mtl_methods.accelerate.conditions import runs_on_cpu

MIN_PRODUCTS = 1 << 24
"""Multiplications from which a linear layer goes to oneDNN, which takes a fixed time to arrange the weights."""
MIN_CHANNELS = 256
"""Channels from which the gradient of a linear layer's weights goes to oneDNN, which needs both factors transposed."""


class OneDNNLinear(nn.Linear):
    """Linear layer that runs as `linear`."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) -> (..., C')."""
        return linear(tokens, self.weight, self.bias)


class OneDNNDynamicLinear(DynamicLinear):
    """`DynamicLinear` that runs as `linear`."""

    def forward(self, tokens: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """See `DynamicLinear`."""
        return linear(tokens, weight, bias)


def linear(tokens: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`F.linear` with large float32 products by oneDNN, forwards and backwards.

    PyTorch hands these products to MKL, which uses AVX2 only on processors of other makers than Intel; oneDNN uses
    AVX-512 on them.
    On one AMD core with torch 2.14, 1009 tokens, 768 -> 3072 channels: 77 GFLOP/s as a matrix product, 175 as a 1x1
    convolution. Where MKL uses AVX-512 as well, the two are equally fast.
    """
    single = tokens.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if not (single and runs_on_cpu(tokens)) or tokens.numel() * len(weight) < MIN_PRODUCTS:
        return F.linear(tokens, weight, bias)
    rows = tokens.reshape(-1, tokens.shape[-1])
    product = Product.apply if torch.is_grad_enabled() else by_convolution
    output: Tensor = product(rows, weight, bias)
    return output.view(*tokens.shape[:-1], -1)


class Product(torch.autograd.Function):
    """rows (N, C) @ weight (C', C) transposed + bias (C',)."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(N, C')."""
        ctx.save_for_backward(rows, weight)
        ctx.has_bias = bias is not None
        return by_convolution(rows, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of rows, weight and bias."""
        rows, weight = ctx.saved_tensors
        to_rows = by_convolution(gradient, weight.t().contiguous()) if ctx.needs_input_grad[0] else None
        to_weight = weight_gradient(gradient, rows) if ctx.needs_input_grad[1] else None
        return to_rows, to_weight, gradient.sum(0) if ctx.has_bias and ctx.needs_input_grad[2] else None


def weight_gradient(gradient: Tensor, rows: Tensor) -> Tensor:
    """gradient (N, C') transposed @ rows (N, C)."""
    if min(gradient.shape[1], rows.shape[1]) < MIN_CHANNELS:
        return gradient.t() @ rows
    return by_convolution(gradient.t().contiguous(), rows.t().contiguous())


def by_convolution(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """rows (N, C) @ weight (C', C) transposed + bias, as a 1x1 convolution on a channels-last map of one row.

    The dilation has the same reason as in `PointwiseConv2d`.
    """
    maps = rows.view(1, 1, *rows.shape).permute(0, 3, 1, 2)
    output = F.conv2d(maps, weight[:, :, None, None], bias, dilation=2)
    return output.permute(0, 2, 3, 1).reshape(len(rows), len(weight))
