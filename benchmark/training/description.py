"""Description of a trained model: everything that is needed to build its network again without recipe or data set.

It is stored in the metadata of every model.safetensors, and in config.json of an exported model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from benchmark.records.validation import (
    CONFIG,
    Json,
    Name,
    Number,
    Text,
    one_line_errors,
    parse_json,
    read_from,
    validated,
)
from benchmark.registry import SCRATCH, split_backbone
from benchmark.tasks import STANDARD_TASKS, Readout, Task, TaskSet
from benchmark.training.builders import build_model
from benchmark.training.model import MultiTaskModel

METADATA_KEY = "model"
"""Metadata key of the description in a safetensors file."""
Count = Annotated[int, Field(strict=True, ge=1)]


@one_line_errors
@dataclass(frozen=True, config=CONFIG)
class TaskDescription:
    """Prediction of a model for one task.

    Args:
        channels: channels of the raw prediction.
        readout: see `Task.readout`.
        unit: see `Task.unit`.
        classes: names of the classes; empty if unknown or not a class map.
    """

    channels: Count
    readout: Readout
    unit: Text
    classes: tuple[Name, ...] = ()


@one_line_errors
@dataclass(frozen=True, config={**CONFIG, "extra": "ignore"})
class ModelDescription:
    """Network of trained weights.

    Args:
        method: registered name.
        backbone: registered name, with the weights that the training started from.
        tasks: the tasks in the order of the network.
        options: constructor arguments of the method.
        signs: factors that convert the axes of public code, see `benchmark.training.imported.ImportedCard`.
        input_size: (H, W) of the images that the model was evaluated on; None if they had their full size.
        run_id: identity of the cell; empty for imported weights.
        recipe: name of the recipe; empty for imported weights.
        data: id of the data set; empty if unknown.
    """

    method: Name
    backbone: Name
    tasks: dict[Name, TaskDescription]
    options: dict[Name, Json] = Field(default_factory=dict)
    signs: dict[Name, tuple[Number, ...]] = Field(default_factory=dict)
    input_size: tuple[Count, Count] | None = None
    run_id: str = ""
    recipe: str = ""
    data: str = ""

    def to_text(self) -> str:
        """Convert to JSON in one line."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_text(cls, text: str | bytes, source: str) -> ModelDescription:
        """Read from JSON.

        Raises:
            RecordError: naming the source, the key and the value found.
        """
        with read_from(source):
            return validated(cls, parse_json(text))

    def task_set(self) -> TaskSet:
        """The tasks, with losses and metrics of the standard task of the same name or readout."""
        return TaskSet(_task(name, found) for name, found in self.tasks.items())

    def build(self, accelerate: bool = True) -> MultiTaskModel:
        """Build the network with random weights, in eval mode.

        Args:
            accelerate: replace layers by equal, faster ones for a CPU.
        """
        name = split_backbone(self.backbone)[0]
        return build_model(self.method, f"{name}:{SCRATCH}", self.task_set(), self.options, accelerate).eval()


def describe_tasks(tasks: TaskSet, info: Any = None) -> dict[str, TaskDescription]:
    """Descriptions of tasks.

    Args:
        tasks: the tasks.
        info: description of a prepared data set, which may know the names of the classes.
    """
    names = info.classes_of if hasattr(info, "classes_of") else lambda _name: ()
    return {
        name: TaskDescription(task.channels, task.readout, task.unit, _class_names(task, tuple(names(name))))
        for name, task in tasks.items()
    }


def with_files_inlined(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a method with the content of a JSON file in place of its path, such as a genotype."""
    return {
        name: json.loads(Path(value).read_text(encoding="utf-8"))
        if isinstance(value, str) and value.endswith(".json") and Path(value).is_file()
        else value
        for name, value in options.items()
    }


def _class_names(task: Task, names: tuple[str, ...]) -> tuple[str, ...]:
    return names if task.readout == "class" and len(names) == task.channels else ()


def _task(name: str, found: TaskDescription) -> Task:
    alike = [task for task in STANDARD_TASKS.values() if task.readout == found.readout]
    template = next((task for task in alike if task.name == name), alike[0])
    return replace(template, name=name, channels=found.channels, unit=found.unit)
