"""Which networks are run on a batch before a grid starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from registrations import forget

from benchmark.contracts import MultiTaskOutput
from benchmark.records.result import RunSpec
from benchmark.registry import METHODS, import_files
from benchmark.tasks import DEPTH, NORMALS, NYUV2_TASKS, TaskSet
from benchmark.training import trial

MINE = """
from benchmark.registry import METHODS
from mtl_methods.hard_sharing import HardSharing

@METHODS.register("mine", title="Mine", paper="none", year=2026)
class Mine(HardSharing):
    pass
"""


@pytest.fixture
def mine(tmp_path: Path):
    """A registered method in a file of a user."""
    (tmp_path / "mine.py").write_text(MINE)
    import_files([tmp_path / "mine.py"])
    yield
    forget(METHODS, "mine")


@pytest.mark.parametrize(
    ("method", "backbone", "on_a_batch"),
    [("hard_sharing", "resnet18", False), ("hard_sharing", "timm:test_resnet", True), ("mine", "resnet18", True)],
)
@pytest.mark.usefixtures("mine")
def test_code_of_users_and_models_of_timm_are_run_on_a_batch(
    method: str, backbone: str, on_a_batch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks of the suite are built without values, which takes a fraction of the time."""
    built = []
    build = trial.build_training_module
    monkeypatch.setattr(trial, "build_training_module", lambda **options: built.append(method) or build(**options))
    trial.try_cells([RunSpec("smoke", method, "none", backbone, tuple(NYUV2_TASKS), 0, {})])
    assert built == [method] * on_a_batch


IMAGES = (2, 3, 4, 6)
TWO = TaskSet([DEPTH, NORMALS])


def predicted(**changes: Any) -> MultiTaskOutput:
    """Predictions of two tasks; None leaves one out."""
    found = {"depth": torch.zeros(2, 1, 4, 6), "normals": torch.zeros(2, 3, 4, 6), **changes}
    return MultiTaskOutput({name: value for name, value in found.items() if value is not None})


def test_predictions_of_every_task_at_the_size_of_the_images_are_accepted() -> None:
    trial.check_output(predicted(), TWO, IMAGES)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"depth": 1}, "forward must return MultiTaskOutput, found dict"),
        (predicted(normals=None), "no prediction of task 'normals'; predictions: depth"),
        (MultiTaskOutput({}), "no prediction of task 'depth'; predictions: none"),
        (predicted(normals=[0.0]), "the prediction of normals must be a tensor, found list"),
        (
            predicted(normals=torch.zeros(2, 3, 2, 3)),
            r"the prediction of normals must have shape \(2, 3, 4, 6\), found \(2, 3, 2, 3\)",
        ),
        (predicted(depth=torch.zeros(1, 1, 4, 6)), r"of depth must have shape \(2, 1, 4, 6\), found \(1, 1, 4, 6\)"),
    ],
)
def test_other_outputs_of_a_method_are_refused_with_what_was_found(output: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        trial.check_output(output, TWO, IMAGES)


def test_cells_of_one_method_are_built_once_and_weights_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two regularizers and two seeds share the method; a backbone without pretrained weights needs no file."""
    methods: list[str] = []
    loaded: list[str] = []
    build, create = trial.build_model, trial.BACKBONES.create

    def built(method: str, *arguments: Any) -> Any:
        methods.append(method)
        return build(method, *arguments)

    def created(name: str, weights: str) -> Any:
        if weights == "scratch":
            return create(name, weights)
        loaded.append(f"{name}:{weights}")
        return None

    monkeypatch.setattr(trial, "build_model", built)
    monkeypatch.setattr(trial.BACKBONES, "create", created)
    tasks = tuple(NYUV2_TASKS)
    asked = [("none", "resnet18", 0), ("none", "resnet18", 1), ("aux_heads", "resnet18", 0)]
    asked += [("none", "resnet18:imagenet", 0), ("none", "resnet18:imagenet", 1)]
    trial.try_cells(RunSpec("smoke", "hard_sharing", name, backbone, tasks, seed) for name, backbone, seed in asked)
    assert (methods, loaded) == (["hard_sharing"], ["resnet18:imagenet"])
