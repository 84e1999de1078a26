"""Convolutions that train faster on one CPU thread; what they compute is the same.

EfficientNet-Lite0, 8 images of 120x160, forward and backward on one AVX-512 core with torch 2.14: 0.20 s with the
ordinary modules, 0.16 s with `PointwiseConv2d`, 0.15 s with `DepthwiseConv2d` as well.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame, pad_same
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input, conv2d_weight

HAS_ONEDNN = torch.backends.mkldnn.is_available()
"""Asked once: torch.compile cannot look into the question."""


def use_fast_convolutions(network: nn.Module) -> None:
    """Let the 1x1 and the 5x5 depthwise convolutions of a network run as the classes below; in place.

    Modules, parameters and their names stay what they are.
    """
    for module in network.modules():
        if type(module) is nn.Conv2d and module.kernel_size == (1, 1) and module.stride == (1, 1):
            module.__class__ = PointwiseConv2d
        elif isinstance(module, nn.Conv2d) and module.kernel_size == (5, 5) and is_depthwise(module):
            module.__class__ = DepthwiseConv2dSame if isinstance(module, Conv2dSame) else DepthwiseConv2d


def is_depthwise(module: nn.Conv2d) -> bool:
    """True for one filter per channel, without bias and dilation, the same in both directions."""
    per_channel = module.groups == module.in_channels == module.out_channels and module.bias is None
    return per_channel and module.dilation == (1, 1) and len({*module.stride}) == len({*module.padding}) == 1


def trains_on_cpu(module: nn.Module, maps: Tensor) -> bool:
    """True where a backward pass will follow; elsewhere the ordinary operator runs, which tracing and counting know."""
    if torch.compiler.is_compiling():
        return False
    plain = maps.device.type == "cpu" and not torch.is_autocast_enabled("cpu")
    return plain and module.training and torch.is_grad_enabled()


def pointwise_convolution(maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 1x1 convolution that goes to oneDNN on a CPU; (B, C, H, W) -> (B, C', H, W).

    With one thread and fewer than 16 images PyTorch hands small undilated kernels to a generic implementation, which
    takes twice as long. A 1x1 kernel has nothing to dilate: a dilation changes the choice and not the result.
    """
    return F.conv2d(maps, weight, bias, dilation=2 if HAS_ONEDNN and maps.device.type == "cpu" else 1)


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution that runs as `pointwise_convolution`."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        return pointwise_convolution(maps, self.weight, self.bias)


class DepthwiseConv2d(nn.Conv2d):
    """A 5x5 depthwise convolution that trains by `NarrowWeightGradient` on a CPU."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W) / stride."""
        if not trains_on_cpu(self, maps):
            return super().forward(maps)
        return NarrowWeightGradient.apply(maps, self.weight, self.stride[0], self.padding[0])


class DepthwiseConv2dSame(Conv2dSame):
    """As `DepthwiseConv2d`, with TensorFlow's padding."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W) / stride."""
        if not trains_on_cpu(self, maps):
            return super().forward(maps)
        padded = pad_same(maps, self.kernel_size, self.stride)
        return NarrowWeightGradient.apply(padded, self.weight, self.stride[0], 0)


class NarrowWeightGradient(torch.autograd.Function):
    """A 5x5 depthwise convolution; the gradient of its weights is taken for columns 0-2 and 2-4 apart.

    oneDNN computes this gradient quickly for kernels up to three columns wide. For wider ones it fills each channel up
    to a block of 16x16, and takes ten times as long.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, stride: int, padding: int) -> Tensor:
        """As `F.conv2d` with one group per channel."""
        ctx.save_for_backward(maps, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(maps, weight, None, stride, padding, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:
        """Gradients of maps and weights."""
        maps, weight = ctx.saved_tensors
        stride, padding, channels = ctx.stride, ctx.padding, len(weight)
        to_maps = None
        if ctx.needs_input_grad[0]:
            to_maps = conv2d_input(maps.shape, weight, gradient, stride, padding, groups=channels)
        padded = F.pad(maps, (padding,) * 4)
        seen = stride * (gradient.shape[-1] - 1) + 3
        left, right = (
            conv2d_weight(
                padded[..., start : start + seen].contiguous(memory_format=torch.channels_last),
                (channels, 1, 5, 3),
                gradient,
                stride,
                groups=channels,
            )
            for start in (0, 2)
        )
        return to_maps, torch.cat((left, right[..., 1:]), dim=3), None, None
