"""A training batch that is split over devices: sums, shares and random numbers of the whole batch, from a part of it.

Outside of `split_batch` there is one part, the whole batch, and every function returns its argument or draws as usual.
Within `split_batch` a process holds consecutive rows of the batch, and the loss of a part is its share: the sum of the
shares over all parts is the loss of the batch. So a sum over pixels is divided by a count from `sum_over_parts`, and a
value that is equal on all parts is divided by `num_parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

_split = False


@contextmanager
def split_batch() -> Iterator[None]:
    """Within the block, every process of the default process group holds one part of a batch."""
    with _splitting(dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
        yield


@contextmanager
def whole_batch() -> Iterator[None]:
    """Within the block, every process holds the whole batch, as after `gather_rows`."""
    with _splitting(False):
        yield


@contextmanager
def _splitting(split: bool) -> Iterator[None]:
    global _split  # noqa: PLW0603
    before, _split = _split, split
    try:
        yield
    finally:
        _split = before


def num_parts() -> int:
    """Number of parts of the batch; 1 outside of `split_batch`."""
    return dist.get_world_size() if _split else 1


def sum_over_parts(values: Tensor) -> Tensor:
    """Sum of a tensor over all parts, without a gradient, such as a number of valid pixels."""
    if not _split:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total


def share(value: Tensor) -> Tensor:
    """Share of this part: its value divided by `num_parts`.

    Args:
        value: a value that all parts compute alike, or a mean over the images of this part.
    """
    return value / num_parts() if _split else value


def random_rows(shape: Sequence[int], draw: Callable[[tuple[int, ...]], Tensor] = torch.rand) -> Tensor:
    """Random numbers of the rows of this part: the numbers of the whole batch are drawn, in the order of its rows.

    Args:
        shape: shape of the part, rows first.
        draw: draws a tensor of the given shape.
    """
    rows, *rest = shape
    whole = draw((rows * num_parts(), *rest))
    return own_rows(whole) if _split else whole


def own_rows(whole: Tensor) -> Tensor:
    """Rows of this part in a tensor of the whole batch."""
    rows = len(whole) // num_parts()
    first = dist.get_rank() * rows if _split else 0
    return whole[first : first + rows]


def gather_rows(part: Tensor) -> Tensor:
    """Rows of all parts, with a gradient: the sum of the gradients of all processes reaches the rows of each."""
    if not _split:
        return part
    gathered: Tensor = _GatherRows.apply(part) if part.requires_grad else _gathered(part)
    return gathered


def _gathered(part: Tensor) -> Tensor:
    part = part.detach().contiguous()
    # Not every backend exchanges booleans.
    sent = part.to(torch.uint8) if part.dtype == torch.bool else part
    received = [torch.empty_like(sent) for _ in range(num_parts())]
    dist.all_gather(received, sent)
    return torch.cat(received).to(part.dtype)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: Tensor) -> Tensor:
        ctx.rows = len(part)
        return _gathered(part)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Low precision is for storage, not for sums.
        total = gradient.float().contiguous() if gradient.dtype != torch.float64 else gradient.clone()
        dist.all_reduce(total)
        first = dist.get_rank() * ctx.rows
        return total[first : first + ctx.rows].to(gradient.dtype)
