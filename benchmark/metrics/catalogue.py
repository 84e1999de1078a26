"""Unit and direction of every metric. Imports no torch."""

from __future__ import annotations

from typing import NamedTuple

from benchmark.tasks import suggest


class Description(NamedTuple):
    """Unit and direction of a metric.

    Args:
        unit: "%", "m", "deg", or "1" for a number without unit.
        higher_is_better: direction of the metric.
    """

    unit: str
    higher_is_better: bool


CATALOGUE: dict[str, Description] = {
    "mIoU": Description("%", True),
    "pixAcc": Description("%", True),
    "rmse@pixel": Description("m", False),
    "rmse@image": Description("m", False),
    "absRel": Description("1", False),
    "sqRel": Description("m", False),
    "logRmse": Description("1", False),
    "delta1": Description("%", True),
    "delta2": Description("%", True),
    "delta3": Description("%", True),
    "mean@pixel": Description("deg", False),
    "median": Description("deg", False),
    "rmse": Description("deg", False),
    "11.25": Description("%", True),
    "22.5": Description("%", True),
    "30": Description("%", True),
    "ap@pixel": Description("%", True),
    "odsF@seism": Description("%", True),
    "oisF@seism": Description("%", True),
    "odsF@seism-direct": Description("%", True),
    "maxF": Description("%", True),
    "maxF@image": Description("%", True),
    "maxIoU@image": Description("%", True),
    "IoU": Description("%", True),
}
"""Metrics by name without the task. The suffix after `@` is the pooling, over all valid pixels of the split (`@pixel`)
or first over each image (`@image`), or the protocol of boundary evaluation (`@seism`, see `benchmark.boundaries`)."""


def described(name: str) -> Description:
    """Unit and direction of a metric.

    Args:
        name: as mmengine reports it, "semseg/mIoU", or without the task, "mIoU".

    Raises:
        KeyError: for a metric that is not in the catalogue.
    """
    metric = name.partition("/")[2] or name
    if metric not in CATALOGUE:
        raise KeyError(f"no metric named {metric!r}.{suggest(metric, CATALOGUE)} Metrics: {', '.join(CATALOGUE)}")
    return CATALOGUE[metric]
