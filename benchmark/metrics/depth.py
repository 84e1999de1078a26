"""Depth: root mean square error, relative and logarithmic errors, threshold accuracies.

Metric card
-----------
* **Symbols**: p predicted and g true depth of a pixel in metres; n valid pixels; r = max(p / g, g / p).
* **Valid pixels**: pixels with a true depth, 0 < g < infinity. A prediction p <= 0 becomes 1e-9 m before every metric.
* **Resolution**: resolution of the recipe's test frames. The model resizes its prediction; a metric never resizes.
* **Pooling**: sums over all valid pixels of the split, then one division and root; images with more valid pixels weigh
  more.
* **Source**: Eigen, Puhrsch, Fergus, "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network",
  NeurIPS 2014.
* **Deviations**: MTL-PyTorch, ATRC and InvPT pool over pixels like `rmse@pixel`, ASTMT averages over images like
  `rmse@image` (its mask has no effect, since it replaces zeros before it tests for them). TaskPrompter and MLoRE count
  0 < g < 80 only. ATRC sets p <= 0 to 0 and ignores g = 0, but its transform changes missing depth to 255 m; in-painted
  depth has no missing pixels. MTAN averages |p - g| and |p - g| / g over batches. A few predictions that are not
  positive dominate `logRmse`, here as in the public code.

`rmse@pixel`
* **Formula**: `sqrt(sum (p - g)^2 / n)`

`rmse@image`
* **Formula**: `mean over images of sqrt(sum (p - g)^2 / n)`
* **Pooling**: each image first; every image with a valid pixel has the same weight.

`absRel`
* **Formula**: `sum |p - g| / g / n`

`sqRel`
* **Formula**: `sum (p - g)^2 / g / n`

`logRmse`
* **Formula**: `sqrt(sum (ln p - ln g)^2 / n)`

`delta1`
* **Formula**: `100 * share of pixels with r < 1.25`

`delta2`
* **Formula**: `100 * share of pixels with r < 1.25^2`

`delta3`
* **Formula**: `100 * share of pixels with r < 1.25^3`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from benchmark.metrics.base import Floats, TaskMetric, as_floats, percent, total

SMALLEST = 1e-9
"""Metres. Replaces predictions that are not positive before every metric, as in the published code. A few such pixels
dominate logRmse."""


@dataclass(frozen=True)
class DepthSums:
    """Sums over the valid pixels of one image; prediction p and truth g in metres.

    Args:
        pixels: number of valid pixels.
        squared: (p - g)^2.
        relative: |p - g| / g.
        squared_relative: (p - g)^2 / g.
        squared_log: (ln p - ln g)^2.
        within1: pixels with max(p / g, g / p) < 1.25.
        within2: pixels with max(p / g, g / p) < 1.25^2.
        within3: pixels with max(p / g, g / p) < 1.25^3.
    """

    pixels: int
    squared: float
    relative: float
    squared_relative: float
    squared_log: float
    within1: int
    within2: int
    within3: int


def depth_sums(prediction: Floats, target: Floats) -> DepthSums:
    """Sums of one image.

    Args:
        prediction: (N,) metres at the valid pixels.
        target: (N,) metres, positive.
    """
    depth = np.where(prediction <= 0, SMALLEST, prediction)
    error = np.abs(depth - target)
    ratio = np.maximum(depth / target, target / depth)
    return DepthSums(
        pixels=len(target),
        squared=float(np.sum(error**2)),
        relative=float(np.sum(error / target)),
        squared_relative=float(np.sum(error**2 / target)),
        squared_log=float(np.sum((np.log(depth) - np.log(target)) ** 2)),
        within1=int(np.count_nonzero(ratio < 1.25)),
        within2=int(np.count_nonzero(ratio < 1.25**2)),
        within3=int(np.count_nonzero(ratio < 1.25**3)),
    )


def depth_metrics(images: Sequence[DepthSums]) -> dict[str, float]:
    """Metrics over all valid pixels of a split; empty without valid pixels.

    Returns:
        rmse@pixel: root of the mean over all valid pixels, in metres.
        rmse@image: mean over images of the root of each image's mean, in metres, as in ASTMT.
        absRel, sqRel, logRmse: mean relative, squared relative (m), root mean square logarithmic error.
        delta1, delta2, delta3: share of pixels within a factor of 1.25, 1.25^2, 1.25^3, in percent.
    """
    pixels = sum(image.pixels for image in images)
    if not pixels:
        return {}
    per_image = [math.sqrt(image.squared / image.pixels) for image in images if image.pixels]
    return {
        "rmse@pixel": math.sqrt(total(images, "squared") / pixels),
        "rmse@image": math.fsum(per_image) / len(per_image),
        "absRel": total(images, "relative") / pixels,
        "sqRel": total(images, "squared_relative") / pixels,
        "logRmse": math.sqrt(total(images, "squared_log") / pixels),
        "delta1": percent(sum(image.within1 for image in images), pixels),
        "delta2": percent(sum(image.within2 for image in images), pixels),
        "delta3": percent(sum(image.within3 for image in images), pixels),
    }


class DepthMetric(TaskMetric[DepthSums]):
    """Depth metrics of (1, H, W) predictions in metres."""

    def measure(self, prediction: Tensor, target: Tensor) -> DepthSums:
        """Sums over the valid pixels of one image, both (1, H, W) in metres."""
        valid = self._valid(target)
        return depth_sums(as_floats(prediction, valid)[0], as_floats(target, valid)[0])

    def metrics(self, images: Sequence[DepthSums]) -> dict[str, float]:
        """See `depth_metrics`."""
        return depth_metrics(images)
