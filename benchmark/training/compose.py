"""Build the mmengine Config of a cell from RunSpec and recipe; refuse wrong settings before anything runs."""

from __future__ import annotations

import ast
import os
import tempfile
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from benchmark.losses import check_losses
from benchmark.records.provenance import data_home
from benchmark.records.result import TEST, VAL, RunSpec
from benchmark.registry import BACKBONES, DATASETS, METHODS, REGULARIZERS, offered_by, split_backbone
from benchmark.tasks import suggest
from benchmark.training import compiling
from benchmark.training.builders import tasks_of
from benchmark.training.gradient_calibration import calibrated_ratio
from benchmark.training.options import check_options
from benchmark.training.recipe_keys import ConfigError, literal, override
from benchmark.training.settings import MAX_ITERS, Split, checked_settings

__all__ = [
    "ConfigError",
    "check_spec",
    "compose",
    "data_folder",
    "data_root",
    "load_recipe",
    "parse_overrides",
    "posed_pairs",
    "recipe_defaults",
    "recipe_names",
]

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
_COMPOSED = count()

SPLIT_NAMES = {TEST: {"train": "train", "test": "test"}, VAL: {"train": "fit", "test": "val"}}
"""Names that a data set gives the two splits of a cell: "fit" is the training split without the frames of "val"."""

ALL_TASKS = "all"
"""Stands for every task that the data offers, with the losses that it offers them with."""


def data_folder(dataset: str, root: str | None = None) -> Path:
    """Folder of a data set: below `MTL_DATA`, or below `data/` in the checkout.

    Args:
        dataset: registered name.
        root: name of its folder there, or a path; None where the folder has the name of the data set.
    """
    return data_home() / str(root or dataset)


def recipe_names() -> list[str]:
    """Names of all recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.py") if not path.stem.startswith("_"))


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """A recipe with overrides applied.

    Args:
        name: file name without ending below benchmark/recipes, or the path of a user's own recipe file.
        overrides: dotted key -> value; a string is read as a Python literal where it is one.

    Raises:
        ConfigError: for an unknown recipe or key.
    """
    path = Path(name) if name.endswith(".py") else RECIPES / f"{name}.py"
    if not path.is_file():
        known = recipe_names()
        raise ConfigError(f"no recipe named {name!r}.{suggest(name, known)} Recipes: {', '.join(known)}")
    recipe = read_recipe(path)
    # Config itself is no mapping; its settings are, at every level.
    settings: dict[str, Any] = recipe._cfg_dict
    values = {key: literal(value) for key, value in (overrides or {}).items()}
    for key in ("dataset", "root", "tasks"):
        if key in values:
            override(settings, key, values.pop(key))
    if settings.get("tasks") == ALL_TASKS:
        # Tasks must have names before one of their losses can be overridden.
        settings["tasks"] = _all_tasks(settings)
    for key, value in values.items():
        override(settings, key, value)
    try:
        typed = checked_settings(settings)
    except ConfigError as error:
        raise ConfigError(f"recipe {name}: {error}") from None
    return Config(typed.model_dump(exclude_unset=True), filename=str(path))


def _all_tasks(settings: Mapping[str, Any]) -> ConfigDict:
    try:
        offered = offered_by(settings["dataset"], data_folder(settings["dataset"], settings.get("root")))
    except (KeyError, ValueError) as error:
        raise ConfigError(str(error)) from error
    return ConfigDict({name: {} for name in offered})


def recipe_defaults(name: str, overrides: Mapping[str, Any] | None = None) -> tuple[str, tuple[str, ...]]:
    """Backbone and task names of a recipe, once its overrides have proven valid."""
    recipe = load_recipe(name, overrides)
    return str(recipe.backbone), tuple(recipe.tasks)


def read_recipe(path: Path) -> Config:
    """The settings of a recipe file as it stands; `_base_` may name a shipped recipe.

    Raises:
        ConfigError: for a file that is no recipe.
    """
    try:
        text = path.read_text(encoding="utf-8")
        resolved = _with_absolute_bases(text, path)
        if resolved == text:
            return Config.fromfile(path)
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, path.name)
            copy.write_text(resolved, encoding="utf-8")
            return Config.fromfile(copy)
    except (SyntaxError, NameError, TypeError, ValueError, KeyError, OSError, ImportError) as error:
        raise ConfigError(f"recipe {path}: {type(error).__name__}: {' '.join(str(error).split())}") from error


def _with_absolute_bases(text: str, path: Path) -> str:
    """The text of a recipe whose `_base_` names shipped recipes, with the paths of all its bases; else the text."""
    for statement in ast.parse(text).body:
        if not isinstance(statement, ast.Assign) or ast.unparse(statement.targets[0]) != "_base_":
            continue
        value = ast.literal_eval(statement.value)
        bases = [value] if isinstance(value, str) else list(value)
        if all((path.parent / base).is_file() for base in bases):
            return text
        found = [_base_path(base, path.parent) for base in bases]
        lines = text.splitlines(keepends=True)
        rest = [f"_base_ = {found!r}\n", *["\n"] * ((statement.end_lineno or statement.lineno) - statement.lineno)]
        return "".join([*lines[: statement.lineno - 1], *rest, *lines[statement.end_lineno :]])
    return text


def _base_path(base: str, folder: Path) -> str:
    for place in (folder / base, RECIPES / base, RECIPES / f"{base}.py"):
        if place.is_file():
            return str(place.resolve())
    name = base.removesuffix(".py")
    raise ConfigError(f"_base_ names no recipe {base!r}.{suggest(name, recipe_names())}")


def parse_overrides(assignments: Iterable[str]) -> dict[str, Any]:
    """`["train_cfg.max_iters=10"]` -> `{"train_cfg.max_iters": 10}`.

    Raises:
        ConfigError: for an argument without "=".
    """
    overrides = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set takes key=value, found {assignment!r}")
        overrides[key.strip()] = literal(value.strip())
    return overrides


def check_spec(spec: RunSpec) -> None:
    """Refuse a request that `compose` would refuse, without building anything.

    Raises:
        ConfigError: for an unknown name, a misspelt override, or a pair that cannot be trained together.
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
        check_losses(tasks_of(recipe.dataset, {task: recipe.tasks[task] for task in spec.tasks}, data_root(recipe)))
    except (KeyError, ValueError) as error:
        raise ConfigError(f"recipe {spec.recipe}: {error}") from error
    data = dict(recipe.train_dataloader.dataset)
    extra = {name: value for name, value in data.items() if name not in Split.model_fields}
    check_options(DATASETS.entry(recipe.dataset).factory, extra, f"data set {recipe.dataset}")
    check_options(method.factory, recipe.method, f"method {spec.method}")
    check_options(regularizer.factory, recipe.regularizer, f"regularizer {spec.regularizer}")


