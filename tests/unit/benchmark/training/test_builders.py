"""Construction of models and splits: acceleration, weight of the regularizer, options of a split and of its pairs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmark.registry import ACCELERATE, JOIN_PAIRS
from benchmark.tasks import BOUNDARY, DEPTH, SEMSEG, TaskSet
from benchmark.training import builders
from benchmark.training.builders import build_split, build_training_module
from benchmark.training.dataset_contract import DatasetContractError
from benchmark.training.model import TrainingModule

SIZE = (6, 8)


def built(options: dict[str, Any] | None = None, **keywords: Any) -> TrainingModule:
    """A small network with auxiliary heads."""
    return build_training_module(
        "hard_sharing",
        {},
        "aux_heads",
        options or {},
        "synthetic",
        {"depth": {}},
        "timm:test_resnet",
        0,
        "channels_last",
        **keywords,
    )


@pytest.mark.parametrize(
    ("keywords", "accelerated", "compiled"),
    [
        ({}, ["HardSharing", "AuxHeads"], []),
        ({"accelerate": False}, [], []),
        ({"compile_options": {"dynamic": True}}, [], [("HardSharing", {"dynamic": True})]),
        ({"compile_options": {}, "accelerate": False}, [], [("HardSharing", {})]),
    ],
)
def test_method_and_regularizer_are_accelerated_unless_compiled_or_told_otherwise(
    keywords: dict[str, Any],
    accelerated: list[str],
    compiled: list[tuple[str, dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sped_up, calls = [], []

    def accelerate(network: nn.Module) -> None:
        sped_up.append(type(network).__name__)

    def compile_module(module: nn.Module, **options: Any) -> None:
        calls.append((type(module).__name__, options))

    monkeypatch.setattr(builders, "resolve_name", {ACCELERATE: accelerate}.__getitem__)
    monkeypatch.setattr(nn.Module, "compile", compile_module)
    built(**keywords)
    assert (sped_up, calls) == (accelerated, compiled)


def test_the_weight_of_a_regularizer_is_given_to_it_and_a_ratio_to_the_calibration() -> None:
    fixed, calibrated = built({"weight": 0.25}), built({"weight": "calibrated:0.2"})
    assert fixed.regularizer is not None
    assert calibrated.regularizer is not None
    assert calibrated.calibration is not None
    assert (fixed.regularizer.weight, fixed.calibration) == (0.25, None)
    assert (calibrated.regularizer.weight, calibrated.calibration.ratio) == (0.5, 0.2), (
        "0.5 is the default of the heads"
    )


class Frames:
    """A data set that records the arguments of its constructor, without labels of the tasks in `unlabelled`."""

    info = SimpleNamespace(id="frames", fingerprint="0" * 64)

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.tasks = TaskSet(task for task in (SEMSEG, DEPTH, BOUNDARY) if task.name in arguments["tasks"])
        self.unlabelled = arguments.get("unlabelled", "")

    def __len__(self) -> int:
        return 1

    def __getitem__(self, position: int) -> dict[str, Any]:
        labels = {
            "semseg": torch.zeros(SIZE, dtype=torch.int64),
            "depth": torch.ones(1, *SIZE),
            "boundary": torch.zeros(1, *SIZE),
        }
        targets = {name: labels[name] for name in self.tasks if name != self.unlabelled}
        return dict(images=torch.zeros(3, *SIZE), targets=targets, intrinsics=torch.eye(3), index=0, name="a")


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Two registered data sets, of which `views` has no semseg; the arguments that they were joined with."""
    found: dict[str, Any] = {}

    def join(data: Frames, views: Frames, tasks: tuple[str, ...], gap: int) -> Frames:
        found.update(views=views.arguments, tasks=tasks, gap=gap)
        return data

    tasks = {"frames": ("semseg", "depth", "boundary"), "views": ("depth", "boundary")}
    monkeypatch.setattr(builders, "DATASETS", SimpleNamespace(entry=lambda name: SimpleNamespace(factory=Frames)))
    monkeypatch.setattr(builders, "offered_by", lambda name, root: tasks[name])
    monkeypatch.setattr(builders, "resolve_name", {JOIN_PAIRS: join}.__getitem__)
    return found


def test_a_split_is_built_with_tuples_in_place_of_lists(joined: dict[str, Any]) -> None:
    split: Any = build_split("frames", "data/frames", "train", ["depth"], 7, size=[48, 64], share=0.5)
    assert split.arguments == dict(
        root=Path("data/frames"), split="train", tasks=("depth",), seed=7, size=(48, 64), share=0.5
    )
    assert not joined, "no pairs were asked for"


def test_an_item_without_a_label_is_found_when_its_split_is_built(joined: dict[str, Any]) -> None:
    with pytest.raises(DatasetContractError, match="targets of item 0 have no 'depth'"):
        build_split("frames", "data/frames", "train", ["semseg", "depth"], 0, unlabelled="depth")


def test_posed_pairs_have_the_options_of_the_labelled_frames_and_the_tasks_that_both_have(
    joined: dict[str, Any],
) -> None:
    """A share of the labelled frames, as in an experiment with few labels, leaves all pairs."""
    tasks = ["boundary", "semseg", "depth"]
    pairs = {"name": "views", "root": "data/views"}
    split: Any = build_split("frames", "data/frames", "fit", tasks, 7, size=[48, 64], share=0.5, pairs=pairs)
    assert split.arguments["share"] == 0.5
    views = dict(root=Path("data/views"), split="fit", tasks=("boundary", "depth"), seed=7, size=(48, 64))
    assert joined == dict(views=views, tasks=("boundary", "semseg", "depth"), gap=1)


def test_posed_pairs_have_the_named_tasks_in_the_order_of_the_cell_and_the_gap(joined: dict[str, Any]) -> None:
    pairs = {"name": "views", "root": "data/views", "tasks": ["depth", "boundary"], "gap": 3}
    build_split("frames", "data/frames", "train", ["boundary", "semseg", "depth"], 0, pairs=pairs)
    assert (joined["views"]["tasks"], joined["gap"]) == (("boundary", "depth"), 3)
