"""Training curves and metrics of single images of a cell, as compressed JSON lines next to its result.

{"step": 50, "loss": 3.21, "loss_depth": 0.41, ...}             means over the last steps, at most 200 lines
{"image": 0, "semseg/mIoU": 31.2, "depth/rmse@pixel": 0.61}     each image alone, by its position in the split
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.runner import Runner

from benchmark.metrics.base import TaskMetric
from benchmark.records.atomic import replacing

DETAILS_FILE = "details.jsonl.gz"
CURVE_POINTS = 200
DIGITS = 5
"""Significant digits of a stored number."""


def write_details(path: Path, runner: Runner) -> None:
    """Write the details of a cell after its training and evaluation; equal details give equal bytes."""
    lines = [json.dumps(line, separators=(",", ":")) for line in (*curve(runner), *image_metrics(runner))]
    content = gzip.compress("".join(f"{line}\n" for line in lines).encode(), mtime=0)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def curve(runner: Runner) -> Iterator[dict[str, Any]]:
    """Logged training values, as means over the steps since the previous point."""
    logged = {
        name.removeprefix("train/"): buffer.data[0]
        for name, buffer in runner.message_hub.log_scalars.items()
        if name.startswith("train/") and len(buffer.data[0])
    }
    steps = max(map(len, logged.values()), default=0)
    ends = np.unique(np.linspace(0, steps, min(steps, CURVE_POINTS) + 1, dtype=int))
    # Values that are not logged in every step have no known step and are omitted; results keep their mean.
    every_step = {name: values for name, values in logged.items() if len(values) == steps}
    for begin, end in zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        yield {"step": end} | {name: rounded(values[begin:end].mean()) for name, values in every_step.items()}


def image_metrics(runner: Runner) -> Iterator[dict[str, Any]]:
    """Metrics of each single image of the evaluated split."""
    metrics = [metric for metric in runner.test_evaluator.metrics if isinstance(metric, TaskMetric)]
    for index, values in enumerate(zip(*(metric.of_images() for metric in metrics), strict=True)):
        yield {"image": index} | {name: rounded(value) for part in values for name, value in part.items()}


def rounded(value: float) -> float | None:
    """Round to five significant digits; None for a value that is not finite."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
