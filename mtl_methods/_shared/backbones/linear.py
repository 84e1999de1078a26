"""Linear layers that run faster on one CPU thread; what they compute is the same.

PyTorch hands float32 matrix products to MKL, which keeps to AVX2 on processors of other makers; oneDNN, which has the
convolutions, uses AVX-512 there. On one AMD core with torch 2.14, 1009 tokens, 768 -> 3072 channels: 77 GFLOP/s as a
matrix product, 175 as a 1x1 convolution. Where MKL uses AVX-512 as well the two are equally fast.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_methods._shared.backbones.convolutions import HAS_ONEDNN

WORTHWHILE = 1 << 24
"""Multiplications from which the detour pays; oneDNN takes a fixed time to arrange the weights."""
NARROWEST = 256
"""Channels from which the gradient of the weights is worth the detour, which transposes both of its factors."""


def use_fast_linears(network: nn.Module) -> None:
    """Let the linear layers of a network run as `OneDNNLinear`; in place, names stay what they are."""
    for module in network.modules():
        if type(module) is nn.Linear:
            module.__class__ = OneDNNLinear


class OneDNNLinear(nn.Linear):
    """A linear layer that runs as `linear`."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(..., C) -> (..., C')."""
        return linear(tokens, self.weight, self.bias)


def linear(tokens: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """As `F.linear`; large float32 products go to oneDNN on a CPU, forwards and backwards."""
    size = tokens.numel() * len(weight)
    ordinary = tokens.device.type != "cpu" or tokens.dtype != torch.float32 or torch.is_autocast_enabled("cpu")
    if torch.compiler.is_compiling() or ordinary or size < WORTHWHILE or not HAS_ONEDNN:
        return F.linear(tokens, weight, bias)
    rows = tokens.reshape(-1, tokens.shape[-1])
    product = Product.apply if torch.is_grad_enabled() else by_convolution
    output: Tensor = product(rows, weight, bias)
    return output.view(*tokens.shape[:-1], -1)


class Product(torch.autograd.Function):
    """rows (N, C) @ weight (C', C) transposed + bias (C')."""

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
    if min(gradient.shape[1], rows.shape[1]) < NARROWEST:
        return gradient.t() @ rows
    return by_convolution(gradient.t().contiguous(), rows.t().contiguous())


def by_convolution(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """rows (N, C) @ weight (C', C) transposed + bias, as a 1x1 convolution on a map of one row, channels last.

    The dilation, which means nothing to a 1x1 kernel, keeps PyTorch from handing it to a generic implementation.
    """
    maps = rows.view(1, 1, *rows.shape).permute(0, 3, 1, 2)
    output = F.conv2d(maps, weight[:, :, None, None], bias, dilation=2)
    return output.permute(0, 2, 3, 1).reshape(len(rows), len(weight))
