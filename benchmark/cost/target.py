"""Network whose cost is measured: method and regularizer of one cell, with fresh weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from benchmark.records.result import NO_REGULARIZER, RunSpec
from benchmark.registry import SCRATCH, split_backbone
from benchmark.tasks import TaskSet
from benchmark.training.builders import build_training_module, tasks_of_cell
from benchmark.training.compiling import compile_options
from benchmark.training.compose import module_options
from benchmark.training.model import TrainingModule
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.stand_ins import prepare_with_stand_ins


@dataclass(frozen=True)
class CostTarget:
    """A cell, an image size and a device.

    Args:
        spec: recipe, method, regularizer, backbone, tasks and overrides; its seed and its weights do not matter.
        size: (H, W) of the images.
        device: "cpu" or "cuda".
        runs: timed runs of each measurement, after the warm-up.
        imports: paths of a user's own files that register names of the spec.
    """

    spec: RunSpec
    size: tuple[int, int]
    device: str = "cpu"
    runs: int = 20
    imports: tuple[str, ...] = field(default=())

    def without_regularizer(self) -> CostTarget:
        """The same method without a regularizer."""
        return replace(self, spec=replace(self.spec, regularizer=NO_REGULARIZER))

    def without_acceleration(self) -> CostTarget:
        """The same network in plain torch, see `accelerate` in a recipe."""
        return replace(self, spec=replace(self.spec, overrides={**self.spec.overrides, "accelerate": False}))

    @property
    def recipe(self) -> Any:
        """The recipe with the overrides of the spec."""
        return load_recipe(self.spec.recipe, self.spec.overrides)

    @property
    def tasks(self) -> TaskSet:
        """The tasks with the recipe's loss settings."""
        return tasks_of_cell(self.recipe, self.spec)


def build(target: CostTarget) -> TrainingModule:
    """The network on its device, calibrated on random labels, ready for a first step."""
    module = _make(target, compile_options(target.recipe))
    prepare_with_stand_ins(module, _from_scratch(target.spec), target.recipe.regularizer, target.size)
    return module.to(target.device)


def build_shapes(target: CostTarget) -> TrainingModule:
    """The network on the meta device: shapes without values."""
    with torch.device("meta"):
        return _make(target, None)


def _make(target: CostTarget, compiling: dict[str, Any] | None) -> TrainingModule:
    spec = replace(target.spec, backbone=_from_scratch(target.spec), seed=0)
    return build_training_module(**module_options(target.recipe, spec) | dict(compile_options=compiling))


def _from_scratch(spec: RunSpec) -> str:
    """The backbone with random weights, which need no download and have the same cost."""
    return f"{split_backbone(spec.backbone)[0]}:{SCRATCH}"


def image_size(recipe: Any) -> tuple[int, int]:
    """(H, W) at which a recipe evaluates, or trains if the evaluation takes its size from the data.

    Raises:
        ConfigError: if both sizes come from the data.
    """
    for loader in (recipe.test_dataloader, recipe.train_dataloader):
        dataset = loader.dataset
        augmentation: Mapping[str, Any] = dataset.get("augmentation") or {}
        size = augmentation.get("pad") or dataset.get("size") or augmentation.get("crop")
        if size:
            return int(size[0]), int(size[1])
    raise ConfigError(f"recipe {recipe.filename} takes the size of its images from the data; give --size HxW")
