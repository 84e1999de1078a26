"""Counts of one image: true and predicted boundary pixels at each threshold, and the matched ones among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.ground_truth import Mask
from benchmark.boundaries.matching import match_sets, tolerance_of
from benchmark.boundaries.protocols import Protocol
from benchmark.boundaries.suppression import suppress
from benchmark.boundaries.thinning import Pixels, thin_sets

Counts = NDArray[np.int64]
"""(thresholds, 4) cntR, sumR, cntP, sumP: matched true pixels, true pixels, matched predicted and predicted pixels.

With several annotators, the first two are sums over annotators, and a predicted pixel counts as matched if one
annotator matches it."""


def count_boundaries(strength: NDArray[Any], truths: Sequence[Mask], protocol: Protocol) -> Counts:
    """Counts of one image.

    Args:
        strength: (H, W) predicted boundary strength: integers 0..255 or floats 0..1.
        truths: (H, W) true boundaries of each annotator, as `true_boundaries` gives them.
        protocol: the evaluation protocol.

    Raises:
        ValueError: if a value is out of range, sizes differ, or there is no annotator.
    """
    _check(strength, truths)
    return count_sets(predicted_sets(in_unit_range(strength, protocol), protocol), truths, protocol)


def count_sets(predicted: tuple[list[Pixels], NDArray[np.int64]], truths: Sequence[Mask], protocol: Protocol) -> Counts:
    """Counts of one image from its predicted pixels, as `predicted_sets` gives them."""
    sets, position = predicted
    matched, found = match_annotators(sets, truths, protocol)
    true = sum(int(truth.sum()) for truth in truths)
    rows = [(right, true, hit, len(each)) for right, hit, each in zip(matched, found, sets, strict=True)]
    return np.array(rows, np.int64)[position]


def in_unit_range(strength: NDArray[Any], protocol: Protocol) -> NDArray[np.floating[Any]]:
    """A map as floats 0..1, in the precision of the protocol."""
    fractions = strength.dtype == np.bool_ or np.issubdtype(strength.dtype, np.floating)
    single, double = strength.astype(np.float32), strength.astype(np.float64)
    if protocol.comparison == ">":
        return single if fractions else single / np.float32(255)
    return double if fractions else double / 255


def predicted_sets(strength: NDArray[np.floating[Any]], protocol: Protocol) -> tuple[list[Pixels], NDArray[np.int64]]:
    """Predicted boundary pixels at each threshold.

    Args:
        strength: (H, W) in 0..1.
        protocol: the evaluation protocol.

    Returns:
        The distinct sets, the smallest first, and the position of the set of each threshold.
    """
    if protocol.suppressed:
        strength = suppress(strength)
    values = strength.reshape(-1)
    order = np.flatnonzero(values > 0)
    order = order[np.argsort(-values[order], kind="stable")]
    ascending = values[order][::-1]
    if protocol.comparison == ">":
        dropped = np.searchsorted(ascending, np.array(protocol.thresholds, values.dtype), side="right")
    else:
        # A pixel of strength 0 is no boundary, even at the threshold 0.
        levels = np.maximum(np.finfo(np.float64).eps, protocol.thresholds)
        dropped = np.searchsorted(ascending, levels, side="left")
    sizes, position = np.unique(len(order) - dropped, return_inverse=True)
    if not protocol.thinned:
        return [np.sort(order[:size]) for size in sizes], position
    left = thin_sets(order, sizes.tolist(), (strength.shape[0], strength.shape[1]))
    return [order[positions] for positions in left], position


def match_annotators(sets: Sequence[Pixels], truths: Sequence[Mask], protocol: Protocol) -> tuple[list[int], list[int]]:
    """Matched true pixels of all annotators, and predicted pixels matched by any annotator, per predicted set."""
    shape = truths[0].shape
    tolerance = tolerance_of((shape[0], shape[1]), protocol.max_distance)
    matched = [0] * len(sets)
    found = [np.zeros(len(each), np.bool_) for each in sets]
    for annotator, truth in enumerate(truths):
        number = annotator if len(truths) > 1 else None
        for which, mates in enumerate(match_sets(sets, np.flatnonzero(truth), tolerance, number)):
            hit = mates >= 0
            matched[which] += int(hit.sum())
            found[which] |= hit
    return matched, [int(hit.sum()) for hit in found]


def _check(strength: NDArray[Any], truths: Sequence[Mask]) -> None:
    if not truths:
        raise ValueError("no ground truth to match with")
    for truth in truths:
        if truth.shape != strength.shape or strength.ndim != 2:
            raise ValueError(f"prediction {strength.shape} and ground truth {truth.shape} differ in size")
    top = 1 if np.issubdtype(strength.dtype, np.floating) or strength.dtype == np.bool_ else 255
    if strength.size and not (strength.min() >= 0 and strength.max() <= top):
        raise ValueError(f"boundary strength must lie in 0..{top}, found {strength.min():g}..{strength.max():g}")
