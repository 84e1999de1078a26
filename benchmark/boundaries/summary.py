"""Summary of the counts of many images: odsF, oisF, AP, and the curve of precision over recall."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.protocols import Protocol

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

STEPS = np.linspace(0.0, 1.0, 100)
"""Positions between two thresholds at which the best F is searched: 0 at the lower one, 1 at the higher one."""


@dataclass(frozen=True)
class Point:
    """Point of the curve: recall R, precision P, and F = 2 P R / (P + R).

    Args:
        threshold: threshold of the point; NaN if each image has its own threshold.
        recall: share of the true boundary pixels that are matched.
        precision: share of the predicted boundary pixels that are matched.
        f: harmonic mean of recall and precision.
    """

    threshold: float
    recall: float
    precision: float
    f: float


@dataclass(frozen=True)
class Summary:
    """Numbers that papers report.

    Args:
        ods: point at the best common threshold of all images.
        ois: point with the best threshold of each image; counts are summed over images first.
        ap: average precision over recall 0, 0.01, ..., 1, within the recall range of the curve.
        curve: recall, precision and F of all images together at each threshold, (thresholds, 3).
    """

    ods: Point
    ois: Point
    ap: float
    curve: Floats


def summarise(counts: Counts, protocol: Protocol) -> Summary:
    """Summarise the counts of a set of images.

    Args:
        counts: (images, thresholds, 4), of at least one image.
        protocol: protocol of the counts.
    """
    curve = points(counts.sum(0), protocol)
    best_of_image = [best_threshold(points(image, protocol), protocol) for image in counts]
    chosen = counts[np.arange(len(counts)), best_of_image].sum(0)
    ods = best_between(curve, protocol) if protocol.interpolated else best_on_grid(curve, protocol)
    recall, precision, f = points(chosen[None], protocol)[0].tolist()
    return Summary(ods, Point(float("nan"), recall, precision, f), average_precision(curve), curve)


def points(counts: Counts, protocol: Protocol) -> Floats:
    """Recall, precision and F, (..., 3), from counts (..., 4).

    Without true or without predicted pixels, `bsds` defines 0 / 0 as 0. `seism` has recall 1 and precision 0 without
    true pixels, recall 0 and precision 1 without predicted pixels. F is 0 in all cases.
    """
    right, true, hit, predicted = np.moveaxis(counts.astype(np.float64), -1, 0)
    recall, precision = right / np.maximum(true, 1), hit / np.maximum(predicted, 1)
    if not protocol.interpolated:
        recall = np.where(predicted == 0, 0.0, np.where(true == 0, 1.0, recall))
        precision = np.where(predicted == 0, 1.0, precision)
    return np.stack([recall, precision, harmonic_mean(recall, precision)], axis=-1)


def harmonic_mean(recall: Floats, precision: Floats) -> Floats:
    """F from recall and precision; 0 if both are 0."""
    both = recall + precision
    return 2 * precision * recall / np.where(both == 0, 1.0, both)


def best_threshold(curve: Floats, protocol: Protocol) -> int:
    """Position of the first threshold with the largest F of an image."""
    f = curve[:, 2]
    if not protocol.interpolated:
        # The published tool reads F back from a text file with six decimals.
        f = np.array([float(f"{value:.6f}") for value in f.tolist()])
    return int(f.argmax())


def best_on_grid(curve: Floats, protocol: Protocol) -> Point:
    """The first point with the largest F among the thresholds."""
    best = int(curve[:, 2].argmax())
    return Point(protocol.thresholds[best], *curve[best].tolist())


def best_between(curve: Floats, protocol: Protocol) -> Point:
    """The point with the largest F on the curve, interpolated linearly between thresholds."""
    line = np.column_stack([protocol.thresholds, curve[:, :2]])
    ahead, behind = line[1:, None], line[:-1, None]
    between = (ahead * STEPS[:, None] + behind * (1 - STEPS[:, None])).reshape(-1, 3)
    candidates = np.concatenate([line[:1], between])
    f = harmonic_mean(candidates[:, 1], candidates[:, 2])
    best = int(f.argmax())
    threshold, recall, precision = candidates[best].tolist()
    return Point(threshold, recall, precision, float(f[best]))


def average_precision(curve: Floats) -> float:
    """Sum of the precision at recall 0, 0.01, ..., 1, divided by 100; beyond the ends of the curve it counts as 0.

    If thresholds have the same recall, the lowest one counts. A curve with a single recall has an area of 0.
    """
    recall, first = np.unique(curve[:, 0], return_index=True)
    if len(recall) < 2:
        return 0.0
    precision = np.interp(np.arange(101) / 100, recall, curve[first, 1], left=0.0, right=0.0)
    return float(precision.sum() / 100)
