"""The hidden volume relu(xy + xz + yz) of one head, which is never held as a whole.

On rays along z the first layer of a head is applied to the planes before they are read, so a hidden vector is a sum of
three that are known. Two things are asked of it: its dot product with a vector (the density) and its weighted sum along
the ray (the tasks, whose last layer comes after the sum). Both recompute it in their backward pass.

Shapes: xy (B, H, W, N), xz (B, W, D, N), yz (B, H, D, N), weights and products (B, H, W, D), vector (N,).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from regularizers.three_d_aware import fused

LARGEST_CHUNK = 2**24
"""Numbers in the part of the volume that tensor operations hold at once: 64 MiB in float32."""


class AxisHidden:
    """The hidden volume on rays along z.

    Args:
        xy: per pixel.
        xz: per column and sample.
        yz: per row and sample.
        row_chunk: rows that tensor operations hold at once; None for what fits in `LARGEST_CHUNK`. A CPU holds none.

    Attributes:
        samples: (B, H, W, D).
    """

    def __init__(self, xy: Tensor, xz: Tensor, yz: Tensor, row_chunk: int | None = None) -> None:
        self.planes = (xy.contiguous(), xz.contiguous(), yz.contiguous())
        self.row_chunk = row_chunk
        self.samples = (*xy.shape[:3], xz.shape[2])

    def project(self, vector: Tensor) -> Tensor:
        """(B, H, W, D) dot products with (N,)."""
        products: Tensor = Project.apply(*self.planes, vector, self.row_chunk)
        return products

    def composite(self, weights: Tensor) -> Tensor:
        """(B, H, W, N) weighted sums along the rays."""
        sums: Tensor = Composite.apply(*self.planes, weights.contiguous(), self.row_chunk)
        return sums


class DenseHidden:
    """The same of a volume (B, H, W, D, N) that is held, as at points off the axis."""

    def __init__(self, volume: Tensor) -> None:
        self.volume = volume
        self.samples = volume.shape[:4]

    def project(self, vector: Tensor) -> Tensor:
        """See `AxisHidden`."""
        return self.volume @ vector

    def composite(self, weights: Tensor) -> Tensor:
        """See `AxisHidden`."""
        return (weights.unsqueeze(-2) @ self.volume).squeeze(-2)


class Composite(torch.autograd.Function):
    """Weighted sums of hidden vectors along rays."""

    @staticmethod
    def forward(ctx: Any, xy: Tensor, xz: Tensor, yz: Tensor, weights: Tensor, row_chunk: int | None) -> Tensor:
        """See `AxisHidden.composite`."""
        ctx.save_for_backward(xy, xz, yz, weights)
        ctx.row_chunk = row_chunk
        if fused.usable(xy, xz, yz, weights):
            return fused.composite(xy, xz, yz, weights)
        return torch.cat(
            [
                torch.einsum("bhwd,bhwdn->bhwn", weights[:, rows], volume)
                for rows, volume in chunks(xy, xz, yz, row_chunk)
            ],
            dim=1,
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the planes and of the weights."""
        xy, xz, yz, weights = ctx.saved_tensors
        if fused.usable(xy, xz, yz, weights, given):
            return *fused.composite_gradient(xy, xz, yz, weights, given.contiguous()), None
        to_planes = PlaneGradients(xy, xz, yz)
        to_weights = torch.empty_like(weights)
        for rows, volume in chunks(xy, xz, yz, ctx.row_chunk):
            to_weights[:, rows] = torch.einsum("bhwn,bhwdn->bhwd", given[:, rows], volume)
            to_planes.add(rows, volume, weights[:, rows, :, :, None] * given[:, rows, :, None])
        return *to_planes.sums, to_weights, None


class Project(torch.autograd.Function):
    """Dot products of hidden vectors with one vector."""

    @staticmethod
    def forward(ctx: Any, xy: Tensor, xz: Tensor, yz: Tensor, vector: Tensor, row_chunk: int | None) -> Tensor:
        """See `AxisHidden.project`."""
        ctx.save_for_backward(xy, xz, yz, vector)
        ctx.row_chunk = row_chunk
        if fused.usable(xy, xz, yz, vector):
            return fused.project(xy, xz, yz, vector.contiguous())
        return torch.cat([volume @ vector for _, volume in chunks(xy, xz, yz, row_chunk)], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, given: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the planes and of the vector."""
        xy, xz, yz, vector = ctx.saved_tensors
        if fused.usable(xy, xz, yz, vector, given):
            return *fused.project_gradient(xy, xz, yz, vector.contiguous(), given.contiguous()), None
        to_planes = PlaneGradients(xy, xz, yz)
        to_vector = torch.zeros_like(vector)
        for rows, volume in chunks(xy, xz, yz, ctx.row_chunk):
            to_vector += torch.einsum("bhwd,bhwdn->n", given[:, rows], volume)
            to_planes.add(rows, volume, given[:, rows, :, :, None] * vector)
        return *to_planes.sums, to_vector, None


class PlaneGradients:
    """Sums of the gradients of the planes, over chunks of rows."""

    def __init__(self, xy: Tensor, xz: Tensor, yz: Tensor) -> None:
        self.sums = (torch.empty_like(xy), torch.zeros_like(xz), torch.empty_like(yz))

    def add(self, rows: slice, volume: Tensor, gradient: Tensor) -> None:
        """Take the gradient (B, h, W, D, N) of a chunk, which is changed in place."""
        gradient.masked_fill_(volume <= 0, 0)
        xy, xz, yz = self.sums
        xy[:, rows] = gradient.sum(3)
        xz += gradient.sum(1)
        yz[:, rows] = gradient.sum(2)


def chunks(xy: Tensor, xz: Tensor, yz: Tensor, row_chunk: int | None) -> Iterator[tuple[slice, Tensor]]:
    """Bands of rows, each with its part (B, h, W, D, N) of the volume."""
    batch, height, width, hidden = xy.shape
    most = row_chunk or max(1, LARGEST_CHUNK // (batch * width * xz.shape[2] * hidden))
    for top in range(0, height, most):
        rows = slice(top, min(top + most, height))
        volume = xy[:, rows, :, None] + xz[:, None]
        yield rows, volume.add_(yz[:, rows, None]).relu_()