def compose(spec: RunSpec, folder: Path, start_iteration: int = 0) -> Config:
    """The complete configuration of a cell, for mmengine's Runner.

    Args:
        spec: the cell.
        folder: work folder of the cell.
        start_iteration: iterations that an interrupted run has already done.

    Raises:
        ConfigError: see `check_spec`.
    """
    check_spec(spec)
    recipe = load_recipe(spec.recipe, spec.overrides)
    config = Config(_runner_config(recipe, spec, folder))
    config.train_dataloader.sampler = dict(
        type="PositionSampler", seed=spec.seed, start=start_iteration * recipe.train_dataloader.batch_size
    )
    return config


def data_root(recipe: Config) -> Path:
    """Folder of the data of a recipe."""
    return data_folder(recipe.dataset, recipe.get("root"))


def _runner_config(recipe: Config, spec: RunSpec, folder: Path) -> dict[str, Any]:
    tasks = {name: dict(recipe.tasks[name]) for name in spec.tasks}
    return dict(
        model=dict(
            type="TrainingModuleOf",
            method=spec.method,
            method_options=dict(recipe.method),
            regularizer=spec.regularizer,
            regularizer_options=dict(recipe.regularizer),
            dataset=recipe.dataset,
            root=str(data_root(recipe)),
            tasks=tasks,
            backbone=spec.backbone,
            seed=spec.seed,
            memory_format=recipe.memory_format,
            accelerate=recipe.accelerate,
            compile_options=compiling.compile_options(recipe),
        ),
        train_cfg=dict(recipe.train_cfg),
        test_cfg=dict(recipe.test_cfg),
        train_dataloader=_dataloader(recipe, spec, "train", persistent=True),
        test_dataloader=_dataloader(recipe, spec, "test", persistent=False)
        | dict(sampler=dict(type="DefaultSampler", shuffle=False, round_up=False)),
        test_evaluator=[
            dict(type="MetricOf", dataset=recipe.dataset, root=str(data_root(recipe)), task=name) for name in tasks
        ],
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
        # mmengine keeps every runner of a process by this name and a time in seconds, and warns of one name twice.
        experiment_name=f"{spec.run_id}-{os.getpid()}-{next(_COMPOSED)}",
        work_dir=str(folder),
    )


def posed_pairs(recipe: Config) -> dict[str, Any] | None:
    """Name, root and gap of the pairs of posed views that a recipe merges into its training split; None for none.

    Raises:
        ConfigError: if the recipe has another value there.
    """
    asked = recipe.train_dataloader.dataset.get("pairs")
    if asked is None:
        return None
    pairs = {"name": asked} if isinstance(asked, str) else dict(asked)
    return {**pairs, "root": str(data_folder(pairs["name"], pairs.get("root")))}


def _dataloader(recipe: Config, spec: RunSpec, split: str, persistent: bool) -> dict[str, Any]:
    settings = dict(recipe[f"{split}_dataloader"])
    dataset = dict(settings.pop("dataset"))
    dataset.pop("pairs", None)
    if dataset.get("share") == 1:
        # A data set from outside the suite may not know it.
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
    """Put the number of iterations where a schedule says `MAX_ITERS`; a warm-up may not outlast the run."""
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
