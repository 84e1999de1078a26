"""The tasks: name, unit and valid pixels of each prediction.

`Task.valid` is the only definition of a valid pixel, for losses and metrics. It accepts tensors and arrays. This module
imports no torch, so that tables can be made without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Literal

IGNORE_LABEL = 255
"""Marks an unlabelled pixel of class maps, boundaries and masks."""

Readout = Literal["class", "value", "direction", "probability", "mask"]
"""Kind of a prediction. Labels are stored (`datasets.layout.label_kinds`) and predictions measured according to it."""


def counted(number: int, noun: str) -> str:
    """A number and its noun, such as "1 cell" and "2 cells"."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def and_more(number: int, noun: str) -> str:
    """The text " (and 2 more files)" for the first of 3 files that is named alone; empty for the only one."""
    return f" (and {counted(number - 1, f'more {noun}')})" if number > 1 else ""


def suggest(name: object, known: Iterable[str]) -> str:
    """The text " Did you mean 'x'?" with the known name nearest to a misspelt name; empty if no name is near."""
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def valid_classes(target: Any) -> Any:
    """Pixels that carry a label: (B, H, W) from class indices (B, H, W)."""
    return target != IGNORE_LABEL


def valid_map(target: Any) -> Any:
    """Pixels that carry a label: (B, H, W) from a one-channel map (B, 1, H, W)."""
    return target[:, 0] != IGNORE_LABEL


def valid_depth(target: Any) -> Any:
    """Pixels with a positive, finite depth: (B, H, W) from metres (B, 1, H, W)."""
    depth = target[:, 0]
    return (depth > 0) & (depth < float("inf"))


def valid_normals(target: Any) -> Any:
    """Pixels with a finite vector that is not zero: (B, H, W) from normals (B, 3, H, W)."""
    squared_length = (target * target).sum(1)
    return (squared_length > 0) & (squared_length < float("inf"))


@dataclass(frozen=True)
class Task:
    """One dense prediction task.

    Args:
        name: name of the task, such as "semseg".
        channels: channels of the prediction.
        unit: unit of the target.
        primary_metric: metric of the leaderboard's ranking and of Delta_m.
        higher_is_better: direction of the primary metric.
        loss: name of a loss in `benchmark.losses`.
        valid: target -> (B, H, W) mask of the pixels that count.
        readout: conversion of the raw prediction before it is measured: "class" for the most likely class, "value" for
            no conversion, "direction" for unit vectors, "probability" for the logistic function, "mask" for the
            probability of the foreground (logistic function of one channel, or softmax of two).
        loss_weight: factor of the loss in the sum over tasks.
        loss_options: keywords of the loss.
        metric_options: keywords of the metric, from the protocol of a data set.
        background: class that is not a label by itself: an image with only this class is unlabelled. None if the task
            has no such class.
    """

    name: str
    channels: int
    unit: str
    primary_metric: str
    higher_is_better: bool
    loss: str
    valid: Callable[[Any], Any]
    readout: Readout
    loss_weight: float = 1.0
    loss_options: Mapping[str, Any] = field(default_factory=dict)
    metric_options: Mapping[str, Any] = field(default_factory=dict)
    background: int | None = None

    @property
    def target_channels(self) -> int | None:
        """Channels of the target (B, channels, H, W); None for a class map, which is (B, H, W)."""
        if self.readout == "class":
            return None
        return 1 if self.readout == "mask" else self.channels

    def adjusted(self, **changes: Any) -> Task:
        """A copy with the loss settings of a recipe.

        Raises:
            ValueError: for a setting other than `loss`, `loss_options`, `loss_weight` and, of a mask only, `channels`;
                for a mask with neither 1 nor 2 channels.
        """
        allowed = ["loss", "loss_options", "loss_weight", *(["channels"] if self.readout == "mask" else [])]
        unknown = set(changes) - set(allowed)
        if unknown:
            listed = f"{', '.join(allowed[:-1])} and {allowed[-1]}"
            raise ValueError(f"a recipe may set {listed} of {self.name}, not {', '.join(sorted(unknown))}")
        if changes.get("channels", 1) not in (1, 2):
            raise ValueError(f"{self.name}: a mask has 1 or 2 channels, found {changes['channels']}")
        return replace(self, **changes)


