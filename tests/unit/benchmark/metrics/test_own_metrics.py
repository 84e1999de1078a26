"""Metrics of a user: registration, pooling by weight, and answers that are no sum and weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from metric_samples import sample

from benchmark.metrics.catalogue import CATALOGUE
from benchmark.metrics.own import METRICS
from benchmark.metrics.own_evaluator import OwnMetrics
from benchmark.tasks import BOUNDARY, DEPTH, HUMAN_PARTS, SEMSEG, Task

Register = Callable[..., None]


@pytest.fixture
def register() -> Iterator[Register]:
    """`register(name, measure, task="depth")`: add a metric until the end of the test."""
    added = []

    def add(name: str, measure: Any, task: str = "depth") -> None:
        METRICS.register(name, task=task, unit="m", higher_is_better=False)(measure)
        added.append(name)

    yield add
    for name in added:
        METRICS.remove(name)


def evaluate(task: Task, *pairs: tuple[Any, Any]) -> dict[str, float]:
    metric = OwnMetrics(task)
    metric.process(None, [sample(task.name, prediction, target) for prediction, target in pairs])
    found: dict[str, float] = metric.evaluate(len(pairs))
    return found


def absolute(prediction: torch.Tensor, target: torch.Tensor, valid: torch.Tensor) -> tuple[Any, Any]:
    """Mean absolute difference over valid pixels."""
    return (prediction - target).abs()[0][valid].sum(), valid.sum()


def test_sums_are_divided_by_weights_over_the_split(register: Register) -> None:
    """Errors of 3 m on one pixel, and of 1 m on three: 6 m over 4 pixels. The third image has no label."""
    register("absolute", absolute)
    pairs = [
        ([[[5.0, 9.0, 9.0]]], [[[2.0, 0.0, 0.0]]]),
        ([[[1.0, 1.0, 3.0]]], [[[2.0, 2.0, 2.0]]]),
        ([[[4.0, 4.0, 4.0]]], [[[0.0, 0.0, 0.0]]]),
    ]
    assert evaluate(DEPTH, *pairs) == {"depth/absolute": 1.5}


def test_an_image_without_weight_does_not_count_whatever_its_sum(register: Register) -> None:
    register("strange", lambda prediction, target, valid: (float(prediction[0, 0, 0]), float(valid.any())))
    assert evaluate(DEPTH, ([[[7.0]]], [[[0.0]]]), ([[[3.0]]], [[[1.0]]])) == {"depth/strange": 3.0}
    assert evaluate(DEPTH, ([[[7.0]]], [[[0.0]]])) == {}


def test_a_metric_belongs_to_a_task_or_to_all_tasks_of_a_readout(register: Register) -> None:
    register("of_depth", absolute)
    register("of_classes", absolute, task="class")
    names = {task.name: [metric.name for metric in METRICS.of_task(task)] for task in (DEPTH, SEMSEG, HUMAN_PARTS)}
    assert names == {"depth": ["of_depth"], "semseg": ["of_classes"], "human_parts": ["of_classes"]}
    assert not METRICS.of_task(BOUNDARY)


def test_unit_and_direction_are_known_to_the_tables(register: Register) -> None:
    register("absolute", absolute)
    assert (CATALOGUE["absolute"].unit, CATALOGUE["absolute"].higher_is_better) == ("m", False)


@pytest.mark.parametrize(
    ("answer", "found"), [(1.0, "float"), (None, "NoneType"), ((1.0, 2.0, 3.0), "tuple"), ((torch.ones(2), 1), "tuple")]
)
def test_an_answer_that_is_no_sum_and_weight_is_named(register: Register, answer: Any, found: str) -> None:
    register("wrong", lambda prediction, target, valid: answer)
    with pytest.raises(ValueError, match=rf"metric 'wrong' must return two numbers, .* found {found} \(") as caught:
        evaluate(DEPTH, ([[[1.0]]], [[[1.0]]]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("rmse@pixel", "already registered"), ("with space", "a name has letters"), ("", "a name has letters")],
)
def test_a_name_that_is_taken_or_no_name_is_refused(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        METRICS.register(name, task="depth", unit="m", higher_is_better=False)
