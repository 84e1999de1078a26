"""Registry of further metrics, which a user adds to the metrics of a task. Imports no torch.

    @METRICS.register("within_10cm", task="depth", unit="%", higher_is_better=True)
    def within_10cm(prediction, target, valid):
        '''Share of pixels whose depth is wrong by less than 10 cm.'''
        hits = (prediction - target).abs()[0] < 0.1
        return 100 * hits[valid].sum(), valid.sum()

The number of a split is the sum of the first values of its images, divided by the sum of their second values. So the
metric pools over pixels if the second value is a number of pixels, and over images if it is 1. An image whose second
value is 0 does not count.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmark.metrics.catalogue import CATALOGUE, Description
from benchmark.tasks import Task

Measure = Callable[[Any, Any, Any], tuple[Any, Any]]
"""(prediction (C, H, W), target (C, H, W), valid (H, W)) on the CPU -> (sum, weight) of one image. The prediction is
read out: class numbers, metres, unit vectors or probabilities, see `benchmark.heads.read_out`."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@+-]*")


@dataclass(frozen=True)
class OwnMetric:
    """A registered metric.

    Args:
        name: name of the metric, without the task.
        task: name of the task, or a readout such as "class" for every task that has it.
        unit: see `Description`.
        higher_is_better: direction.
        measure: function of one image.
    """

    name: str
    task: str
    unit: str
    higher_is_better: bool
    measure: Measure

    def measures(self, task: Task) -> bool:
        """True if the metric belongs to a task."""
        return self.task in (task.name, task.readout)


class Metrics(dict[str, OwnMetric]):
    """Registered metrics by name."""

    def register(self, name: str, *, task: str, unit: str, higher_is_better: bool) -> Callable[[Measure], Measure]:
        """Function decorator that adds a metric.

        Args:
            name: name of the metric, such as "within_10cm"; results show it as "depth/within_10cm".
            task: name of a task such as "depth", or a readout: "class", "value", "direction", "probability", "mask".
            unit: "%", "m", "deg", or "1" for a number without unit.
            higher_is_better: direction.

        Raises:
            ValueError: if the name is taken or cannot be a name.
        """
        if not NAME.fullmatch(name):
            raise ValueError(f"metric {name!r}: a name has letters, digits and _ . @ + - only")
        if name in CATALOGUE or name in self:
            raise ValueError(f"metric {name!r} is already registered; choose another name")

        def add(measure: Measure) -> Measure:
            self[name] = OwnMetric(name, task, unit, higher_is_better, measure)
            CATALOGUE[name] = Description(unit, higher_is_better)
            return measure

        return add

    def remove(self, name: str) -> None:
        """Remove a metric."""
        del self[name], CATALOGUE[name]

    def of_task(self, task: Task) -> list[OwnMetric]:
        """The metrics of a task."""
        return [metric for metric in self.values() if metric.measures(task)]


METRICS = Metrics()
"""Metrics in addition to `benchmark.metrics.catalogue`."""
