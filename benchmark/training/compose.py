"""Composition of a cell's mmengine Config from RunSpec and recipe; wrong settings are refused before anything runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from benchmark.losses import check_losses
from benchmark.metrics.own import METRICS
from benchmark.records.result import TEST, VAL, RunSpec
from benchmark.registry import BACKBONES, DATASETS, METHODS, REGULARIZERS, split_backbone
from benchmark.tasks import suggest
from benchmark.training import compiling
from benchmark.training.builders import tasks_of_cell
from benchmark.training.data_parallel import Devices, devices_here
from benchmark.training.gradient_calibration import calibrated_ratio
from benchmark.training.options import check_options
from benchmark.training.recipe_files import data_root, load_recipe, posed_pairs
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.settings import MAX_ITERS, Split

_COMPOSED = count()

SPLIT_NAMES = {TEST: {"train": "train", "test": "test"}, VAL: {"train": "fit", "test": "val"}}
"""Names that a data set gives the two splits of a cell: "fit" is the training split without the frames of "val"."""


def check_spec(spec: RunSpec) -> None:
    """Check a request without building a network or reading data.

    Raises:
        ConfigError: for an unknown name, a wrong setting or option, or a regularizer with a method that takes none.
    """
    try:
        method = METHODS.entry(spec.method)
        regularizer = REGULARIZERS.entry(spec.regularizer)
        BACKBONES.entry(split_backbone(spec.backbone)[0])
        recipe = load_recipe(spec.recipe, spec.overrides)
        DATASETS.entry(recipe.dataset)
        pairs = posed_pairs(recipe)
        if pairs is not None:
            DATASETS.entry(pairs["name"])
        compiling.compile_options(recipe)
        calibrated_ratio(recipe.regularizer.get("weight"))
    except (KeyError, ValueError) as error:
        raise ConfigError(str(error)) from error
    if not method.accepts_regularizers and spec.regularizer != "none":
        raise ConfigError(f"{spec.method} has nothing to train: it takes the regularizer none, not {spec.regularizer}")
    unknown = [task for task in spec.tasks if task not in recipe.tasks]
    if unknown:
        hint = suggest(unknown[0], recipe.tasks)
        raise ConfigError(f"recipe {spec.recipe} has no task {unknown[0]!r}.{hint} Tasks: {', '.join(recipe.tasks)}")
    try:
        check_losses(tasks_of_cell(recipe, spec))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"recipe {spec.recipe}: {error}") from error
    data = dict(recipe.train_dataloader.dataset)
    extra = {name: value for name, value in data.items() if name not in Split.model_fields}
    check_options(DATASETS.entry(recipe.dataset).factory, extra, f"data set {recipe.dataset}")
    check_options(method.factory, recipe.method, f"method {spec.method}")
    check_options(regularizer.factory, recipe.regularizer, f"regularizer {spec.regularizer}")


def check_devices(spec: RunSpec, count: int, elsewhere: bool = False) -> None:
    """Compare a number of devices with this machine and with the batch of a cell.

    Args:
        spec: the cell.
        count: number of devices.
        elsewhere: True if the cell trains on another machine, whose number of GPUs is not known here.

    Raises:
        ConfigError: if the machine has GPUs, but fewer, or if the batch cannot be split equally.
    """
    found = 0 if elsewhere else torch.cuda.device_count()
    if 0 < found < count:
        raise ConfigError(
            f"{count} devices: this machine shows {found} GPUs; CUDA_VISIBLE_DEVICES='' trains on its CPU cores"
        )
    Devices(count).rows(load_recipe(spec.recipe, spec.overrides).train_dataloader.batch_size)


def compose(spec: RunSpec, folder: Path, start_iteration: int = 0) -> Config:
    """The complete configuration of a cell, for mmengine's Runner.

    Args:
        spec: the cell.
        folder: work folder of the cell.
        start_iteration: number of iterations that an interrupted run has completed.

    Raises:
        ConfigError: see `check_spec`; also if the batch cannot be split equally over the devices.
    """
    check_spec(spec)
    recipe = load_recipe(spec.recipe, spec.overrides)
    # mmengine would have yapf format the text of the configuration six times, two thirds of the time of a short cell.
    config = Config(_runner_config(recipe, spec, folder), format_python_code=False)
    batch_size, devices = recipe.train_dataloader.batch_size, devices_here()
    rows = devices.rows(batch_size)
    config.train_dataloader.sampler = dict(
        type="PositionSampler",
        seed=spec.seed,
        start=start_iteration * batch_size,
        batch_size=batch_size,
        rows=(devices.index * rows, rows),
    )
    if devices.count > 1:
        config.launcher = "pytorch"
        config.model_wrapper_cfg = dict(type="SummedDataParallel")
        config.train_dataloader.batch_size = rows
        # The recipe counts the workers of all devices together.
        config.train_dataloader.num_workers = -(-config.train_dataloader.num_workers // devices.count)
    return config


def module_options(recipe: Config, spec: RunSpec) -> dict[str, Any]:
    """Keywords of `build_training_module` for a cell."""
    return dict(
        method=spec.method,
        method_options=dict(recipe.method),
        regularizer=spec.regularizer,
        regularizer_options=dict(recipe.regularizer),
        dataset=recipe.dataset,
        root=str(data_root(recipe)),
        tasks=chosen_tasks(recipe, spec),
        backbone=spec.backbone,
        seed=spec.seed,
        memory_format=recipe.memory_format,
        accelerate=recipe.accelerate,
        compile_options=compiling.compile_options(recipe),
    )


def chosen_tasks(recipe: Config, spec: RunSpec) -> dict[str, dict[str, Any]]:
    """Settings of the tasks of a cell, in its order."""
    return {name: dict(recipe.tasks[name]) for name in spec.tasks}


def _runner_config(recipe: Config, spec: RunSpec, folder: Path) -> dict[str, Any]:
    return dict(
        model=dict(type="TrainingModuleOf", **module_options(recipe, spec)),
        train_cfg=dict(recipe.train_cfg),
        test_cfg=dict(recipe.test_cfg),
        train_dataloader=_dataloader(recipe, spec, "train", persistent=True),
        test_dataloader=_dataloader(recipe, spec, "test", persistent=False)
        | dict(sampler=dict(type="DefaultSampler", shuffle=False, round_up=False)),
        test_evaluator=_evaluators(recipe, spec),
        optim_wrapper=dict(recipe.optim_wrapper),
        param_scheduler=_with_length(recipe.param_scheduler, recipe.train_cfg.max_iters),
        default_hooks=dict(recipe.default_hooks),
        custom_hooks=[
            dict(type="FiniteLossHook", interval=10),
            dict(type="ProgressFileHook", path=str(folder / "progress.json")),
            *([dict(type="AveragingHook", **recipe.ema)] if recipe.ema else []),
        ],
        visualizer=dict(type="Visualizer", vis_backends=list(recipe.vis_backends), save_dir=str(folder)),
        log_processor=dict(recipe.log_processor),
        log_level=recipe.log_level,
        randomness=dict(seed=spec.seed),
        # mmengine identifies the runners of a process by this name and a time in seconds, and warns of duplicates.
        experiment_name=f"{spec.run_id}-{os.getpid()}-{next(_COMPOSED)}",
        work_dir=str(folder),
    )


def _evaluators(recipe: Config, spec: RunSpec) -> list[dict[str, Any]]:
    """The metrics of the tasks, and the metrics that files of the user add."""
    own = [name for name, task in tasks_of_cell(recipe, spec).items() if METRICS.of_task(task)]
    kinds = [*(("MetricOf", name) for name in spec.tasks), *(("OwnMetricsOf", name) for name in own)]
    common = dict(dataset=recipe.dataset, root=str(data_root(recipe)), **exchange())
    return [dict(type=kind, task=name, **common) for kind, name in kinds]


def exchange() -> dict[str, str]:
    """Options of a metric on several devices: sums of images are sent, not written to files in the current folder."""
    return {"collect_device": "gpu"} if devices_here().count > 1 else {}


def _dataloader(recipe: Config, spec: RunSpec, split: str, persistent: bool) -> dict[str, Any]:
    settings = dict(recipe[f"{split}_dataloader"])
    dataset = dict(settings.pop("dataset"))
    dataset.pop("pairs", None)
    if dataset.get("share") == 1:
        # A data set of the user may not have this option.
        del dataset["share"]
    dataset.update(
        type="SplitOf",
        name=recipe.dataset,
        root=str(data_root(recipe)),
        split=SPLIT_NAMES[spec.split][split],
        tasks=tuple(spec.tasks),
        seed=spec.seed,
    )
    pairs = posed_pairs(recipe)
    if pairs is not None and split == "train":
        dataset["pairs"] = pairs
    settings.update(dataset=dataset, collate_fn=dict(type="default_collate"))
    settings["persistent_workers"] = persistent and settings.get("num_workers", 0) > 0
    return settings


def _with_length(schedulers: Iterable[Mapping[str, Any]], max_iters: int) -> list[dict[str, Any]]:
    """Replace `MAX_ITERS` in schedules by the number of iterations, and limit a warm-up to the run."""
    complete = []
    for scheduler in schedulers:
        settings = dict(scheduler)
        end = settings.get("end")
        if end == MAX_ITERS:
            settings["end"] = max_iters
        elif isinstance(end, int):
            settings["end"] = min(end, max(1, max_iters))
        complete.append(settings)
    return complete
