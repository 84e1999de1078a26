"""Boundaries: odsF and oisF of the published protocol, and a pixelwise average precision.

Metric card
-----------
* **Symbols**: at a threshold and over all images, sumP predicted and sumR true boundary pixels, of which cntP and
  cntR are matched; P = cntP / sumP, R = cntR / sumR, F = 2 P R / (P + R).
* **Valid pixels**: labelled pixels (255 marks unlabelled ones). Both maps are set to 0 at unlabelled pixels first, so
  these are neither predicted nor true boundaries. If all pixels are labelled, this is the published protocol.
* **Resolution**: resolution of the recipe's test frames. The model resizes its logits before the logistic function; a
  metric never resizes. The distance of a match is relative to the image diagonal.
* **Pooling**: counts are summed over images at each threshold, then divided.
* **Source**: Pont-Tuset, Marques, "Supervised Evaluation of Image Segmentation and Object Proposal Techniques", PAMI
  2016 (the tool SEISM); Martin, Fowlkes, Malik, "Learning to Detect Natural Image Boundaries Using Local Brightness,
  Color, and Texture Cues", PAMI 2004.
* **Deviations**: SEISM matches by an optimiser with random choices, seeded by the clock. Its F varies by up to 0.1
  points per image, and it misses some matches; here the matching is optimal and deterministic. Multi-task papers read
  the drawn edges as a segmentation (`@seism`), which shifts and sometimes merges lines; the edges as drawn
  (`@seism-direct`) give numbers that differ by points. MTL-PyTorch scores PASCAL-Context only, without suppression and
  with >=. Papers on boundary detection use 99 thresholds, interpolate the best F and suppress maps before the
  evaluation: `tools/evaluate_boundaries.py --protocol bsds`.

`odsF@seism`
* **Formula**: `100 * max over thresholds of F` for the prediction in 8 bits (255 p, truncated), after non-maximum
  suppression, 101 thresholds (0.001, 0.01, 0.02, ..., 0.99, 0.999; strictly above), thinning, and one-to-one matching
  within `max_distance` of the diagonal: 0.011 on NYUD-v2, 0.0075 on PASCAL-Context. True boundaries: pixels of the
  drawn map that differ from the right, lower or lower right neighbour, thinned. On PASCAL-Context, the label map is
  used in place of the drawn map; the prepared copy holds its outlines.

`oisF@seism`
* **Formula**: `100 * F of the counts of each image at its own best threshold, summed`

`odsF@seism-direct`
* **Formula**: `100 * max over thresholds of F` as `odsF@seism`, with the drawn boundaries as true boundaries.

`ap@pixel`
* **Formula**: `100 * area under the steps of precision over recall`, where a pixel is correct only if it lies on a
  true boundary: no tolerance in position, no suppression, no thinning, no matching, 255 thresholds.
* **Source**: none; use it to monitor a training.
* **Deviations**: no published definition exists.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark.boundaries.protocols import SEISM, Variant
from benchmark.metrics.base import Floats, Integers, TaskMetric, as_floats, percent
from benchmark.tasks import Task

BINS = 255
"""Bins of equal width over 0..1; published maps are stored with 8 bits."""

VARIANTS: tuple[Variant, ...] = ("seism", "direct")
"""Variants of the ground truth: the variant of the papers, and the drawn boundaries."""


@dataclass(frozen=True)
class BoundaryCounts:
    """Counts of one image.

    Args:
        positive: (255,) labelled pixels on a true boundary, by bin of the predicted probability.
        negative: (255,) the other labelled pixels, by bin of the predicted probability.
        not_a_number: labelled pixels without a probability.
        matched: (101, 4) cntR, sumR, cntP, sumP at each threshold, for each of `VARIANTS`.
    """

    positive: Integers
    negative: Integers
    not_a_number: int
    matched: tuple[Integers, ...] = ()


def boundary_counts(probability: Floats, target: Floats) -> BoundaryCounts:
    """Pixelwise counts of one image.

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


