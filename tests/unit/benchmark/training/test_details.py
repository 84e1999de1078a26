"""Training curves and metrics of single images in the details file of a cell."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mmengine.logging import HistoryBuffer
from torch import Tensor

from benchmark.metrics.base import TaskMetric
from benchmark.tasks import DEPTH
from benchmark.training.details import curve, rounded, write_details


def logged(**values: list[float]) -> dict[str, HistoryBuffer]:
    """Values as mmengine logs them."""
    return {f"train/{name}": HistoryBuffer(found, [1] * len(found)) for name, found in values.items()}


def runner(values: dict[str, HistoryBuffer], metrics: list[Any]) -> Any:
    """The part of a Runner that is read."""
    return SimpleNamespace(
        message_hub=SimpleNamespace(log_scalars=values), test_evaluator=SimpleNamespace(metrics=metrics)
    )


class Fixed(TaskMetric[Any]):
    """A metric with given values of single images."""

    def __init__(self, *values: dict[str, float]) -> None:
        super().__init__(DEPTH)
        self.values = list(values)

    def measure(self, prediction: Tensor, target: Tensor) -> Any:
        return None

    def metrics(self, images: Sequence[Any]) -> dict[str, float]:
        return {}

    def of_images(self) -> list[dict[str, float]]:
        return self.values


def test_a_short_training_has_a_point_for_each_step() -> None:
    """Values that are logged in some steps alone have no known step, and other values are not of the training."""
    values = logged(loss=[4.0, 2.0, 1.0], seldom=[5.0], never=[]) | {"test/loss": HistoryBuffer([9.0] * 3, [1] * 3)}
    assert list(curve(runner(values, []))) == [
        {"step": 1, "loss": 4.0},
        {"step": 2, "loss": 2.0},
        {"step": 3, "loss": 1.0},
    ]
    assert list(curve(runner({}, []))) == []


def test_a_long_training_has_200_points_that_are_means_since_the_point_before() -> None:
    """Of the losses 1, 2, ..., 1000 a point is the mean of five: 3, 8, ..., 998."""
    points = list(curve(runner(logged(loss=[float(step) for step in range(1, 1001)]), [])))
    assert [point["step"] for point in points] == list(range(5, 1001, 5))
    assert [point["loss"] for point in points] == list(np.arange(3.0, 1000, 5))


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (123456.7, 123460.0),
        (0.000123454, 0.00012345),
        (float("inf"), None),
        (float("-inf"), None),
        (float("nan"), None),
    ],
)
def test_numbers_have_five_digits(value: float, stored: float | None) -> None:
    assert rounded(value) == stored


def test_equal_details_are_equal_bytes_at_any_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves first, then the images with the values of all tasks; metrics of a user have no values of images."""
    metrics = [
        Fixed({"semseg/mIoU": 31.25}, {"semseg/mIoU": 50.0}),
        SimpleNamespace(name="a metric of a user"),
        Fixed({"depth/rmse@pixel": 0.5}, {}),
    ]
    for name, now in (("a", 1e9), ("b", 1.5e9)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        write_details(tmp_path / name, runner(logged(loss=[4.0]), metrics))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    lines = gzip.decompress((tmp_path / "a").read_bytes()).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "loss": 4.0},
        {"image": 0, "semseg/mIoU": 31.25, "depth/rmse@pixel": 0.5},
        {"image": 1, "semseg/mIoU": 50.0},
    ]
