"""From the maps of the decoder's stages to the map that a task's head reads.

The network is defined as: bring every stage to one width, upsample each to stride 4, add them, convolve 3x3. At the
size of the paper the convolution of four tasks would be a third of all operations of the network. Everything before it
is linear, so nothing of the full width is upsampled:

* the layer that brings a stage to the common width is multiplied into the kernel of the convolution;
* the finest stage, which is narrow, is upsampled and then convolved;
* of the coarser stages, each of the nine taps of the kernel is applied to the coarse map, and the results are upsampled
  and shifted, which for bilinear interpolation is a product with a small matrix for each axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.heads import upsample_to
from mtl_methods._shared.dynamic_layers import DynamicLinear
from mtl_methods.invpt.resizing import tap_matrices

STRIDE = 4


class TaskAggregation(nn.Module):
    """The maps of all stages, as one map of one task.

    Args:
        widths: channels of the stages; the first is the common width.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.reduce = nn.ModuleList(nn.Conv2d(width, widths[0], kernel_size=1) for width in widths[1:])
        self.convolution = nn.Conv2d(widths[0], widths[0], kernel_size=3, padding=1)
        self.norm = nn.BatchNorm2d(widths[0])
        self.apply_taps = DynamicLinear()
        nn.init.trunc_normal_(self.convolution.weight, std=0.02)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Maps (B, h, w, C) of the stages, coarse to fine -> (B, C', H, W) of the given size."""
        kernel, reduces = self.convolution.weight, cast(Iterable[nn.Conv2d], self.reduce)
        kernels = [kernel, *(composed(kernel, reduce.weight) for reduce in reduces)]
        finest = upsample_to(maps[-1].permute(0, 3, 1, 2), size)
        fine = F.conv2d(finest, kernels[-1], self.convolution.bias, padding=1)
        # A constant is the same at every resolution: the biases of all stages are added to the first stage.
        bias = torch.stack([cast(Tensor, reduce.bias) for reduce in reduces]).sum(0)
        constants = [torch.einsum("oiyx,i->yxo", kernel, bias), *(None for _ in maps[1:-1])]
        combined = self._add_convolved(fine, list(zip(maps[:-1], kernels[:-1], constants, strict=True)))
        return F.relu(self.norm(combined), inplace=True)

    def _add_convolved(self, total: Tensor, levels: Sequence[tuple[Tensor, Tensor, Tensor | None]]) -> Tensor:
        """total (B, C', H, W) + sum over levels of conv3x3(upsample(level)).

        Args:
            total: first summand.
            levels: map (B, h, w, C), kernel (C', C, 3, 3), and for each tap (3, 3, C') a constant that is added to the
                coarse map before it is upsampled, or None.
        """
        batch, channels, height, width = total.shape
        rows, matrices = [], []
        for level, kernel, constant in levels:
            along = tap_matrices(level.shape[2], width, level).movedim(0, 2).flatten(1)
            for row in range(3):
                # (B, h, w, 3 C'): results of the three taps of a row of the kernel. The product with `along` upsamples
                # them along the width, shifts each by the place of its tap, and sums them.
                weight = kernel[:, :, row].permute(2, 0, 1).flatten(0, 1)
                taps = self.apply_taps(level, weight, None if constant is None else constant[row].flatten())
                rows.append((along @ taps.reshape(-1, along.shape[1], channels)).view(batch, -1, width * channels))
            matrices.append(tap_matrices(level.shape[1], height, level).movedim(0, 1).flatten(1))
        stacked, across = torch.cat(rows, 1), torch.cat(matrices, 1)
        flat = total.permute(0, 2, 3, 1).reshape(batch, height, width * channels)
        added = torch.baddbmm(flat, across.expand(batch, -1, -1), stacked)
        return added.view(batch, height, width, channels).permute(0, 3, 1, 2)


def composed(kernel: Tensor, pointwise: Tensor) -> Tensor:
    """Kernel (out, in, 3, 3) of a 3x3 convolution after a 1x1 convolution."""
    return torch.einsum("omyx,mi->oiyx", kernel, pointwise[:, :, 0, 0])
