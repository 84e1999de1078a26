"""One-to-one matching of predicted with true boundary pixels; what is minimised stands in `matching_loops`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries import matching_loops as loops
from benchmark.boundaries.compiled import loop_values

Pixels = NDArray[np.int64]
"""Places in raster order, row * width + column, ascending."""

LARGEST_BONUS = 2**31
LARGEST_GAIN = 2**60


class Tolerance(NamedTuple):
    """How far apart two pixels may be, in integers.

    Args:
        height: of the image.
        width: of the image.
        half: largest column distance by row distance, 0 and more rows.
        weight: (rows, rows) rint(100 d) by row and column distance.
        lost: what a match that is lacking costs, ceil(10000 R).
    """

    height: int
    width: int
    half: NDArray[np.int64]
    weight: NDArray[np.int64]
    lost: int


def tolerance_of(shape: tuple[int, int], max_distance: float) -> Tolerance:
    """The tolerance of an image.

    Args:
        shape: height and width.
        max_distance: largest distance of a pair as a share of the image diagonal.
    """
    height, width = shape
    radius = max_distance * math.sqrt(height * height + width * width)
    steps = np.arange(int(radius) + 1, dtype=np.int64)
    squared = steps[:, None] ** 2 + steps**2
    half = (squared <= radius * radius).sum(1) - 1
    weight = np.rint(100 * np.sqrt(squared)).astype(np.int64)
    return Tolerance(height, width, half, weight, lost=math.ceil(100 * 100 * radius))


def match_sets(
    predictions: Sequence[Pixels], truth: Pixels, tolerance: Tolerance, annotator: int | None = None
) -> list[Pixels]:
    """Match several predictions of one image with one ground truth, each on its own.

    Args:
        predictions: their boundary pixels. The more alike neighbours in the sequence are, the faster it is.
        truth: the true boundary pixels.
        tolerance: of the image.
        annotator: number of the ground truth where there are several; None where only the number of matches counts.

    Returns:
        Per prediction, the matched true pixel of each predicted pixel as a position in `truth`, -1 for none. Which
        pixels are matched is well defined for a given annotator; without one their number and distances are.
    """
    if not predictions:
        return []
    everyone = np.concatenate(predictions)
    ends = np.cumsum([len(each) for each in predictions], dtype=np.int64)
    seen = np.zeros(tolerance.height * tolerance.width, np.bool_)
    seen[everyone] = True
    pixels = np.flatnonzero(seen)
    bonus, scale = bonuses(pixels, len(truth), tolerance.lost, annotator)
    first = places_before(pixels, tolerance)
    near = _side(pixels, first, bonus, tolerance, present=0)
    far = _side(truth, places_before(truth, tolerance), np.zeros(len(truth), np.int64), tolerance, present=1)
    mates = loop_values(np.full(len(everyone), loops.NONE, np.int32))
    loops.match_in_turn(
        loop_values(first[everyone]),
        loop_values(ends),
        loop_values(np.zeros(len(pixels), np.int32)),
        near,
        far,
        _window(tolerance, scale),
        _search(max(len(pixels), len(truth))),
        mates,
    )
    return np.split(np.asarray(mates, np.int64), ends[:-1])


def places_before(pixels: Pixels, tolerance: Tolerance) -> NDArray[np.int32]:
    """(H W + 1,) how many of the pixels come before each place in raster order."""
    before = np.zeros(tolerance.height * tolerance.width + 1, np.int32)
    before[pixels + 1] = 1
    return np.cumsum(before, dtype=np.int32)


def bonuses(pixels: Pixels, matches: int, lost: int, annotator: int | None) -> tuple[NDArray[np.int64], int]:
    """What a match of each predicted pixel gains on top, and what one unit of cost is worth.

    All bonuses together are worth less than one unit. With an annotator they are pseudo-random numbers, so that in
    effect no two sets of pixels are worth the same.

    Args:
        pixels: predicted pixels.
        matches: no matching has more pairs.
        lost: largest cost of a pair.
        annotator: see `match_sets`.
    """
    if annotator is None:
        return np.ones(len(pixels), np.int64), matches + 1
    largest = max(1, min(LARGEST_BONUS, LARGEST_GAIN // ((lost + 1) * (matches + 1))))
    # The finaliser of SplitMix64 mixes the place and the annotator.
    mixed = pixels.astype(np.uint64) + np.uint64((annotator + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed % np.uint64(largest)).astype(np.int64) + 1, matches * largest + 1


def _side(
    pixels: Pixels, first: NDArray[np.int32], bonus: NDArray[np.int64], tolerance: Tolerance, present: int
) -> loops.Side:
    row, column = np.divmod(pixels, tolerance.width)
    prices, mates = np.zeros(len(pixels), np.int64), np.full(len(pixels), loops.NONE, np.int32)
    here = np.full(len(pixels), present, np.uint8)
    return loops.Side(*map(loop_values, (row, column, first, bonus, prices, mates, here)))


def _window(tolerance: Tolerance, scale: int) -> loops.Window:
    steps = np.abs(np.arange(1 - len(tolerance.half), len(tolerance.half)))
    gain = (tolerance.lost - tolerance.weight[np.ix_(steps, steps)]) * scale
    return loops.Window(
        tolerance.height,
        tolerance.width,
        len(tolerance.half) - 1,
        loop_values(tolerance.half[steps]),
        loop_values(gain.reshape(-1)),
    )


def _search(count: int) -> loops.Search:
    indices = (loop_values(np.zeros(count, np.int32)) for _ in range(4))
    return loops.Search(loop_values(np.full(count, loops.FAR, np.int64)), *indices)
