"""Random labels to calibrate on, and untrained teachers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from torch import Tensor

from benchmark.contracts import Batch, Method, MultiTaskOutput, Regularizer
from benchmark.tasks import DEPTH, TaskSet
from benchmark.training import stand_ins
from benchmark.training.stand_ins import prepare_with_stand_ins

TASKS = TaskSet([DEPTH])
Sizes = list[tuple[int, ...]]


class Plain(Regularizer):
    """A regularizer that needs nothing and fails if it is given teachers."""

    def __init__(self) -> None:
        super().__init__(TASKS, ())

    def start_from(self, trained: Mapping[str, Method]) -> None:
        raise AssertionError("no teacher is needed")

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        return {}


class Learning(Plain):
    """A regularizer that calibrates and learns from teachers with the options of its own that it names."""

    def __init__(self) -> None:
        super().__init__()
        self.calibrated_on: Sizes = []
        self.teachers: Mapping[str, Any] = {}

    def calibrate(self, targets: Iterable[Mapping[str, Tensor]]) -> None:
        self.calibrated_on += [tuple(batch["depth"].shape) for batch in targets]

    @classmethod
    def needs(cls, backbone: str, options: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        return {"single_task": {"head": options["head"]}}

    def start_from(self, trained: Mapping[str, Method]) -> None:
        self.teachers = trained


class Calibrated(Method):
    """A method that calibrates."""

    def __init__(self) -> None:
        super().__init__(TASKS, "resnet18")
        self.calibrated_on: Sizes = []

    def calibrate(self, targets: Iterable[Mapping[str, Tensor]]) -> None:
        self.calibrated_on += [tuple(batch["depth"].shape) for batch in targets]

    def forward(self, images: Tensor) -> MultiTaskOutput:
        return MultiTaskOutput({})


def module(method: Any, regularizer: Regularizer | None) -> Any:
    """The part of a training module that is read."""
    return SimpleNamespace(model=SimpleNamespace(tasks=TASKS, method=method), regularizer=regularizer)


@pytest.mark.parametrize("regularizer", [None, Plain()])
def test_a_method_calibrates_on_one_image_of_random_labels(regularizer: Regularizer | None) -> None:
    method = Calibrated()
    prepare_with_stand_ins(module(method, regularizer), "resnet18:scratch", {}, (4, 6))
    assert method.calibrated_on == [(1, 1, 4, 6)]


def test_a_regularizer_calibrates_and_learns_from_untrained_teachers_in_evaluation_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []

    def create(*arguments: Any, **options: Any) -> Method:
        made.append((*arguments, options))
        return Calibrated().train()

    monkeypatch.setattr(stand_ins, "METHODS", SimpleNamespace(create=create))
    regularizer = Learning()
    prepare_with_stand_ins(module(Calibrated(), regularizer), "resnet18:scratch", {"head": "fcn"}, (4, 6))
    assert regularizer.calibrated_on == [(1, 1, 4, 6)]
    assert made == [("single_task", TASKS, "resnet18:scratch", {"head": "fcn"})]
    assert list(regularizer.teachers) == ["single_task"]
    assert not regularizer.teachers["single_task"].training
