"""Boundaries: a pixelwise average precision to watch a training by; it is not the odsF of the tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from benchmark.metrics.base import Floats, Integers, TaskMetric, as_floats, percent

BINS = 255
"""Bins of equal width over 0..1; published maps are stored with 8 bits."""


@dataclass(frozen=True)
class BoundaryCounts:
    """Labelled pixels of one image by predicted probability, (255,) each: on a boundary, and elsewhere."""

    positive: Integers
    negative: Integers
    not_a_number: int


def boundary_counts(probability: Floats, target: Floats) -> BoundaryCounts:
    """Counts of one image.

    Args:
        probability: (N,) in 0..1, at the labelled pixels.
        target: (N,) boundary strength; 0.5 and more is a boundary.

    Raises:
        ValueError: if a probability lies outside 0..1.
    """
    missing = np.isnan(probability)
    known, boundary = probability[~missing], target[~missing] >= 0.5
    if known.size and not (known.min() >= 0 and known.max() <= 1):
        raise ValueError(
            f"boundary predictions must be probabilities in 0..1, found {known.min():g}..{known.max():g}; "
            "apply the logistic function to logits"
        )
    bins = np.minimum((known * BINS).astype(np.int64), BINS - 1)
    return BoundaryCounts(
        positive=np.bincount(bins[boundary], minlength=BINS),
        negative=np.bincount(bins[~boundary], minlength=BINS),
        not_a_number=int(missing.sum()),
    )


def boundary_metrics(images: Sequence[BoundaryCounts]) -> dict[str, float]:
    """Metrics over all labelled pixels of a split.

    Returns:
        ap@pixel: area under the steps of precision over recall, in percent, where a pixel is right only if it lies on
            a true boundary: no tolerance in position, no thinning, no matching. The headline odsF@seism has all
            three and is another number. Absent where no pixel is a boundary.
    """
    if not images:
        return {}
    positive = np.sum([image.positive for image in images], axis=0)[::-1]
    negative = np.sum([image.negative for image in images], axis=0)[::-1]
    if any(image.not_a_number for image in images):
        return {"ap@pixel": math.nan}
    found, reported = np.cumsum(positive), np.cumsum(positive + negative)
    if not found[-1]:
        return {}
    rows = zip(positive.tolist(), found.tolist(), reported.tolist(), strict=True)
    terms = [hits * right / said for hits, right, said in rows if said]
    return {"ap@pixel": percent(math.fsum(terms), int(found[-1]))}


class BoundaryMetric(TaskMetric[BoundaryCounts]):
    """Counts of (1, H, W) probabilities."""

    def measure(self, prediction: Tensor, target: Tensor) -> BoundaryCounts:
        """Counts over the labelled pixels of one image, both (1, H, W)."""
        valid = self._valid(target)
        return boundary_counts(as_floats(prediction, valid)[0], as_floats(target, valid)[0])

    def metrics(self, images: Sequence[BoundaryCounts]) -> dict[str, float]:
        """See `boundary_metrics`."""
        return boundary_metrics(images)
