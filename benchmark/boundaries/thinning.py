"""Thinning of binary maps until nothing changes, as MATLAB's `bwmorph(map, "thin", Inf)`.

Source: Lam, Lee, Suen, "Thinning methodologies: a comprehensive survey", IEEE PAMI 14(9), 1992, page 879, as cited by
`bwmorph`. Two passes alternate; a pass tests all pixels by their eight neighbours before it removes any. A pixel is
tested again only after a neighbour was removed, so the work grows with the boundary, not with the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.compiled import compiled, loop_values

Pixels = NDArray[np.int64]
"""Positions in raster order, row * width + column."""

AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))
"""Row and column of the eight neighbours, counterclockwise from the right one, which is the lowest bit of a pattern."""


class Work(NamedTuple):
    """Arrays that the passes read and write.

    Args:
        marks: state of each pixel of an image with a border of one pixel: 0 background, 1 foreground, plus 2 and 4
            while the pixel waits for the first and the second pass.
        around: offsets of the eight neighbours.
        removable: for both passes, 1 for each of the 256 patterns of neighbours whose middle is removed.
        queue: positions that wait for the first pass; in the second half, positions that wait for the second pass.
        waiting: number of positions in each half of the queue.
        doomed: positions that a pass removes.
    """

    marks: Any
    around: Any
    removable: Any
    queue: Any
    waiting: Any
    doomed: Any


@compiled
def judge(second: int, work: Work) -> int:
    """Collect the waiting pixels that a pass removes; returns their number."""
    marks, around, start, removed = work.marks, work.around, second * len(work.doomed), 0
    for at in range(start, start + work.waiting[second]):
        place = work.queue[at]
        if marks[place] == 0:
            continue
        marks[place] &= 3 if second else 5
        pattern = 0
        for neighbour in range(8):
            pattern |= (marks[place + around[neighbour]] & 1) << neighbour
        if work.removable[256 * second + pattern]:
            work.doomed[removed] = place
            removed += 1
    work.waiting[second] = 0
    return removed


@compiled
def remove(removed: int, work: Work) -> None:
    """Remove pixels, and queue their neighbours for both passes."""
    marks, waiting, capacity = work.marks, work.waiting, len(work.doomed)
    for at in range(removed):
        marks[work.doomed[at]] = 0
    for at in range(removed):
        for neighbour in range(8):
            place = work.doomed[at] + work.around[neighbour]
            mark = marks[place]
            if mark == 0:
                continue
            if mark & 2 == 0:
                work.queue[waiting[0]] = place
                waiting[0] += 1
            if mark & 4 == 0:
                work.queue[capacity + waiting[1]] = place
                waiting[1] += 1
            marks[place] = 7


@compiled
def thin_in_turn(pixels: Any, counts: Any, work: Work, thinned: Any, ends: Any) -> None:
    """Thin nested maps one after the other; each map consists of the first `counts[i]` of the pixels.

    Args:
        pixels: positions in the image with a border.
        counts: number of pixels of each map.
        work: arrays with `marks` all 0.
        thinned: output, the remaining pixels of all maps, in the order of `pixels`.
        ends: output, end of each map in `thinned`.
    """
    capacity, written = len(work.doomed), 0
    for turn in range(len(counts)):
        for at in range(counts[turn]):
            work.marks[pixels[at]] = 7
            work.queue[at] = pixels[at]
            work.queue[capacity + at] = pixels[at]
        work.waiting[0] = counts[turn]
        work.waiting[1] = counts[turn]
        second = 0
        while work.waiting[0] + work.waiting[1] > 0:
            remove(judge(second, work), work)
            second = 1 - second
        for at in range(counts[turn]):
            if work.marks[pixels[at]]:
                thinned[written] = at
                written += 1
            work.marks[pixels[at]] = 0
        ends[turn] = written


@cache
def removable_patterns() -> NDArray[np.uint8]:
    """Table (512,) for both passes: 1 for each pattern of neighbours whose middle pixel is removed."""
    x = [(np.arange(256) >> bit) & 1 == 1 for bit in (*range(8), 0)]
    corners = (0, 2, 4, 6)
    crossings = np.sum([~x[k] & (x[k + 1] | x[k + 2]) for k in corners], axis=0)
    pairs = [np.sum([x[k + shift] | x[k + shift + 1] for k in corners], axis=0) for shift in (0, 1)]
    fewest = np.minimum(*pairs)
    thick = (crossings == 1) & (fewest >= 2) & (fewest <= 3)
    first = thick & ~((x[1] | x[2] | ~x[7]) & x[0])
    second = thick & ~((x[5] | x[6] | ~x[3]) & x[4])
    return np.concatenate([first, second]).astype(np.uint8)


def thin_sets(pixels: Pixels, counts: Sequence[int], shape: tuple[int, int]) -> list[NDArray[np.int64]]:
    """Thin nested maps; each map consists of the first `counts[i]` of the same pixels.

    Args:
        pixels: distinct positions, in any order.
        counts: number of pixels of each map.
        shape: (H, W) of the image.

    Returns:
        Per map, the ascending indices in `pixels` of the remaining pixels.
    """
    height, width = shape
    row, column = np.divmod(pixels, width)
    places = (row + 1) * (width + 2) + column + 1
    around = np.array([down * (width + 2) + right for down, right in AROUND])
    marks = np.zeros((height + 2) * (width + 2), np.uint8)
    queue, waiting, doomed = (np.zeros(length, np.int64) for length in (2 * len(pixels), 2, len(pixels)))
    work = Work(*map(loop_values, (marks, around, removable_patterns(), queue, waiting, doomed)))
    thinned = loop_values(np.zeros(sum(counts), np.int32))
    ends = loop_values(np.zeros(len(counts), np.int64))
    thin_in_turn(loop_values(places), loop_values(np.array(counts, np.int64)), work, thinned, ends)
    written, stops = np.asarray(thinned, np.int64), np.asarray(ends, np.int64)
    return np.split(written[: stops[-1]], stops[:-1]) if len(counts) else []


def thin(boundary: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin a binary map (H, W) until nothing changes."""
    pixels = np.flatnonzero(boundary)
    left = np.zeros(boundary.shape, np.bool_)
    left.flat[pixels[thin_sets(pixels, [len(pixels)], boundary.shape)[0]]] = True
    return left