def matched_counts(
    probability: NDArray[np.float32], drawn: NDArray[np.bool_], max_distance: float, outlined: bool
) -> tuple[Integers, ...]:
    """Counts of one image after matching, for each of `VARIANTS`.

    Args:
        probability: (H, W) in 0..1, zero where unlabelled. As in the papers, it is first converted to 8 bits: 255 times
            the probability, truncated.
        drawn: (H, W) boundaries of the data set.
        max_distance: largest distance of matched pixels as a share of the image diagonal.
        outlined: see `BoundaryMetric`.
    """
    # Imported here, since importing numba takes as long as a small evaluation.
    from benchmark.boundaries.counting import count_sets, in_unit_range, predicted_sets
    from benchmark.boundaries.ground_truth import annotation_of, true_boundaries

    protocol = replace(SEISM, max_distance=max_distance)
    stored = (probability * np.float32(255)).astype(np.uint8)
    predicted = predicted_sets(in_unit_range(stored, protocol), protocol)
    if outlined:
        return (count_sets(predicted, [drawn], protocol),) * len(VARIANTS)
    annotation = annotation_of(drawn)
    return tuple(count_sets(predicted, [true_boundaries(annotation, variant)], protocol) for variant in VARIANTS)


def boundary_metrics(images: Sequence[BoundaryCounts]) -> dict[str, float]:
    """Metrics over all labelled pixels of a split, in percent.

    Empty without labelled pixels; every number is NaN if a prediction is NaN.

    Returns:
        odsF@seism: F = 2 P R / (P + R) at the best of 101 thresholds for the whole split, where precision P and recall
            R count predicted and true boundary pixels that are matched one to one within `max_distance`, after
            non-maximum suppression and thinning. True boundaries are the thinned outlines of the drawn boundaries, as
            in the tool of Pont-Tuset and Marques that papers use.
        oisF@seism: F with the best threshold of each image. (Only `tools/evaluate_boundaries.py` reports the published
            AP. This AP is limited to the recall range of the curve, so it is 0 for a perfect map of 0 and 1, whose
            curve is a point.)
        odsF@seism-direct: odsF with the drawn boundaries as true boundaries.
        ap@pixel: area under the steps of precision over recall, where a pixel is correct only if it lies on a true
            boundary: no tolerance in position, no thinning, no matching. Missing if no pixel is a boundary.

    Pixels without a label are neither true nor predicted boundaries: both maps are set to 0 first.
    """
    if not any(image.positive.any() or image.negative.any() or image.not_a_number for image in images):
        return {}
    return matched_metrics(images) | pixel_metrics(images)


def matched_metrics(images: Sequence[BoundaryCounts]) -> dict[str, float]:
    """Metrics after matching, see `boundary_metrics`."""
    from benchmark.boundaries.summary import summarise

    broken = any(image.not_a_number for image in images)
    found: dict[str, float] = {}
    for variant, counts in zip(VARIANTS, zip(*(image.matched for image in images), strict=True), strict=True):
        protocol = replace(SEISM, ground_truth=variant)
        summary = summarise(np.stack(counts), protocol)
        values = {"odsF": summary.ods.f, "oisF": summary.ois.f}
        # `direct` is used by no paper, so only its odsF is reported.
        names = values if variant == SEISM.ground_truth else ("odsF",)
        found |= {f"{name}@{protocol.label}": math.nan if broken else percent(values[name], 1) for name in names}
    return found


def pixel_metrics(images: Sequence[BoundaryCounts]) -> dict[str, float]:
    """Metrics without matching, see `boundary_metrics`."""
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
    """Boundary metrics of (1, H, W) probabilities.

    Args:
        task: task to measure.
        max_distance: largest distance of matched pixels as a share of the image diagonal: 0.011 on NYUD-v2, 0.0075 on
            PASCAL-Context.
        outlined: True if the stored boundaries are already the thinned outlines of a segmentation, as for
            PASCAL-Context. `seism` then uses them unchanged.
        collect_device: see `TaskMetric`.
        collect_dir: see `TaskMetric`.
    """

    def __init__(
        self,
        task: Task,
        max_distance: float = SEISM.max_distance,
        outlined: bool = False,
        collect_device: str = "cpu",
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(task, collect_device=collect_device, collect_dir=collect_dir)
        self.max_distance = max_distance
        self.outlined = outlined

    def measure(self, prediction: Tensor, target: Tensor) -> BoundaryCounts:
        """Counts over the labelled pixels of one image, both (1, H, W)."""
        valid = self._valid(target)
        counts = boundary_counts(as_floats(prediction, valid)[0], as_floats(target, valid)[0])
        probability = np.where(valid, np.nan_to_num(prediction[0].to(torch.float32).numpy()), np.float32(0))
        drawn = valid & (target[0].numpy() >= 0.5)
        return replace(counts, matched=matched_counts(probability, drawn, self.max_distance, self.outlined))

    def metrics(self, images: Sequence[BoundaryCounts]) -> dict[str, float]:
        """See `boundary_metrics`."""
        return boundary_metrics(images)
