"""Hidden vectors relu(xy + xz + yz) of one head on rays along z, without the volume of all vectors in memory.

The first layer of a head is applied to the planes before they are read, so a hidden vector is the ReLU of a sum of
three vectors. Two operations use it: the dot product with a vector (density) and the weighted sum along a ray (tasks;
their last layer follows the sum). Both recompute it in their backward pass.

Shapes: xy (B, H, W, N), xz (B, W, D, N), yz (B, H, D, N), weights and products (B, H, W, D), vector (N,).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from regularizers.three_d_aware import cpu_kernels

LARGEST_CHUNK = 2**24
"""Elements of the volume that tensor operations hold at once: 64 MiB in float32."""


class AxisHidden:
    """Hidden vectors on rays along z.

    Args:
        xy: (B, H, W, N), summand of each pixel.
        xz: (B, W, D, N), summand of each column and sample.
        yz: (B, H, D, N), summand of each row and sample.
        row_chunk: rows that tensor operations hold at once; None for as many as fit in `LARGEST_CHUNK`. The kernels of
            `cpu_kernels` hold none.

    Attributes:
        samples: the sizes (B, H, W, D).
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
    """Hidden vectors of any points, as a volume (B, H, W, D, N) in memory."""

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
        if cpu_kernels.usable(xy, xz, yz, weights):
            return cpu_kernels.composite(xy, xz, yz, weights)
        return torch.cat(
            [
                torch.einsum("bhwd,bhwdn->bhwn", weights[:, rows], volume)
                for rows, volume in chunks(xy, xz, yz, row_chunk)
            ],
            dim=1,
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of planes and weights."""
        xy, xz, yz, weights = ctx.saved_tensors
        if cpu_kernels.usable(xy, xz, yz, weights, gradient):
            return *cpu_kernels.composite_gradient(xy, xz, yz, weights, gradient.contiguous()), None
        to_planes = PlaneGradients(xy, xz, yz)
        to_weights = torch.empty_like(weights)
        for rows, volume in chunks(xy, xz, yz, ctx.row_chunk):
            to_weights[:, rows] = torch.einsum("bhwn,bhwdn->bhwd", gradient[:, rows], volume)
            to_planes.add(rows, volume, weights[:, rows, :, :, None] * gradient[:, rows, :, None])
        return *to_planes.sums, to_weights, None


class Project(torch.autograd.Function):
    """Dot products of hidden vectors with one vector."""

    @staticmethod
    def forward(ctx: Any, xy: Tensor, xz: Tensor, yz: Tensor, vector: Tensor, row_chunk: int | None) -> Tensor:
        """See `AxisHidden.project`."""
        ctx.save_for_backward(xy, xz, yz, vector)
        ctx.row_chunk = row_chunk
        if cpu_kernels.usable(xy, xz, yz, vector):
            return cpu_kernels.project(xy, xz, yz, vector.contiguous())
        return torch.cat([volume @ vector for _, volume in chunks(xy, xz, yz, row_chunk)], dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of planes and vector."""
        xy, xz, yz, vector = ctx.saved_tensors
        if cpu_kernels.usable(xy, xz, yz, vector, gradient):
            return *cpu_kernels.project_gradient(xy, xz, yz, vector.contiguous(), gradient.contiguous()), None
        to_planes = PlaneGradients(xy, xz, yz)
        to_vector = torch.zeros_like(vector)
        for rows, volume in chunks(xy, xz, yz, ctx.row_chunk):
            to_vector += torch.einsum("bhwd,bhwdn->n", gradient[:, rows], volume)
            to_planes.add(rows, volume, gradient[:, rows, :, :, None] * vector)
        return *to_planes.sums, to_vector, None


class PlaneGradients:
    """Gradients of the planes, summed over chunks of rows."""

    def __init__(self, xy: Tensor, xz: Tensor, yz: Tensor) -> None:
        self.sums = (torch.empty_like(xy), torch.zeros_like(xz), torch.empty_like(yz))

    def add(self, rows: slice, volume: Tensor, gradient: Tensor) -> None:
        """Add the gradient (B, h, W, D, N) of a chunk, which is changed in place."""
        gradient.masked_fill_(volume <= 0, 0)
        xy, xz, yz = self.sums
        xy[:, rows] = gradient.sum(3)
        xz += gradient.sum(1)
        yz[:, rows] = gradient.sum(2)


def chunks(xy: Tensor, xz: Tensor, yz: Tensor, row_chunk: int | None) -> Iterator[tuple[slice, Tensor]]:
    """Slices of rows, each with its part (B, h, W, D, N) of the volume."""
    batch, height, width, hidden = xy.shape
    most = row_chunk or max(1, LARGEST_CHUNK // (batch * width * xz.shape[2] * hidden))
    for top in range(0, height, most):
        rows = slice(top, min(top + most, height))
        volume = xy[:, rows, :, None] + xz[:, None]
        yield rows, volume.add_(yz[:, rows, None]).relu_()
