"""One-to-one matching of predicted with true boundary pixels; see `matching_loops` for the objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries import matching_loops as loops
from benchmark.boundaries.compiled import loop_values

Pixels = NDArray[np.int64]
"""Ascending positions in raster order, row * width + column."""

LARGEST_BONUS = 2**31
LARGEST_GAIN = 2**60


class Tolerance(NamedTuple):
    """Largest distance between matched pixels, and the costs of matches, in integers.

    Args:
        height: height of the image.
        width: width of the image.
        half: largest column distance for each row distance from 0.
        weight: (rows, rows) rint(100 d) by row and column distance.
        lost: cost of a missing match, ceil(10000 R).
    """

    height: int
    width: int
    half: NDArray[np.int64]
    weight: NDArray[np.int64]
    lost: int


def tolerance_of(shape: tuple[int, int], max_distance: float) -> Tolerance:
    """Compute the tolerance of an image.

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
    """Match several predictions of one image with one ground truth, independently of each other.

    Args:
        predictions: boundary pixels of each prediction. Matching is faster if consecutive predictions are similar.
        truth: the true boundary pixels.
        tolerance: tolerance of the image.
        annotator: number of the annotator if an image has several; None if only the number of matches is needed.

    Returns:
        Per prediction, the position in `truth` of the match of each predicted pixel, -1 for no match. With an
        annotator, the set of matched pixels is unique; without, only the number and the distances of matches are.
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
    """Number of pixels before each position in raster order, (H W + 1,)."""
    before = np.zeros(tolerance.height * tolerance.width + 1, np.int32)
    before[pixels + 1] = 1
    return np.cumsum(before, dtype=np.int32)


def bonuses(pixels: Pixels, matches: int, lost: int, annotator: int | None) -> tuple[NDArray[np.int64], int]:
    """Bonus of a match of each predicted pixel, and the scale of one unit of cost.

    The sum of all bonuses is less than one unit of cost. With an annotator they are pseudo-random numbers, so that two
    sets of pixels practically never have the same sum.

    Args:
        pixels: predicted pixels.
        matches: upper bound of the number of pairs.
        lost: largest cost of a pair.
        annotator: see `match_sets`.
    """
    if annotator is None:
        return np.ones(len(pixels), np.int64), matches + 1
    largest = max(1, min(LARGEST_BONUS, LARGEST_GAIN // ((lost + 1) * (matches + 1))))
    # The finaliser of SplitMix64 mixes position and annotator.
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
