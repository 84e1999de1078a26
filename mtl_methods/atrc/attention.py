"""Attention of a query map: linear over the image, in a window, and to the contexts of label classes.

All take maps (B, C, ...) and return (B, C, H, W) at the size of the queries. Channels-last maps are read as rows of
tokens without a copy.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

SMALLEST_SUM = 1e-12
"""Least denominator of linear attention."""

WINDOW = 9
"""Width of the window of local attention in the paper."""


def tokens_of(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W, C)."""
    return maps.flatten(2).transpose(1, 2)


def map_of(tokens: Tensor, like: Tensor) -> Tensor:
    """(B, H * W, C) -> (B, C, H, W) with H and W of the map `like`."""
    return tokens.transpose(1, 2).unflatten(2, like.shape[-2:])


def global_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention over all pixels with the dot product itself as the weight: linear in the number of pixels.

    Args:
        queries: (B, C, H, W), not negative.
        keys: (B, C, h, w), not negative.
        values: (B, C', h, w).
    """
    query, key, value = tokens_of(queries), tokens_of(keys), tokens_of(values)
    numerator = query @ (key.transpose(1, 2) @ value)
    denominator = query @ key.sum(1).unsqueeze(2)
    return map_of(numerator / denominator.clamp(min=SMALLEST_SUM), queries)


def label_attention(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Scaled dot-product attention of pixels to the contexts of K classes.

    Args:
        queries: (B, C, H, W).
        keys: (B, C, K, 1).
        values: (B, C', K, 1).
    """
    query, key, value = (tokens_of(maps) for maps in (queries, keys, values))
    # With so few keys the plain products take three quarters of the time of the fused operator.
    weights = (query @ (key * key.shape[2] ** -0.5).transpose(1, 2)).softmax(dim=2)
    return map_of(weights @ value, queries)


def class_contexts(probabilities: Tensor, features: Tensor) -> Tensor:
    """Mean feature of each class, with the probabilities of its pixels as weights.

    Args:
        probabilities: (B, H * W, K), each class a distribution over the pixels.
        features: (B, C, H, W).

    Returns:
        (B, C, K, 1).
    """
    return (probabilities.transpose(1, 2) @ tokens_of(features)).transpose(1, 2).unsqueeze(3)


def over_pixels(logits: Tensor) -> Tensor:
    """Class logits (B, K, H, W) as one distribution over the pixels for each class, (B, H * W, K)."""
    return tokens_of(logits).softmax(dim=1)


@torch.library.custom_op("dense_mtl::local_attention", mutates_args=())
def local_attention(queries: Tensor, keys: Tensor, values: Tensor, window: int) -> Tensor:
    """Scaled dot-product attention of each pixel to a window around it.

    Positions outside the image take part with score 0 and value 0, as in the public CUDA operator: near a border, part
    of the weight is lost to them.

    Args:
        queries: (B, C, H, W).
        keys: (B, C, H, W).
        values: (B, C', H, W).
        window: odd width of the window.

    The queries are cut into tiles of side window - 1, so that the queries of a tile attend to two by two tiles of keys
    by one dense product with a mask. This computes three times as many products as needed, and is many times faster
    than gathering the window of every pixel. It is a custom operator, so that only the needed operations are counted.
    """
    tiles = _tiles(queries, window - 1)
    key, value = (_surroundings(maps, window).flatten(3, 4).flatten(0, 2) for maps in (keys, values))
    mask = _in_window(window, queries.device)
    attended = F.scaled_dot_product_attention(tiles.flatten(3, 4).flatten(0, 2), key, value, attn_mask=mask)
    return _untiled(attended.unflatten(1, tiles.shape[3:5]).unflatten(0, tiles.shape[:3]), queries)


@local_attention.register_fake
def _shape_of_local_attention(queries: Tensor, keys: Tensor, values: Tensor, window: int) -> Tensor:
    batch, _, height, width = queries.shape
    shape = (batch, values.shape[1], height, width)
    return queries.new_empty(shape).contiguous(memory_format=torch.channels_last)


@register_flop_formula(torch.ops.dense_mtl.local_attention)
def _local_attention_flops(
    queries: Any, keys: Any, values: Any, window: int, *others: Any, out_shape: Any = None, **options: Any
) -> int:
    """Two operations for each product of a query with the keys of its window, and of a weight with a value."""
    batch, channels, height, width = queries
    return int(2 * batch * height * width * window**2 * (channels + values[1]))


def _remember(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor, int], output: Tensor) -> None:
    *maps, ctx.window = inputs
    ctx.save_for_backward(*maps)


