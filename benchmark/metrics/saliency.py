"""Saliency: the largest F of the split in its two published definitions, and intersection over union.

Metric card
-----------
* **Symbols**: P precision and R recall of the pixels whose probability passes a threshold t, I and U their intersection
  and union with the foreground; F = (1 + b) P R / (b P + R). 0 / 0 counts 0 where nothing else is said.
* **Valid pixels**: the labelled ones; an image without any does not count.
* **Resolution**: that of the test frames of the recipe. The model brings its logits to it before the logistic function;
  a metric never resizes.
* **Pooling**: P, R, I and U over all labelled pixels of the split together.
* **Source**: Achanta et al., "Frequency-tuned Salient Region Detection", CVPR 2009 (F with b = 0.3).
* **Deviations**: two numbers are called maxF. ATRC, InvPT and later tables have the one over all pixels (`maxF`;
  InvPT's own code applies the logistic function twice, which leaves four of its thresholds). ASTMT and the survey of
  MTL-PyTorch have the one over images (`maxF@image`), and call `maxIoU@image` mIoU. The labels of PASCAL-Context are
  distilled.

`maxF`
* **Formula**: `100 * max over t = 0.05, 0.10, ..., 0.95 of F, b = 0.3, probability >= t`

`maxF@image`
* **Formula**: `100 * max over t = 0.20, 0.25, ..., 0.90 of F of the mean P and R, b = 1, probability > t`
* **Pooling**: P and R of each image first, then their means over images.

`maxIoU@image`
* **Formula**: `100 * max over t = 0.20, 0.25, ..., 0.90 of the mean of I / U, probability > t`
* **Pooling**: each image first, 1 where there is no foreground and none is reported, then the mean over images.

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
"""0.05, 0.10, ..., 0.95, as float32 like the probabilities that they are compared with."""

BETA_SQUARED = 0.3
ASTMT_FIRST, ASTMT_LAST = 4, 18
"""ASTMT compares with 0.2 to 0.9 only, the 4th to the 18th of `THRESHOLDS`."""


@dataclass(frozen=True)
class SaliencyCounts:
    """Labelled pixels of one image, by the number of thresholds (0..19) that their probability passes.

    Args:
        reached: (2, 20) pixels of background and foreground whose probability is at least so many thresholds.
        exceeded: the same for a probability above the thresholds; another number where the two are equal.
        not_a_number: pixels without a probability.
    """

    reached: Integers
    exceeded: Integers
    not_a_number: int


@dataclass(frozen=True)
class _Hits:
    """Pixels per threshold: foreground that is found, all that is reported, and how much foreground there is."""

    right: Floats
    said: Floats
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
    # One less where the last threshold that is reached is met exactly.
    exceeded = reached - ((reached > 0) & (THRESHOLDS[reached - 1] == known))
    return SaliencyCounts(_tally(reached, foreground), _tally(exceeded, foreground), int(missing.sum()))


def saliency_metrics(images: Sequence[SaliencyCounts]) -> dict[str, float]:
    """Metrics over the labelled pixels of a split, in percent.

    With P and R the precision and the recall of the pixels whose probability passes a threshold t:

        F = (1 + b2) P R / (b2 P + R)

    Returns:
        maxF: P and R over all labelled pixels of the split together, b2 = 0.3, probability >= t, the largest F of
            t = 0.05, 0.10, ..., 0.95. ATRC defines it so, and it is the "maxF" of the ATRC, InvPT and later tables.
            (InvPT's own code applies the logistic function twice, so that four of its thresholds are left.)
        maxF@image: P and R of each image, their means over the images, b2 = 1, probability > t, the largest F of
            t = 0.20, 0.25, ..., 0.90. ASTMT and the survey's code report this one, under the same name.
        maxIoU@image: intersection over union of the foreground in each image, 1 where there is none and none is
            reported, its mean over the images, the largest of the same thresholds; "mIoU" in ASTMT and the survey.
        IoU: intersection over union of the foreground over all labelled pixels, probability >= 0.5.

    Valid pixels are the labelled ones; an image without any does not count. 0 / 0 counts 0, but for maxIoU@image.
    """
    labelled = [image for image in images if image.reached.sum() + image.not_a_number]
    if not labelled:
        return {}
    if any(image.not_a_number for image in labelled):
        return dict.fromkeys(("maxF", "maxF@image", "maxIoU@image", "IoU"), math.nan)
    pooled = _hits(np.sum([image.reached for image in labelled], axis=0))
    half = STEPS // 2 - 1
    union = pooled.said[half] + pooled.foreground - pooled.right[half]
    return {
        "maxF": percent(_largest_f(*_precision_and_recall(pooled), BETA_SQUARED), 1),
        **_means_of_images([_hits(image.exceeded) for image in labelled]),
        "IoU": percent(float(pooled.right[half]), float(union)) if union else 0.0,
    }


class SaliencyMetric(TaskMetric[SaliencyCounts]):
    """Counts of (1, H, W) probabilities of the foreground."""

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
    """From pixels by the number of thresholds passed: pixels that pass each threshold."""
    passed = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1][:, 1:]
    return _Hits(passed[1].astype(np.float64), passed.sum(axis=0).astype(np.float64), float(counts[1].sum()))


def _precision_and_recall(hits: _Hits) -> tuple[Floats, Floats]:
    return _share(hits.right, hits.said), _share(hits.right, np.full_like(hits.right, hits.foreground))


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
    union = image.said + image.foreground - image.right
    return np.where(union > 0, _share(image.right, union), 1.0)


def _mean(rows: Sequence[Floats]) -> Floats:
    """Mean over images, correctly rounded, so that their order does not matter."""
    return np.array([math.fsum(column) / len(rows) for column in zip(*rows, strict=True)])
