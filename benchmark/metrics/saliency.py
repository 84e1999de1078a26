"""Saliency: the largest F of the split in its two published definitions, and intersection over union.

Metric card
-----------
* **Symbols**: P precision and R recall of the pixels whose probability passes a threshold t, I and U their intersection
  and union with the foreground; F = (1 + b) P R / (b P + R). 0 / 0 counts as 0 unless stated otherwise.
* **Valid pixels**: labelled pixels; an image without labelled pixels does not count.
* **Resolution**: resolution of the recipe's test frames. The model resizes its logits before the logistic function; a
  metric never resizes.
* **Pooling**: P, R, I and U over all labelled pixels of the split together.
* **Source**: Achanta et al., "Frequency-tuned Salient Region Detection", CVPR 2009 (F with b = 0.3).
* **Deviations**: two metrics are called maxF. ATRC, InvPT and later tables pool over all pixels (`maxF`; InvPT's own
  code applies the logistic function twice, so only four of its thresholds have an effect). ASTMT and the survey of
  MTL-PyTorch average over images (`maxF@image`), and call `maxIoU@image` mIoU. The labels of PASCAL-Context are
  predictions of another network.

`maxF`
* **Formula**: `100 * max over t = 0.05, 0.10, ..., 0.95 of F, b = 0.3, probability >= t`

`maxF@image`
* **Formula**: `100 * max over t = 0.20, 0.25, ..., 0.90 of F of the mean P and R, b = 1, probability > t`
* **Pooling**: P and R of each image first, then their means over images.

`maxIoU@image`
* **Formula**: `100 * max over t = 0.20, 0.25, ..., 0.90 of the mean of I / U, probability > t`
* **Pooling**: each image first, 1 if an image has neither true nor predicted foreground, then the mean over images.

`IoU`
* **Formula**: `100 * I / U, probability >= 0.5`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from benchmark.metrics.base import Floats, Integers, TaskMetric, as_floats, percent

STEPS = 20
THRESHOLDS: Floats = (np.arange(1, STEPS) / STEPS).astype(np.float32).astype(np.float64)
"""0.05, 0.10, ..., 0.95, in float32 like the probabilities."""

BETA_SQUARED = 0.3
ASTMT_FIRST, ASTMT_LAST = 4, 18
"""Thresholds of ASTMT, 0.2 to 0.9: the 4th to the 18th of `THRESHOLDS`."""


@dataclass(frozen=True)
class SaliencyCounts:
    """Labelled pixels of one image by the number of thresholds (0..19) that their probability passes.

    Args:
        reached: (2, 20) pixels of background and foreground, by the number of thresholds t with probability >= t.
        exceeded: (2, 20) pixels of background and foreground, by the number of thresholds t with probability > t.
        not_a_number: pixels without a probability.
    """

    reached: Integers
    exceeded: Integers
    not_a_number: int


@dataclass(frozen=True)
class _Hits:
    """Numbers of pixels per threshold: correctly predicted, predicted and true foreground."""

    correct: Floats
    predicted: Floats
    foreground: float


def saliency_counts(probability: Floats, target: Floats) -> SaliencyCounts:
    """Counts of one image.

    Args:
        probability: (N,) of the foreground, in 0..1, at the labelled pixels.
        target: (N,) mask; 0.5 and more is foreground.

    Raises:
        ValueError: if a probability lies outside 0..1.
    """
    missing = np.isnan(probability)
    known, foreground = probability[~missing], target[~missing] >= 0.5
    if known.size and not (known.min() >= 0 and known.max() <= 1):
        raise ValueError(
            f"mask predictions must be probabilities in 0..1, found {known.min():g}..{known.max():g}; "
            "apply the logistic function or a softmax to logits"
        )
    reached = np.searchsorted(THRESHOLDS, known, side="right")
    # One less if the probability equals the last threshold that it reaches.
    exceeded = reached - ((reached > 0) & (THRESHOLDS[reached - 1] == known))
    return SaliencyCounts(_tally(reached, foreground), _tally(exceeded, foreground), int(missing.sum()))


def saliency_metrics(images: Sequence[SaliencyCounts]) -> dict[str, float]:
    """Metrics over the labelled pixels of a split, in percent.

    Empty without labelled pixels; every number is NaN if a prediction is NaN.

    With P and R the precision and the recall of the pixels whose probability passes a threshold t:

        F = (1 + b2) P R / (b2 P + R)

    Returns:
        maxF: P and R over all labelled pixels of the split together, b2 = 0.3, probability >= t, the largest F of
            t = 0.05, 0.10, ..., 0.95. This is the "maxF" of the ATRC, InvPT and later tables. (InvPT's own code applies
            the logistic function twice, so only four of its thresholds have an effect.)
        maxF@image: P and R of each image, their means over the images, b2 = 1, probability > t, the largest F of
            t = 0.20, 0.25, ..., 0.90. ASTMT and the survey's code call this number maxF.
        maxIoU@image: intersection over union of the foreground in each image, 1 if an image has neither true nor
            predicted foreground; the largest mean over the images at the same thresholds; "mIoU" in ASTMT and the
            survey.
        IoU: intersection over union of the foreground over all labelled pixels, probability >= 0.5.

    Valid pixels are the labelled pixels; an image without labelled pixels does not count. 0 / 0 counts as 0, except for
    maxIoU@image.
    """
    labelled = [image for image in images if image.reached.sum() + image.not_a_number]
    if not labelled:
        return {}
    if any(image.not_a_number for image in labelled):
        return dict.fromkeys(("maxF", "maxF@image", "maxIoU@image", "IoU"), math.nan)
    pooled = _hits(np.sum([image.reached for image in labelled], axis=0))
    half = STEPS // 2 - 1
    union = pooled.predicted[half] + pooled.foreground - pooled.correct[half]
    return {
        "maxF": percent(_largest_f(*_precision_and_recall(pooled), BETA_SQUARED), 1),
        **_means_of_images([_hits(image.exceeded) for image in labelled]),
        "IoU": percent(float(pooled.correct[half]), float(union)) if union else 0.0,
    }


class SaliencyMetric(TaskMetric[SaliencyCounts]):
    """Saliency metrics of (1, H, W) probabilities of the foreground."""

    def measure(self, prediction: Tensor, target: Tensor) -> SaliencyCounts:
        """Counts over the labelled pixels of one image, both (1, H, W)."""
        valid = self._valid(target)
        return saliency_counts(as_floats(prediction, valid)[0], as_floats(target, valid)[0])

    def metrics(self, images: Sequence[SaliencyCounts]) -> dict[str, float]:
        """See `saliency_metrics`."""
        return saliency_metrics(images)


def _tally(passed: Integers, foreground: np.ndarray) -> Integers:
    counts: Integers = np.bincount(passed + STEPS * foreground, minlength=2 * STEPS).reshape(2, STEPS)
    return counts


def _hits(counts: Integers) -> _Hits:
    """Pixels that pass each threshold, from pixels by the number of passed thresholds."""
    passed = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return _Hits(passed[1].astype(np.float64), passed.sum(axis=0).astype(np.float64), float(counts[1].sum()))


def _precision_and_recall(hits: _Hits) -> tuple[Floats, Floats]:
    return _share(hits.correct, hits.predicted), _share(hits.correct, np.full_like(hits.correct, hits.foreground))


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _largest_f(precision: Floats, recall: Floats, beta_squared: float) -> float:
    return float(_share((1 + beta_squared) * precision * recall, beta_squared * precision + recall).max())


def _means_of_images(images: Sequence[_Hits]) -> dict[str, float]:
    """ASTMT's numbers."""
    used = slice(ASTMT_FIRST - 1, ASTMT_LAST)
    parts = [_precision_and_recall(image) for image in images]
    precision, recall = (_mean([part[position][used] for part in parts]) for position in (0, 1))
    ious = _mean([_iou(image)[used] for image in images])
    return {"maxF@image": percent(_largest_f(precision, recall, 1.0), 1), "maxIoU@image": percent(float(ious.max()), 1)}


def _iou(image: _Hits) -> Floats:
    union = image.predicted + image.foreground - image.correct
    return np.where(union > 0, _share(image.correct, union), 1.0)


def _mean(rows: Sequence[Floats]) -> Floats:
    """Mean over images, correctly rounded, so it does not depend on their order."""
    return np.array([math.fsum(column) / len(rows) for column in zip(*rows, strict=True)])
