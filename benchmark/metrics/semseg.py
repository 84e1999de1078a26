"""Semantic segmentation: mean intersection over union and pixel accuracy.

Metric card
-----------
* **Symbols**: I_c labelled pixels of class c in both prediction and target, U_c in at least one of them; C classes; n
  labelled pixels.
* **Valid pixels**: labelled pixels (255 marks unlabelled pixels in a target, 0 in a file). Predictions at unlabelled
  pixels do not count.
* **Resolution**: resolution of the recipe's test frames. The model resizes its logits before it selects the most likely
  class; a metric never resizes.
* **Pooling**: areas are summed over all images of the split, then divided: one confusion matrix for the split, not a
  mean over images.
* **Source**: Everingham et al., "The Pascal Visual Object Classes Challenge", IJCV 2010; areas by mmsegmentation's
  `IoUMetric.intersect_and_union`.
* **Deviations**: a class that is neither labelled nor predicted counts 0, as in the code of MTL-PyTorch, ATRC and
  InvPT; in the code of MTAN and LibMTL it is 0 / 0 and the mean is NaN. ASTMT scores 41 classes, including the
  background; MTAN 13 classes at 288x384. MTL-PyTorch squeezes images to 480x640 and resizes predictions back;
  torchmetrics' MeanIoU averages over images.

`mIoU`
* **Formula**: `100 / C * sum over c of I_c / U_c`

`pixAcc`
* **Formula**: `100 * sum over c of I_c / n`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from mmseg.evaluation import IoUMetric
from torch import Tensor

from benchmark.metrics.base import Integers, TaskMetric, percent
from benchmark.tasks import IGNORE_LABEL


@dataclass(frozen=True)
class SegmentationAreas:
    """Labelled pixels of one image by class, (C,) each: intersection, union, and target area."""

    intersection: Integers
    union: Integers
    labelled: Integers


def segmentation_metrics(images: Sequence[SegmentationAreas]) -> dict[str, float]:
    """Metrics over all labelled pixels of a split; empty without labelled pixels.

    Returns:
        mIoU: mean over all C classes of intersection / union, in percent; a class that is neither labelled nor
            predicted counts 0.
        pixAcc: share of labelled pixels with the right class, in percent.
    """
    intersection, union, labelled = (
        [int(area) for area in np.sum([getattr(image, name) for image in images], axis=0)] if images else []
        for name in ("intersection", "union", "labelled")
    )
    if not sum(labelled):
        return {}
    ious = [inter / both if both else 0.0 for inter, both in zip(intersection, union, strict=True)]
    return {"mIoU": percent(math.fsum(ious), len(ious)), "pixAcc": percent(sum(intersection), sum(labelled))}


class SegmentationMetric(TaskMetric[SegmentationAreas]):
    """Segmentation metrics over the split, by mmsegmentation's area counts; `task.channels` classes."""

    def measure(self, prediction: Tensor, target: Tensor) -> SegmentationAreas:
        """Areas of one image.

        Args:
            prediction: (1, H, W) classes.
            target: (1, H, W) classes, 255 for unlabelled.

        Raises:
            ValueError: for a class that the task does not have.
        """
        intersection, union, predicted, labelled = IoUMetric.intersect_and_union(
            prediction[0], target[0].to(prediction), self.task.channels, IGNORE_LABEL
        )
        pixels = int((target != IGNORE_LABEL).sum())
        self._check_counts("prediction", prediction, int(predicted.sum()), pixels)
        self._check_counts("target", target, int(labelled.sum()), pixels)
        # Counts in float32 are exact up to 2^24 pixels per image, but sums over a split are not.
        return SegmentationAreas(*(area.numpy().astype(np.int64) for area in (intersection, union, labelled)))

    def metrics(self, images: Sequence[SegmentationAreas]) -> dict[str, float]:
        """See `segmentation_metrics`."""
        return segmentation_metrics(images)

    def _check_counts(self, kind: str, classes: Tensor, counted: int, pixels: int) -> None:
        if counted != pixels:
            raise ValueError(
                f"{self.task.name}: {pixels - counted} labelled pixels have a {kind} class outside "
                f"0..{self.task.channels - 1}; classes found: {np.unique(classes.numpy()).tolist()[:60]}"
            )
