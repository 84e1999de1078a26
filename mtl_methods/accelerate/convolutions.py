"""Convolutions that run faster on few CPU threads: 1x1, dilated 3x3 on small maps, and 5x5 depthwise."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame, pad_same
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input, conv2d_weight

from mtl_methods._shared.dynamic_layers import DynamicConv2d
from mtl_methods.accelerate.conditions import runs_on_cpu, trains_on_cpu


class PointwiseConv2d(nn.Conv2d):
    """1x1 convolution that goes to oneDNN.

    With one thread and fewer than 16 images PyTorch hands 1x1 kernels to a generic implementation, which takes twice as
    long, unless they are dilated. Dilation does not change the result of a 1x1 kernel.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        if not runs_on_cpu(maps):
            return super().forward(maps)
        return F.conv2d(maps, self.weight, self.bias, dilation=2, groups=self.groups)


class FastDynamicConv2d(DynamicConv2d):
    """`DynamicConv2d` with 1x1 kernels as in `PointwiseConv2d`."""

    def forward(self, maps: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """See `DynamicConv2d`."""
        if weight.shape[-1] != 1 or not runs_on_cpu(maps):
            return super().forward(maps, weight, bias)
        return F.conv2d(maps, weight, bias, dilation=2)


class AtrousConv2d(nn.Conv2d):
    """Dilated 3x3 convolution without the taps that lie beyond the map at every position.

    These taps read only padding, so they change neither the result nor a gradient. On a map of 15x20 the kernels of
    dilation 24 and 36 shrink to 1x1.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', h, w)."""
        inside = [length > rate for rate, length in zip(self.dilation, maps.shape[-2:], strict=True)]
        if all(inside) or not runs_on_cpu(maps):
            return super().forward(maps)
        weight = self.weight
        for axis in (0, 1):
            weight = weight if inside[axis] else weight.narrow(axis + 2, 1, 1)
        padding = [rate * kept for rate, kept in zip(self.dilation, inside, strict=True)]
        return F.conv2d(maps, weight, self.bias, padding=padding, dilation=self.dilation, groups=self.groups)


class DepthwiseConv2d(nn.Conv2d):
    """5x5 depthwise convolution that trains by `NarrowWeightGradient`."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H', W') with the size of `nn.Conv2d`."""
        if not trains_on_cpu(self, maps):
            return super().forward(maps)
        output: Tensor = NarrowWeightGradient.apply(maps, self.weight, self.stride[0], self.padding[0])
        return output


class DepthwiseConv2dSame(Conv2dSame):
    """`DepthwiseConv2d` with TensorFlow's padding."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, ceil(H / stride), ceil(W / stride))."""
        if not trains_on_cpu(self, maps):
            return super().forward(maps)
        padded = pad_same(maps, self.kernel_size, self.stride)
        output: Tensor = NarrowWeightGradient.apply(padded, self.weight, self.stride[0], 0)
        return output


class NarrowWeightGradient(torch.autograd.Function):
    """5x5 depthwise convolution; the gradient of its weights is computed for columns 0-2 and 2-4 separately.

    oneDNN computes this gradient quickly for kernels of up to three columns. For wider kernels it pads each channel to
    a block of 16x16 and takes ten times as long.
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
        columns = stride * (gradient.shape[-1] - 1) + 3
        left, right = (
            conv2d_weight(
                padded[..., start : start + columns].contiguous(memory_format=torch.channels_last),
                (channels, 1, 5, 3),
                gradient,
                stride,
                groups=channels,
            )
            for start in (0, 2)
        )
        return to_maps, torch.cat((left, right[..., 1:]), dim=3), None, None


def conv2d_replacement(layer: Any) -> type[nn.Module] | None:
    """Class that replaces a convolution, None to keep it."""
    strided, dilated = layer.stride != (1, 1), layer.dilation != (1, 1)
    if layer.kernel_size == (1, 1) and not strided and layer.padding == (0, 0):
        return PointwiseConv2d
    if layer.kernel_size == (3, 3) and dilated and not strided and layer.padding == layer.dilation:
        return AtrousConv2d
    per_channel = layer.groups == layer.in_channels == layer.out_channels and layer.bias is None
    square = len({*layer.stride}) == len({*layer.padding}) == 1
    if layer.kernel_size == (5, 5) and per_channel and square and not dilated:
        return DepthwiseConv2dSame if type(layer) is Conv2dSame else DepthwiseConv2d
    return None
