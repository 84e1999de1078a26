"""Metrics of the tasks, as mmengine evaluators over pure functions on whole-split sums.

    semseg     mIoU, pixAcc
    depth      rmse@pixel, rmse@image, absRel, sqRel, logRmse, delta1, delta2, delta3
    normals    mean@pixel, median, rmse, 11.25, 22.5, 30
    boundary   odsF@seism, oisF@seism, odsF@seism-direct, ap@pixel
    saliency   maxF, maxF@image, maxIoU@image, IoU
    human_parts   mIoU, pixAcc, as semseg

`benchmark.metrics.catalogue` needs the standard library only. So this package imports its other modules, and with them
torch and mmengine, at the first use of one of its names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.metrics.catalogue import described
    from benchmark.metrics.evaluators import build_metric, metric_of

__all__ = ["build_metric", "described", "metric_of"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # This import also registers "MetricOf" for composed configs.
    evaluators = import_module("benchmark.metrics.evaluators")
    return getattr(evaluators, name, None) or getattr(import_module("benchmark.metrics.catalogue"), name)
