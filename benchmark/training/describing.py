"""Descriptions of the models of cells, in training and from stored results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from benchmark.records.result import RunResult, RunSpec
from benchmark.tasks import STANDARD_TASKS, TaskSet
from benchmark.training.builders import tasks_of_cell
from benchmark.training.description import ModelDescription, TaskDescription, describe_tasks, with_files_inlined
from benchmark.training.recipe_files import load_recipe
from benchmark.visualization.nyu40 import NAMES_40


def describe_cell(spec: RunSpec, tasks: TaskSet, dataset: Any) -> ModelDescription:
    """Description of the model of a cell in training.

    Args:
        spec: the cell.
        tasks: its tasks.
        dataset: its evaluated split.
    """
    info = getattr(dataset, "info", None)
    return _description(spec, load_recipe(spec.recipe, spec.overrides), describe_tasks(tasks, info), info)


def describe_result(result: RunResult, spec: RunSpec) -> ModelDescription:
    """Description of the model of a stored cell whose weights have no description.

    Args:
        result: the stored result.
        spec: its spec, after `trusted_spec`.

    Raises:
        ConfigError: if its recipe is unknown.
    """
    recipe = load_recipe(spec.recipe, spec.overrides)
    settings = result.spec.ingredients.settings if result.spec.ingredients else {}
    counts = {name: settings.get(f"tasks.{name}.channels") for name in spec.tasks}
    channels = {name: count for name, count in counts.items() if name in STANDARD_TASKS and isinstance(count, int)}
    if len(channels) == len(spec.tasks):
        tasks = TaskSet(replace(STANDARD_TASKS[name], channels=count) for name, count in channels.items())
    else:
        tasks = tasks_of_cell(recipe, spec)
    described = {
        name: replace(found, classes=standard_classes(name, found.channels))
        for name, found in describe_tasks(tasks).items()
    }
    return _description(spec, recipe, described, result.provenance.get("data"))


def standard_classes(task: str, channels: int) -> tuple[str, ...]:
    """Names of the NYU-v2 classes for `semseg` of 40 channels, as in every such data set of the suite; else empty."""
    return NAMES_40 if task == "semseg" and channels == len(NAMES_40) else ()


def _description(spec: RunSpec, recipe: Any, tasks: dict[str, TaskDescription], info: Any) -> ModelDescription:
    size = recipe.test_dataloader.dataset.get("size")
    data = info.get("id") if isinstance(info, dict) else getattr(info, "id", "")
    return ModelDescription(
        method=spec.method,
        backbone=spec.backbone,
        tasks=tasks,
        options=with_files_inlined(dict(recipe.method)),
        input_size=None if size is None else (int(size[0]), int(size[1])),
        run_id=spec.run_id,
        recipe=spec.folder,
        data=str(data or ""),
    )
