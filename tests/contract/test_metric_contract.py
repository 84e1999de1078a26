"""Contract of the metrics of every kind of prediction."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from mmseg.structures import SegDataSample
from scenes import random_targets
from torch import Tensor

from benchmark.metrics import described, metric_of
from benchmark.metrics.evaluators import METRIC_OF_READOUT
from benchmark.metrics.own import METRICS, OwnMetric
from benchmark.metrics.own_evaluator import OwnMetrics
from benchmark.tasks import STANDARD_TASKS, Task, TaskSet
from benchmark.training.model import data_samples

IMAGES = 7
SIZE = (24, 32)


@pytest.fixture(params=STANDARD_TASKS.values(), ids=STANDARD_TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    """Every task with a distinct name."""
    found: Task = request.param
    return found


def own_cases() -> list[Any]:
    """Every metric of a user's file, with every task that it measures."""
    return [
        pytest.param(metric, task, id=f"{metric.name}-{task.name}")
        for metric in METRICS.values()
        for task in STANDARD_TASKS.values()
        if metric.measures(task)
    ]


def own_values(task: Task, samples: Sequence[SegDataSample], batch_size: int = 2) -> dict[str, float]:
    """The users' metrics of a task over the samples, in batches."""
    evaluator = OwnMetrics(task)
    for start in range(0, len(samples), batch_size):
        evaluator.process({}, [sample.to_dict() for sample in samples[start : start + batch_size]])
    values: dict[str, float] = evaluator.evaluate(len(samples))
    return values


@pytest.mark.parametrize(("metric", "task"), own_cases())
def test_a_metric_of_a_user_keeps_the_contract(metric: OwnMetric, task: Task) -> None:
    """Any batch size and order; unlabelled pixels do not count; a perfect prediction is at least as good."""
    key, targets = f"{task.name}/{metric.name}", targets_of(task)
    samples = samples_of(task, raw_predictions(task), targets)
    expected = own_values(task, samples)[key]
    assert own_values(task, random.Random(0).sample(samples, len(samples)), 3)[key] == expected
    hidden = ~task.valid(targets)[:, None]
    changed = torch.where(hidden, torch.full_like(raw_predictions(task), 9.0), raw_predictions(task))
    assert own_values(task, samples_of(task, changed, targets))[key] == expected, "it counts unlabelled pixels"
    best = own_values(task, samples_of(task, perfect(task, targets), targets))[key]
    assert best >= expected if metric.higher_is_better else best <= expected
    assert described(key) == (metric.unit, metric.higher_is_better)
    missing = torch.full_like(targets, 0 if task.readout in ("value", "direction") else 255)
    assert key not in own_values(task, samples_of(task, raw_predictions(task), missing)), "the weight must be 0"


def test_every_kind_of_prediction_has_a_metric() -> None:
    assert {task.readout for task in STANDARD_TASKS.values()} == set(METRIC_OF_READOUT)


def targets_of(task: Task, seed: int = 0) -> Tensor:
    """Random targets, a tenth of them missing."""
    return random_targets(TaskSet([task]), IMAGES, SIZE, seed)[task.name]


def raw_predictions(task: Task) -> Tensor:
    """Random raw predictions."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(IMAGES, task.channels, *SIZE, generator=generator) + (2.0 if task.readout == "value" else 0.0)


def samples_of(task: Task, predictions: Tensor, targets: Tensor) -> list[SegDataSample]:
    """Data samples in the format of the model's predict mode."""
    return data_samples(TaskSet([task]), {task.name: predictions}, {task.name: targets})


def perfect(task: Task, targets: Tensor) -> Tensor:
    """Raw predictions whose readout equals the targets."""
    if task.readout == "class":
        labels = targets.masked_fill(targets == 255, 0)
        return torch.nn.functional.one_hot(labels, task.channels).permute(0, 3, 1, 2).float()
    if task.readout in ("probability", "mask"):
        logits = (targets.masked_fill(targets == 255, 0.0) - 0.5) * 40
        return logits if task.channels == 1 else torch.cat([torch.zeros_like(logits), logits], dim=1)
    return targets.clone()


def evaluate(task: Task, samples: Sequence[SegDataSample], batch_size: int = 2) -> dict[str, float]:
    """All metrics over the samples, in batches."""
    metric = metric_of(task)
    for start in range(0, len(samples), batch_size):
        metric.process({}, [sample.to_dict() for sample in samples[start : start + batch_size]])
    values: dict[str, float] = metric.evaluate(len(samples))
    return values


def test_metrics_are_bit_identical_for_any_batch_size_and_order(task: Task) -> None:
    samples = samples_of(task, raw_predictions(task), targets_of(task))
    expected = evaluate(task, samples)
    shuffled = random.Random(0).sample(samples, len(samples))
    assert expected
    for batch_size in (1, 3, IMAGES):
        assert evaluate(task, samples, batch_size) == expected
        assert evaluate(task, shuffled, batch_size) == expected


def test_every_number_has_a_unit_and_a_direction(task: Task) -> None:
    for name in evaluate(task, samples_of(task, raw_predictions(task), targets_of(task))):
        assert name.startswith(f"{task.name}/")
        unit, higher_is_better = described(name)
        assert unit
        assert isinstance(higher_is_better, bool)


def test_a_perfect_prediction_is_better_than_a_random_one_in_every_metric(task: Task) -> None:
    targets = targets_of(task)
    best = evaluate(task, samples_of(task, perfect(task, targets), targets))
    other = evaluate(task, samples_of(task, raw_predictions(task), targets))
    assert set(best) == set(other)
    for name, value in best.items():
        higher = described(name).higher_is_better
        assert (value > other[name]) if higher else (value < other[name]), name


def test_predictions_at_unlabelled_pixels_do_not_count(task: Task) -> None:
    targets = targets_of(task)
    hidden = ~task.valid(targets)
    assert hidden.any()
    changed = raw_predictions(task)
    changed = torch.where(hidden[:, None], torch.full_like(changed, 9.0), changed)
    before = evaluate(task, samples_of(task, raw_predictions(task), targets))
    assert evaluate(task, samples_of(task, changed, targets)) == before


def test_an_evaluation_does_not_depend_on_the_previous_one(task: Task) -> None:
    samples = samples_of(task, raw_predictions(task), targets_of(task))
    metric: Any = metric_of(task)
    results = []
    for _ in range(2):
        metric.process({}, [sample.to_dict() for sample in samples])
        results.append(metric.evaluate(len(samples)))
    assert results[0] == results[1]


def test_a_split_without_labels_has_no_numbers(task: Task) -> None:
    targets = targets_of(task)
    missing = torch.full_like(targets, 0 if task.readout in ("value", "direction") else 255)
    assert evaluate(task, samples_of(task, raw_predictions(task), missing)) == {}
