"""Replacement of layers by equal ones that run faster on a CPU. All processor-specific code of the methods is here.

The replacements serve float32 on few CPU threads. They compute the same sums, some of them in another order. On another
device and under `torch.compile` each of them runs as the layer that it replaced.

| layer | replacement |
| --- | --- |
| 1x1 convolution | oneDNN in place of the generic implementation |
| 5x5 depthwise convolution | gradient of the weights in two parts of three columns |
| dilated 3x3 convolution | without the taps that read nothing but padding |
| large linear layer | oneDNN in place of MKL |
| bilinear upsampling of small maps to padded images | products with two matrices |
| ReLU6 in place | gradient from the output, without a copy of the input |

A batch normalisation stays, and gets large gradients in the memory format of its maps.

EfficientNet-Lite0, 8 images of 120x160, forward and backward on one AVX-512 core with torch 2.14: 0.20 s in plain
torch, 0.16 s with the 1x1 convolutions replaced, 0.15 s with the depthwise convolutions replaced as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import Conv2dSame, pad_same
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input, conv2d_weight

from mtl_methods._shared.dynamic_layers import DynamicConv2d, DynamicLinear
from mtl_methods._shared.padding import UpsampleAndCut
from mtl_methods.invpt.resizing import bilinear_matrix

MIN_PRODUCTS = 1 << 24
"""Multiplications from which a linear layer goes to oneDNN, which takes a fixed time to arrange the weights."""
MIN_CHANNELS = 256
"""Channels from which the gradient of a linear layer's weights goes to oneDNN, which needs both factors transposed."""
MAX_SIDE = 64
"""Longest side of a map, in pixels, up to which products are the faster upsampling."""
MIN_GRADIENT = 1 << 18
"""Values from which the gradient of a batch normalisation is copied into the memory format of its maps."""


def accelerate(network: nn.Module) -> None:
    """Replace layers of a network, in place.

    A replacement takes over the parameters, buffers and hooks of its layer under the same names, so a state dict and an
    optimizer stay valid. Layers are replaced by exact type, since a subclass may compute something else; the subclass
    `PredictionLayer` has so few output channels that oneDNN is slower. Nothing is replaced if the network is not on a
    CPU or torch was built without oneDNN.

    Args:
        network: a method, a regularizer, or any module that contains layers.
    """
    on_cpu = all(parameter.device.type == "cpu" for parameter in network.parameters())
    if not on_cpu or not torch.backends.mkldnn.is_available():
        return
    for parent in list(network.modules()):
        for name, layer in parent.named_children():
            kind = replacement(layer)
            if kind is not None:
                fast = kind.__new__(kind)
                fast.__dict__.update(vars(layer))
                setattr(parent, name, fast)
            if isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_hook(align_gradient)


def replacement(layer: nn.Module) -> type[nn.Module] | None:
    """Class that replaces a layer, None to keep the layer."""
    if type(layer) in (nn.Conv2d, Conv2dSame):
        return conv2d_replacement(layer)
    if type(layer) is nn.ReLU6:
        return ReLU6InPlace if layer.inplace else None
    return REPLACEMENTS.get(type(layer))


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


def runs_on_cpu(maps: Tensor) -> bool:
    """True if the maps are on a CPU and nothing is being compiled."""
    return maps.device.type == "cpu" and not torch.compiler.is_compiling()


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


def trains_on_cpu(layer: nn.Module, maps: Tensor) -> bool:
    """True for a layer in training mode on a CPU, with gradients and without autocast."""
    plain = runs_on_cpu(maps) and not torch.is_autocast_enabled("cpu")
    return plain and layer.training and torch.is_grad_enabled()


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


class MatrixUpsampleAndCut(UpsampleAndCut):
    """`UpsampleAndCut` of small maps as products with one matrix for each axis.

    The backward pass of PyTorch's upsampling is slow: 40 channels of 8 images from 8x10 to 128x160, cut to 120x160, and
    their cross entropy take 0.12 s forwards and backwards on one core with torch 2.14, with the products 0.04 s.
    The result is channels-last, which the cross entropy reads without a copy.
    """

    def forward(self, maps: Tensor, padded_size: Sequence[int], size: Sequence[int]) -> Tensor:
        """See `UpsampleAndCut`."""
        if not runs_on_cpu(maps) or torch.is_autocast_enabled("cpu") or max(maps.shape[-2:]) > MAX_SIDE:
            return super().forward(maps, padded_size, size)
        batch, channels, height, width = maps.shape
        rows, columns = (
            bilinear_matrix(length, whole, maps)[:kept]
            for length, whole, kept in zip((height, width), padded_size, size, strict=True)
        )
        wide = columns @ maps.permute(0, 2, 3, 1).reshape(-1, width, channels)
        upsampled = rows @ wide.view(batch, height, -1)
        return upsampled.view(batch, *size, channels).permute(0, 3, 1, 2)


REPLACEMENTS: dict[type[nn.Module], type[nn.Module]] = {
    nn.Linear: OneDNNLinear,
    DynamicConv2d: FastDynamicConv2d,
    DynamicLinear: OneDNNDynamicLinear,
    UpsampleAndCut: MatrixUpsampleAndCut,
}
"""Replacement by exact type, where no option of the layer matters; see `conv2d_replacement` for convolutions."""