class TaskSet(Mapping[str, Task]):
    """Tasks in a fixed order, by name.

    Args:
        tasks: the tasks; their order is the order of losses, heads and columns everywhere.

    Raises:
        ValueError: if the set is empty or a name occurs twice.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        ordered = tuple(tasks)
        self._tasks = {task.name: task for task in ordered}
        if not ordered or len(self._tasks) != len(ordered):
            raise ValueError(f"a task set needs tasks of different names, found {[task.name for task in ordered]}")

    def __getitem__(self, name: str) -> Task:
        if name not in self._tasks:
            raise KeyError(f"no task named {name!r}.{suggest(name, self._tasks)} Tasks here: {', '.join(self._tasks)}")
        return self._tasks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tasks)

    def __len__(self) -> int:
        return len(self._tasks)

    def __repr__(self) -> str:
        return f"TaskSet({', '.join(self._tasks)})"

    def select(self, names: Iterable[str]) -> TaskSet:
        """The named tasks, in the order of this set."""
        wanted = set(names)
        for name in wanted:
            self[name]
        return TaskSet(task for name, task in self._tasks.items() if name in wanted)

    def adjusted(self, settings: Mapping[str, Mapping[str, Any]]) -> TaskSet:
        """The same tasks with the loss settings of a recipe, `{task: {"loss_weight": 10.0, ...}}`."""
        for name in settings:
            self[name]
        return TaskSet(task.adjusted(**settings.get(name, {})) for name, task in self._tasks.items())


SEMSEG = Task(
    name="semseg",
    channels=40,
    unit="class",
    primary_metric="mIoU",
    higher_is_better=True,
    loss="cross_entropy",
    valid=valid_classes,
    readout="class",
)
"""40-class segmentation of NYU-v2. Target: (B, H, W) int64, 0..39, 255 unlabelled."""

DEPTH = Task(
    name="depth",
    channels=1,
    unit="m",
    primary_metric="rmse@pixel",
    higher_is_better=False,
    loss="l1",
    valid=valid_depth,
    readout="value",
)
"""Distance along the optical axis. Target: (B, 1, H, W) float32 metres, 0 missing."""

NORMALS = Task(
    name="normals",
    channels=3,
    unit="deg",
    primary_metric="mean@pixel",
    higher_is_better=False,
    loss="normals_l1",
    valid=valid_normals,
    readout="direction",
    loss_weight=10.0,
    loss_options={"divisor": "pixels"},
)
"""Surface normals, camera frame: x right, y down, z towards the camera. Target: (B, 3, H, W) float32 unit vectors,
zero missing. A fronto-parallel wall is (0, 0, 1), a floor has y < 0."""

BOUNDARY = Task(
    name="boundary",
    channels=1,
    unit="probability",
    primary_metric="odsF@seism",
    higher_is_better=True,
    loss="balanced_bce",
    valid=valid_map,
    readout="probability",
    loss_weight=50.0,
    loss_options={"positive_weight": 0.8},
)
"""Semantic boundaries. Target: (B, 1, H, W) float32 in 0..1, 255 unlabelled."""

HUMAN_PARTS = Task(
    name="human_parts",
    channels=7,
    unit="class",
    primary_metric="mIoU",
    higher_is_better=True,
    loss="cross_entropy",
    valid=valid_classes,
    readout="class",
    loss_weight=2.0,
    background=0,
)
"""Background and six parts of the human body. Target: (B, H, W) int64, 0..6, 255 unlabelled. Images without people do
not count, in training (after the crop) and in evaluation, as in ASTMT, ATRC and InvPT."""

SALIENCY = Task(
    name="saliency",
    channels=2,
    unit="probability",
    primary_metric="maxF",
    higher_is_better=True,
    loss="balanced_cross_entropy",
    valid=valid_map,
    readout="mask",
    loss_weight=5.0,
    loss_options={"positive_weight": None},
)
"""Salient objects. Target: (B, 1, H, W) float32, 1 salient, 0 not, 255 unlabelled. Two channels, softmax and class
weights from each batch, as in ATRC and InvPT; the survey's code has one channel and `balanced_bce`."""

NYUV2_TASKS = TaskSet((SEMSEG, DEPTH, NORMALS, BOUNDARY))

PASCAL_TASKS = TaskSet(
    (
        replace(SEMSEG, channels=21),
        HUMAN_PARTS,
        SALIENCY,
        NORMALS,
        replace(
            BOUNDARY, loss_options={"positive_weight": 0.95}, metric_options={"max_distance": 0.0075, "outlined": True}
        ),
    )
)
"""Tasks of PASCAL-Context. The background is class 0 of `semseg`, and is scored like the other classes."""

STANDARD_TASKS = TaskSet((SEMSEG, DEPTH, NORMALS, BOUNDARY, HUMAN_PARTS, SALIENCY))
"""Tasks with standard names; a data set may offer other tasks (`datasets.own.folder`)."""
