"""Construction of the metric of a task, registered for composed configs."""

from __future__ import annotations

from typing import Any

from mmengine.registry import METRICS

from benchmark.metrics.base import TaskMetric
from benchmark.metrics.boundary import BoundaryMetric
from benchmark.metrics.depth import DepthMetric
from benchmark.metrics.normals import NormalsMetric
from benchmark.metrics.own_evaluator import OwnMetrics
from benchmark.metrics.saliency import SaliencyMetric
from benchmark.metrics.semseg import SegmentationMetric
from benchmark.registry import offered_by
from benchmark.tasks import NYUV2_TASKS, Task

METRIC_OF_READOUT: dict[str, type[TaskMetric[Any]]] = {
    "class": SegmentationMetric,
    "value": DepthMetric,
    "direction": NormalsMetric,
    "probability": BoundaryMetric,
    "mask": SaliencyMetric,
}
"""Metric classes by `Task.readout`, so a data set's own tasks are measured too."""


def metric_of(task: Task, **options: Any) -> TaskMetric[Any]:
    """The metric of a task; `options` are keywords of the metric and override `task.metric_options`."""
    return METRIC_OF_READOUT[task.readout](task, **{**task.metric_options, **options})


@METRICS.register_module(name="MetricOf")
def build_metric(task: str, dataset: str | None = None, root: str | None = None, **options: Any) -> TaskMetric[Any]:
    """Build the metric of a task by name.

    Args:
        task: name of the task.
        dataset: registered data set that offers the task; None for the tasks of NYU-v2.
        root: folder of the data, which some data sets read their tasks from.
        options: keywords of the metric.
    """
    offered = NYUV2_TASKS if dataset is None else offered_by(dataset, root)
    return metric_of(offered[task], **options)


@METRICS.register_module(name="OwnMetricsOf")
def build_own_metrics(task: str, dataset: str | None = None, root: str | None = None, **options: Any) -> OwnMetrics:
    """Build the evaluator of the metrics that files of the user register; arguments as in `build_metric`."""
    offered = NYUV2_TASKS if dataset is None else offered_by(dataset, root)
    return OwnMetrics(offered[task], **options)