def _local_attention_gradient(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
    """Gradients of queries, keys and values; the weights are computed again, which is cheaper than keeping them."""
    queries, keys, values = ctx.saved_tensors
    window, scale = ctx.window, queries.shape[1] ** -0.5
    query, upstream = (_tiles(maps, window - 1).flatten(3, 4) for maps in (queries, gradient))
    key, value = (_surroundings(maps, window).flatten(3, 4) for maps in (keys, values))
    scores = (query * scale) @ key.transpose(-2, -1)
    weights = scores.masked_fill(~_in_window(window, queries.device), -torch.inf).softmax(-1)
    to_weights = upstream @ value.transpose(-2, -1)
    to_scores = weights * (to_weights - (weights * to_weights).sum(-1, keepdim=True)) * scale
    side = 2 * (window - 1)
    to_query = (to_scores @ key).unflatten(3, (window - 1, window - 1))
    to_key = (to_scores.transpose(-2, -1) @ query).unflatten(3, (side, side))
    to_value = (weights.transpose(-2, -1) @ upstream).unflatten(3, (side, side))
    return _untiled(to_query, queries), _gathered(to_key, keys), _gathered(to_value, values), None


local_attention.register_autograd(_local_attention_gradient, setup_context=_remember)


def _tiles(maps: Tensor, side: int, before: int = 0) -> Tensor:
    """Cut a map into square tiles, zero-padded by `before` at the top and left and to whole tiles elsewhere.

    If `before` is not 0, the padding along each axis is one tile larger, and there is one more tile along each axis.

    Returns:
        (B, rows, columns, side, side, C).
    """
    height, width = maps.shape[-2:]
    extra = side if before else 0
    bottom, right = (-height) % side + extra - before, (-width) % side + extra - before
    padded = F.pad(maps.movedim(1, -1), (0, 0, before, right, before, bottom))
    return padded.unflatten(2, (-1, side)).unflatten(1, (-1, side)).transpose(2, 3)


def _untiled(tiles: Tensor, like: Tensor) -> Tensor:
    """The map of `_tiles` without padding, cut to the size of the map `like`."""
    height, width = like.shape[-2:]
    rows = tiles.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, :height, :width]
    return rows.movedim(-1, 1).contiguous(memory_format=torch.channels_last)


def _surroundings(maps: Tensor, window: int) -> Tensor:
    """Keys around the queries of each tile: (B, rows, columns, 2 side, 2 side, C) with side = window - 1."""
    cells = _tiles(maps, window - 1, before=window // 2)
    wide = torch.cat([cells[:, :, :-1], cells[:, :, 1:]], dim=4)
    return torch.cat([wide[:, :-1], wide[:, 1:]], dim=3)


def _gathered(surroundings: Tensor, like: Tensor) -> Tensor:
    """The transpose of `_surroundings`: the sum over the tiles for each pixel."""
    side = surroundings.shape[3] // 2
    above, below = surroundings.split(side, dim=3)
    tall = F.pad(above, _one_more(1)) + F.pad(below, _one_more(1, first=True))
    left, right = tall.split(side, dim=4)
    cells = F.pad(left, _one_more(2)) + F.pad(right, _one_more(2, first=True))
    start, (height, width) = side // 2, like.shape[-2:]
    rows = cells.transpose(2, 3).flatten(3, 4).flatten(1, 2)[:, start : start + height, start : start + width]
    return rows.movedim(-1, 1).contiguous(memory_format=torch.channels_last)


def _one_more(axis: int, first: bool = False) -> list[int]:
    """Padding of a tensor of six axes by one element at the end of an axis, or at its beginning."""
    padding = [0] * 12
    padding[2 * (5 - axis) + (0 if first else 1)] = 1
    return padding


def _in_window(window: int, device: torch.device) -> Tensor:
    """Mask of the surroundings that each query of a tile attends to, (side ** 2, 4 side ** 2)."""
    side = window - 1
    reach = torch.arange(2 * side, device=device) - torch.arange(side, device=device).unsqueeze(1)
    near = (reach >= 0) & (reach <= side)
    # Rows and columns of the query, then rows and columns of the surroundings.
    both = near[:, None, :, None] & near[None, :, None, :]
    return both.reshape(side**2, 4 * side**2)
