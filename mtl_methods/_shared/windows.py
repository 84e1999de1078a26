"""Sums over the square window around each position, with weights that differ between positions.

They run as one shifted product per place in the window, image by image, which stays in the cache of a CPU. Gathering
the windows first (`F.unfold`) multiplies the memory by the size of the window, and takes 20 times as long on a CPU core
for 32 maps of 64x30x40 and windows of 3x3. The same holds for the gradients, so each operation has its own backward
pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable


def window_products(queries: Tensor, keys: Tensor, radius: int) -> Tensor:
    """Inner products of each position with the positions of its window, row by row.

    Args:
        queries: (B, C, h, w).
        keys: (B, C, h, w).
        radius: the window is 2 * radius + 1 wide.

    Returns:
        (B, (2 * radius + 1)**2, h, w), 0 where the window leaves the map.
    """
    products: Tensor = _Products.apply(queries, keys, radius)
    return products


def window_sum(weights: Tensor, maps: Tensor) -> Tensor:
    """Weighted sum of each window.

    Args:
        weights: (B, K, h, w), K the square of an odd number, row by row.
        maps: (B, C, h, w), zero beyond the border.

    Returns:
        (B, C, h, w).
    """
    total: Tensor = _Sum.apply(weights.to(maps.dtype), maps)
    return total


def window_inside(size: tuple[int, int], radius: int, device: torch.device) -> Tensor:
    """Mask of the places of each window that lie on the map: ((2 * radius + 1)**2, h, w), boolean."""
    padded = F.pad(torch.ones(size, dtype=torch.bool, device=device), (radius,) * 4)
    return torch.stack([padded[rows, columns] for rows, columns in _places(size, radius)])


def _places(size: tuple[int, int], radius: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the map, shifted by each place of the window, in a map padded by `radius`."""
    for row in range(2 * radius + 1):
        for column in range(2 * radius + 1):
            yield slice(row, row + size[0]), slice(column, column + size[1])


def _products(queries: Tensor, keys: Tensor, radius: int) -> Tensor:
    # Sums over the channels are fast for planes.
    queries, padded = queries.contiguous(), F.pad(keys.contiguous(), (radius,) * 4)
    places = list(_places((queries.shape[2], queries.shape[3]), radius))
    products = queries.new_empty(len(queries), len(places), *queries.shape[2:])
    buffer = torch.empty_like(queries[0])
    for image, (query, key) in enumerate(zip(queries, padded, strict=True)):
        for place, (rows, columns) in enumerate(places):
            products[image, place] = torch.mul(query, key[:, rows, columns], out=buffer).sum(0)
    return products


def _sum(weights: Tensor, maps: Tensor, radius: int) -> Tensor:
    weights, padded = weights.contiguous(), F.pad(maps.contiguous(), (radius,) * 4)
    places = list(_places((maps.shape[2], maps.shape[3]), radius))
    total = torch.zeros_like(maps, memory_format=torch.contiguous_format)
    for sums, shares, values in zip(total, weights, padded, strict=True):
        for share, (rows, columns) in zip(shares, places, strict=True):
            sums.addcmul_(share, values[:, rows, columns])
    return total


def _spread(weights: Tensor, maps: Tensor, radius: int) -> Tensor:
    """Transpose of `_sum`: each position is added, weighted, to all positions of its window."""
    weights, maps = weights.contiguous(), maps.contiguous()
    batch, channels, height, width = maps.shape
    places = list(_places((height, width), radius))
    padded = maps.new_zeros(batch, channels, height + 2 * radius, width + 2 * radius)
    for sums, shares, values in zip(padded, weights, maps, strict=True):
        for share, (rows, columns) in zip(shares, places, strict=True):
            sums[:, rows, columns].addcmul_(share, values)
    return padded[..., radius : radius + height, radius : radius + width]


class _Products(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, radius: int) -> Tensor:
        ctx.save_for_backward(queries, keys)
        ctx.radius = radius
        return _products(queries, keys, radius)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        queries, keys = ctx.saved_tensors
        return _sum(gradient, keys, ctx.radius), _spread(gradient, queries, ctx.radius), None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, maps: Tensor) -> Tensor:
        ctx.save_for_backward(weights, maps)
        ctx.radius = (round(weights.shape[1] ** 0.5) - 1) // 2
        return _sum(weights, maps, ctx.radius)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        weights, maps = ctx.saved_tensors
        return _products(gradient, maps, ctx.radius), _spread(weights, gradient, ctx.radius)
