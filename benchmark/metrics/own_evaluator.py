"""Evaluator of the registered metrics of a task."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from benchmark.metrics.base import TaskMetric
from benchmark.metrics.own import METRICS, OwnMetric

Sums = dict[str, tuple[float, float]]
"""Sum and weight of one image by metric."""


class OwnMetrics(TaskMetric[Sums]):
    """All metrics of `METRICS` for one task."""

    def measure(self, prediction: Tensor, target: Tensor) -> Sums:
        """Sum and weight of every metric on one image, see `benchmark.metrics.own.Measure`."""
        valid = torch.from_numpy(self._valid(target))
        return {metric.name: measured(metric, prediction, target, valid) for metric in METRICS.of_task(self.task)}

    def metrics(self, images: Sequence[Sums]) -> dict[str, float]:
        """Quotients of the sums over images; a metric without weight is left out."""
        found = {}
        for name in images[0] if images else ():
            weight = math.fsum(image[name][1] for image in images)
            if weight:
                found[name] = math.fsum(image[name][0] for image in images if image[name][1]) / weight
        return found


def measured(metric: OwnMetric, prediction: Tensor, target: Tensor, valid: Tensor) -> tuple[float, float]:
    """Sum and weight of a metric on one image.

    Raises:
        ValueError: if the function does not return two numbers; the message names the metric.
    """
    found = metric.measure(prediction, target, valid)
    try:
        total, weight = (float(value) for value in found)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"metric {metric.name!r} must return two numbers, a sum and a weight, found {type(found).__name__} "
            f"({' '.join(str(error).split())})"
        ) from error
    return total, weight
