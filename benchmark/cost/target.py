"""What is measured: one cell's network at one image size, with fresh weights and random images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from benchmark.contracts import Method, Regularizer
from benchmark.cost.batches import random_batch
from benchmark.records.result import NO_REGULARIZER, RunSpec
from benchmark.registry import METHODS, SCRATCH, split_backbone
from benchmark.tasks import TaskSet
from benchmark.training.builders import build_training_module, tasks_of
from benchmark.training.compiling import compile_options
from benchmark.training.compose import ConfigError, data_root, load_recipe
from benchmark.training.model import TrainingModule


@dataclass(frozen=True)
class Subject:
    """What is measured.

    Args:
        spec: recipe, method, regularizer, backbone, tasks and overrides; its seed and its weights do not matter.
        size: (H, W) of the images.
        device: "cpu" or "cuda".
        runs: timed runs of each measurement, after the warm-up.
        imports: a user's own files that take part.
    """

    spec: RunSpec
    size: tuple[int, int]
    device: str = "cpu"
    runs: int = 20
    imports: tuple[str, ...] = field(default=())

    def without_regularizer(self) -> Subject:
        """The same method alone."""
        return replace(self, spec=replace(self.spec, regularizer=NO_REGULARIZER))

    @property
    def recipe(self) -> Any:
        """The recipe with the overrides of the spec."""
        return load_recipe(self.spec.recipe, self.spec.overrides)

    @property
    def tasks(self) -> TaskSet:
        """The tasks as the recipe weighs them."""
        recipe = self.recipe
        return tasks_of(recipe.dataset, _task_settings(recipe, self.spec), data_root(recipe))


def build(subject: Subject) -> TrainingModule:
    """The network with fresh weights, and the regularizer beside it, ready for a first step."""
    module = _make(subject, compile_options(subject.recipe))
    _get_ready(module, subject)
    return module.to(subject.device)


def build_shapes(subject: Subject) -> TrainingModule:
    """The same on the meta device: shapes without numbers."""
    with torch.device("meta"):
        return _make(subject, None)


def _make(subject: Subject, compiling: dict[str, Any] | None) -> TrainingModule:
    recipe, spec = subject.recipe, subject.spec
    return build_training_module(
        method=spec.method,
        method_options=dict(recipe.method),
        regularizer=spec.regularizer,
        regularizer_options=dict(recipe.regularizer),
        dataset=recipe.dataset,
        root=str(data_root(recipe)),
        tasks=_task_settings(recipe, spec),
        backbone=_from_scratch(spec),
        seed=0,
        memory_format=recipe.memory_format,
        compile_options=compiling,
    )


def _from_scratch(spec: RunSpec) -> str:
    """The backbone without ImageNet weights: cost does not depend on them, and they may have to be downloaded."""
    return f"{split_backbone(spec.backbone)[0]}:{SCRATCH}"


def _get_ready(module: TrainingModule, subject: Subject) -> None:
    """Do what a run does before its first step, with labels and teachers that have learnt nothing."""
    parts = [part for part in (module.model.method, module.regularizer) if part is not None]
    for part in parts:
        if type(part).calibrate not in (Method.calibrate, Regularizer.calibrate):
            part.calibrate([random_batch(subject.tasks, 1, subject.size)["targets"]])
    if module.regularizer is not None:
        backbone = _from_scratch(subject.spec)
        needed = module.regularizer.needs(backbone, dict(subject.recipe.regularizer))
        teachers = {
            name: METHODS.create(name, subject.tasks, backbone, **options).eval() for name, options in needed.items()
        }
        if teachers:
            module.regularizer.start_from(teachers)


def image_size(recipe: Any) -> tuple[int, int]:
    """(H, W) that a recipe scores at, or trains at where the data decide about scoring.

    Raises:
        ConfigError: if the recipe leaves both to the data.
    """
    for loader in (recipe.test_dataloader, recipe.train_dataloader):
        dataset = loader.dataset
        augmentation: Mapping[str, Any] = dataset.get("augmentation") or {}
        size = augmentation.get("pad") or dataset.get("size") or augmentation.get("crop")
        if size:
            return int(size[0]), int(size[1])
    raise ConfigError(f"recipe {recipe.filename} takes the size of its images from the data; say --size HxW")


def _task_settings(recipe: Any, spec: RunSpec) -> dict[str, dict[str, Any]]:
    return {name: dict(recipe.tasks[name]) for name in spec.tasks}
