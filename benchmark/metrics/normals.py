"""Surface normals: mean, median and root mean square of the angular error, threshold accuracies.

Metric card
-----------
* **Symbols**: p predicted and g true normal of a pixel, both scaled to unit length; n valid pixels; a = 2 atan2(|p -
  g|, |p + g|) in degrees, 90 for a prediction without length.
* **Valid pixels**: pixels with a true normal that is finite and not zero.
* **Resolution**: resolution of the recipe's test frames. The model resizes its prediction before the scaling to unit
  length; a metric never resizes.
* **Pooling**: over all valid pixels of the split together.
* **Source**: Fouhey, Gupta, Hebert, "Data-Driven 3D Primitives for Single Image Understanding", ICCV 2013.
* **Deviations**: MTL-PyTorch takes arccos after storing predictions with 8 bits (25.559 instead of 25.550 degrees on a
  test input), reads validity from the first component alone, and its meter prints the mean under the name rmse. ATRC
  and InvPT use atan2 as here, and report the mean only. Normals stored with 8 bits, as in ATRC's release, cannot be
  zero, so missing normals count as a random direction. Every release computes normals from depth in another way, so
  errors on different releases are not comparable.

`mean@pixel`
* **Formula**: `sum a / n`

`median`
* **Formula**: `middle value of all a`
* **Pooling**: over all valid pixels of the split together, from a histogram with a relative error of at most 8e-6.

`rmse`
* **Formula**: `sqrt(sum a^2 / n)`

`11.25`
* **Formula**: `100 * share of pixels with a < 11.25`

`22.5`
* **Formula**: `100 * share of pixels with a < 22.5`

`30`
* **Formula**: `100 * share of pixels with a < 30`
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from benchmark.metrics.base import Floats, Integers, TaskMetric, as_floats, percent, total
from benchmark.metrics.histogram import AngleHistogram, encode

THRESHOLDS = ("11.25", "22.5", "30")
"""Thresholds in degrees, written as in published tables."""


@dataclass
class AngleSums:
    """Sums over the valid pixels of one image.

    Args:
        pixels: number of valid pixels.
        angles: sum of the angular errors, in degrees.
        squared: sum of their squares.
        within: pixels below each of `THRESHOLDS`.
        codes: the errors from `histogram.encode`; empty after their move into a histogram.
        histogram: errors of this and other images; `NormalsMetric` moves them into the histogram of the first image.
    """

    pixels: int
    angles: float
    squared: float
    within: tuple[int, ...]
    codes: Integers
    histogram: AngleHistogram | None = field(default=None)


def angular_error(prediction: Floats, target: Floats) -> Floats:
    """Angle between predicted and true normals, in degrees.

    Args:
        prediction: (3, N), any length; the zero vector has the error 90.
        target: (3, N), any length but zero.

    Returns:
        (N,) in [0, 180].

    2 atan2(|p - g|, |p + g|) of unit vectors is used, since acos loses precision below one degree.
    """
    # An infinite prediction has no direction: its angle is NaN, without a warning.
    with np.errstate(invalid="ignore"):
        p, g = _unit(prediction), _unit(target)
        angles: Floats = np.degrees(2 * np.arctan2(_length(p - g), _length(p + g)))
    return angles


def angle_sums(angles: Floats) -> AngleSums:
    """Sums of one image, from the angular errors (N,) of its valid pixels in degrees."""
    return AngleSums(
        pixels=len(angles),
        angles=float(np.sum(angles)),
        squared=float(np.sum(angles**2)),
        within=tuple(int(np.count_nonzero(angles < float(threshold))) for threshold in THRESHOLDS),
        codes=encode(np.nan_to_num(angles, nan=180.0)),
    )


def normals_metrics(images: Sequence[AngleSums]) -> dict[str, float]:
    """Metrics over all valid pixels of a split; empty without valid pixels.

    Returns:
        mean@pixel, median, rmse: of the angular error, in degrees.
        11.25, 22.5, 30: share of pixels with a smaller error, in percent.
    """
    pixels = sum(image.pixels for image in images)
    if not pixels:
        return {}
    values = metrics_of_sums(images)
    median = math.nan if math.isnan(values["mean@pixel"]) else _merged(images, pixels).median()
    return {"mean@pixel": values.pop("mean@pixel"), "median": median, **values}


def metrics_of_sums(images: Sequence[AngleSums]) -> dict[str, float]:
    """`normals_metrics` without the median, which needs every angle; empty without valid pixels."""
    pixels = sum(image.pixels for image in images)
    if not pixels:
        return {}
    shares = {
        name: percent(sum(image.within[position] for image in images), pixels)
        for position, name in enumerate(THRESHOLDS)
    }
    mean, squared = (total(images, name) / pixels for name in ("angles", "squared"))
    return {"mean@pixel": mean, "rmse": math.sqrt(squared), **shares}


class NormalsMetric(TaskMetric[AngleSums]):
    """Surface normal metrics of (3, H, W) predictions."""

    def measure(self, prediction: Tensor, target: Tensor) -> AngleSums:
        """Sums over the valid pixels of one image, both (3, H, W)."""
        valid = self._valid(target)
        return angle_sums(angular_error(as_floats(prediction, valid), as_floats(target, valid)))

    def add(self, image: AngleSums) -> None:
        """Keep an image, and move the angles of the previous image into the histogram of the first image.

        So memory does not grow with the split. The last image stays separate, since a sampler may have repeated it to
        give all processes the same number of images, and mmengine then drops it.
        """
        super().add(image)
        if len(self.results) > 1:
            first, before = self.results[0], self.results[-2]
            first.histogram = first.histogram or AngleHistogram()
            first.histogram.add(before.codes)
            before.codes = before.codes[:0].copy()

    def metrics(self, images: Sequence[AngleSums]) -> dict[str, float]:
        """See `normals_metrics`."""
        return normals_metrics(images)

    def of_image(self, image: AngleSums) -> dict[str, float]:
        """Metrics of one image without the median: its angles have moved into the histogram of the split."""
        return metrics_of_sums([image])


def _length(vectors: Floats) -> Floats:
    # Ten times as fast as numpy's norm over the first axis.
    x, y, z = vectors
    length: Floats = np.sqrt(x * x + y * y + z * z)
    return length


def _unit(vectors: Floats) -> Floats:
    length = _length(vectors)
    return vectors / np.where(length > 0, length, 1.0)


def _merged(images: Sequence[AngleSums], pixels: int) -> AngleHistogram:
    """All angles of the split.

    Raises:
        ValueError: if images are missing whose angles are already in the histogram of another image.
    """
    merged = AngleHistogram()
    for image in images:
        merged.add(image.codes)
        if image.histogram is not None:
            merged.merge(image.histogram)
    if merged.size != pixels:
        raise ValueError(
            f"normals: {merged.size} angles from images of {pixels} valid pixels; "
            "evaluate(size) must be given the number of images that were processed"
        )
    return merged
