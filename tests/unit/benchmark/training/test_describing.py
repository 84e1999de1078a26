"""Descriptions of trained networks: from a cell in training, from a stored result, and the network built from one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.records.identity import Ingredients
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.validation import RecordError
from benchmark.tasks import BOUNDARY, DEPTH, HUMAN_PARTS, SEMSEG, TaskSet
from benchmark.training import description
from benchmark.training.describing import describe_cell, describe_result
from benchmark.training.description import ModelDescription, TaskDescription, with_files_inlined

OVERRIDES = {"test_dataloader.dataset.size": (96, 128), "method.head": "fcn"}
"""Images are scored at another size than they are trained at."""
DEPTH_IN_METRES = TaskDescription(1, "value", "m")


def cell(*tasks: str, settings: dict[str, Any] | None = None) -> RunSpec:
    """A cell, with these ingredients."""
    ingredients = None if settings is None else Ingredients(settings, {}, {}, {}, {})
    return RunSpec("smoke", "hard_sharing", "none", "resnet18", tasks, 0, OVERRIDES, ingredients=ingredients)


def test_a_cell_is_described_with_the_classes_of_its_data() -> None:
    """Classes of depth are none, and names of another number than the channels are not the names of the classes."""
    names = {"semseg": ("a", "b", "c"), "depth": ("metres",), "human_parts": ("head",)}
    data: Any = SimpleNamespace(info=SimpleNamespace(id="rooms-1", classes_of=names.__getitem__))
    spec = cell("semseg", "depth", "human_parts")
    found = describe_cell(spec, TaskSet([replace(SEMSEG, channels=3), DEPTH, HUMAN_PARTS]), data)
    assert found == ModelDescription(
        method="hard_sharing",
        backbone="resnet18",
        tasks={
            "semseg": TaskDescription(3, "class", SEMSEG.unit, ("a", "b", "c")),
            "depth": DEPTH_IN_METRES,
            "human_parts": TaskDescription(HUMAN_PARTS.channels, "class", HUMAN_PARTS.unit),
        },
        options={"head": "fcn"},
        input_size=(96, 128),
        run_id=spec.run_id,
        recipe="smoke",
        data="rooms-1",
    )
    plain = describe_cell(spec, TaskSet([DEPTH]), SimpleNamespace())
    assert (plain.data, plain.tasks) == ("", {"depth": DEPTH_IN_METRES})


@pytest.mark.parametrize(("channels", "named"), [(40, 40), (13, 0)])
def test_a_result_is_described_with_the_channels_that_it_was_trained_with(channels: int, named: int) -> None:
    """The 40 classes of the suite have names, and 40 parts of persons have none."""
    settings = {"tasks.semseg.channels": channels, "tasks.human_parts.channels": 40}
    spec = cell("semseg", "human_parts", settings=settings)
    stored = RunResult(spec, "done", {}, provenance={"data": {"id": "old-1"}})
    found = describe_result(stored, stored.spec)
    assert {name: task.channels for name, task in found.tasks.items()} == {"semseg": channels, "human_parts": 40}
    assert [len(task.classes) for task in found.tasks.values()] == [named, 0]
    assert (found.data, found.input_size, found.run_id) == ("old-1", (96, 128), stored.spec.run_id)


def test_a_result_without_the_channels_of_a_task_has_the_channels_of_the_data(
    monkeypatch: pytest.MonkeyPatch, small_rooms: Path
) -> None:
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    for settings in ({"tasks.semseg.channels": 13}, None):
        stored = RunResult(cell("semseg", "depth", settings=settings), "done", {})
        found = describe_result(stored, stored.spec)
        assert {name: task.channels for name, task in found.tasks.items()} == {"semseg": 40, "depth": 1}
        assert found.data == ""


def test_the_content_of_a_json_file_takes_the_place_of_its_path(tmp_path: Path) -> None:
    """The text of other options, and a name that is no file, stay."""
    file, other = tmp_path / "genotype.json", tmp_path / "weights.txt"
    file.write_text('{"depth": ["none"]}')
    other.write_text("1")
    options = {"genotype": str(file), "missing": "no_such.json", "text": str(other), "width": 64}
    assert with_files_inlined(options) == {**options, "genotype": {"depth": ["none"]}}


def described(**tasks: TaskDescription) -> ModelDescription:
    """A network on a pretrained backbone."""
    return ModelDescription("hard_sharing", "resnet18:imagenet", tasks)


def test_the_tasks_of_a_description_have_the_standard_settings_of_their_name_or_readout() -> None:
    tasks = described(
        depth=TaskDescription(1, "value", "mm"),
        human_parts=TaskDescription(5, "class", "%"),
        height=TaskDescription(2, "value", "px"),
        edges=TaskDescription(1, "probability", ""),
        rooms=TaskDescription(7, "class", "%"),
    ).task_set()
    assert [(task.name, task.channels, task.unit) for task in tasks.values()] == [
        ("depth", 1, "mm"),
        ("human_parts", 5, "%"),
        ("height", 2, "px"),
        ("edges", 1, ""),
        ("rooms", 7, "%"),
    ]
    assert tasks["rooms"].background == SEMSEG.background
    assert [task.loss for task in tasks.values()][:4] == [DEPTH.loss, HUMAN_PARTS.loss, DEPTH.loss, BOUNDARY.loss]
    assert tasks["human_parts"].background == HUMAN_PARTS.background != SEMSEG.background


@pytest.mark.parametrize("accelerate", [True, False])
def test_a_described_network_is_built_without_pretrained_weights_in_evaluation_mode(
    accelerate: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    build = description.build_model

    def recording(*arguments: Any) -> Any:
        asked.append((arguments[1], arguments[-1]))
        return build(*arguments)

    monkeypatch.setattr(description, "build_model", recording)
    model = described(depth=DEPTH_IN_METRES).build(accelerate)
    assert not model.training
    assert asked == [("resnet18:scratch", accelerate)]


def test_a_description_without_channels_is_refused() -> None:
    with pytest.raises(RecordError, match="channels"):
        TaskDescription(0, "value", "m")
