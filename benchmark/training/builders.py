"""Construction of the training module and the data splits, registered for composed configs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeVar

import torch
from mmengine.config import Config
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import MODELS as MMENGINE_MODELS
from torch import nn
from torch.utils.data import Dataset

from benchmark.records.result import RunSpec
from benchmark.registry import ACCELERATE, DATASETS, JOIN_PAIRS, METHODS, REGULARIZERS, offered_by
from benchmark.tasks import TaskSet
from benchmark.training.dataset_contract import check_dataset
from benchmark.training.gradient_calibration import Calibration, calibrated_ratio
from benchmark.training.model import MultiTaskModel, TrainingModule
from benchmark.training.recipe_files import data_root

Trained = TypeVar("Trained", bound=nn.Module)
REGULARIZER_SEED_OFFSET = 1_000_003
"""Offset of the regularizer's seed, so that its random numbers differ from the model's."""


def tasks_of(dataset: str, settings: Mapping[str, Mapping[str, Any]], root: str | Path | None = None) -> TaskSet:
    """The tasks of a cell: tasks of the data set, chosen and weighted by the recipe, in the order of the settings.

    Args:
        dataset: registered name.
        settings: `{task: {"loss_weight": ..., "loss_options": ...}}`.
        root: folder of the data, which some data sets read their tasks from.
    """
    offered = offered_by(dataset, root)
    return TaskSet(offered[name].adjusted(**dict(chosen)) for name, chosen in settings.items())


def tasks_of_cell(recipe: Config, spec: RunSpec) -> TaskSet:
    """The tasks of a cell with the loss settings of its recipe, in the order of the cell."""
    return tasks_of(recipe.dataset, {name: recipe.tasks[name] for name in spec.tasks}, data_root(recipe))


def build_model(
    method: str, backbone: str, tasks: TaskSet, options: Mapping[str, Any], accelerate: bool = True
) -> MultiTaskModel:
    """Build the evaluated model, a method with its tasks; `accelerate` as in a recipe."""
    network = METHODS.create(method, tasks, backbone, **options)
    if accelerate:
        resolve_name(ACCELERATE)(network)
    return MultiTaskModel(network, tasks)


@MMENGINE_MODELS.register_module(name="TrainingModuleOf")
def build_training_module(
    method: str,
    method_options: Mapping[str, Any],
    regularizer: str,
    regularizer_options: Mapping[str, Any],
    dataset: str,
    tasks: Mapping[str, Mapping[str, Any]],
    backbone: str,
    seed: int,
    memory_format: str,
    root: str | None = None,
    compile_options: Mapping[str, Any] | None = None,
    accelerate: bool = True,
) -> TrainingModule:
    """Build the model and the regularizer; the regularizer has separate random numbers.

    Args:
        method: registered name.
        method_options: constructor arguments of the method that the recipe sets.
        regularizer: registered name.
        regularizer_options: constructor arguments of the regularizer that the recipe sets.
        dataset: registered name.
        tasks: loss settings by task, see `tasks_of`.
        backbone: name or name:weights.
        seed: seed of the cell.
        memory_format: "channels_last" or "contiguous_format".
        root: folder of the data, see `tasks_of`.
        compile_options: see `benchmark.training.compiling`.
        accelerate: as in a recipe.

    With `compile_options`, keywords of `torch.compile`, the method is compiled in place at its first call, so modules,
    parameters and their names stay the same. Otherwise, with `accelerate`, layers of the method and of the regularizer
    are replaced by equal, faster layers for a CPU.
    """
    accelerate = accelerate and compile_options is None
    model = build_model(method, backbone, tasks_of(dataset, tasks, root), method_options, accelerate)
    if compile_options is not None:
        model.method.compile(**compile_options)
    module = with_regularizer(model, regularizer, regularizer_options, seed, accelerate)
    return in_memory_format(module, getattr(torch, memory_format))


def with_regularizer(
    model: MultiTaskModel, regularizer: str, options: Mapping[str, Any], seed: int, accelerate: bool
) -> TrainingModule:
    """Build the regularizer of a model, with random numbers of its own, and the training module of both."""
    ratio = calibrated_ratio(options.get("weight"))
    kept = {name: value for name, value in options.items() if name != "weight" or ratio is None}
    with torch.random.fork_rng():
        torch.manual_seed(seed + REGULARIZER_SEED_OFFSET)
        built = REGULARIZERS.create(regularizer, model.tasks, model.method.feature_specs, **kept)
    if accelerate and built is not None:
        resolve_name(ACCELERATE)(built)
    calibration = None if ratio is None else Calibration(ratio)
    return TrainingModule(model, built, seed + REGULARIZER_SEED_OFFSET, calibration)


def in_memory_format(module: Trained, memory_format: torch.memory_format) -> Trained:
    """Convert parameters and buffers of four dimensions to a memory format.

    `Module.to` converts tensors of five dimensions too, which have no channels-last format of this name.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.to(memory_format=memory_format)
    return module


def ensure_files(name: str, root: Path) -> None:
    """Generate the files of a registered data set, or check that they exist.

    A class of a user needs no `ensure`: it reads its files when it is made.

    Raises:
        ValueError, OSError: if the files are missing and cannot be generated; the message has the remedy.
    """
    ensure = getattr(DATASETS.entry(name).factory, "ensure", None)
    if ensure is not None:
        ensure(root)


@MMENGINE_DATASETS.register_module(name="SplitOf")
def build_split(name: str, root: str, split: str, tasks: Sequence[str], seed: int, **options: Any) -> Dataset[Any]:
    """Build one split of a registered data set; a data set that can be generated is generated first.

    Sizes come from a config as lists; a data set expects tuples. With `pairs`, a mapping of `name`, `root`, `gap` and
    `tasks`, pairs of posed views of the named data set are added, with the same options except `share` and with the
    listed tasks.
    """
    ensure_files(name, Path(root))
    factory: Any = DATASETS.entry(name).factory
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    pairs = options.pop("pairs", None)
    data: Any = factory(root=Path(root), split=split, tasks=tuple(tasks), seed=seed, **options)
    check_dataset(data, tasks)
    if pairs:
        wanted = pairs.get("tasks") or tasks
        known = [task for task in tasks if task in wanted and task in offered_by(pairs["name"], pairs["root"])]
        options.pop("share", None)
        views = build_split(pairs["name"], pairs["root"], split, known, seed, **options)
        data = resolve_name(JOIN_PAIRS)(data, views, tuple(tasks), pairs.get("gap", 1))
    whole: Dataset[Any] = data
    return whole
