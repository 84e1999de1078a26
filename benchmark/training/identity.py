"""Computation of a cell's ingredients (`benchmark.records.identity`): effective recipe, versions, user files, data."""

from __future__ import annotations

import ast
import inspect
import json
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from mmengine.config import Config

from benchmark.losses import LOSSES
from benchmark.records.identity import Ingredients, flat, has_effect, normalised, source_digest
from benchmark.records.overrides import Overrides
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import RunSpec
from benchmark.registry import (
    BACKBONES,
    DATASETS,
    METHODS,
    REGULARIZERS,
    SCRATCH,
    Entry,
    is_weights_file,
    split_backbone,
)
from benchmark.tasks import Task
from benchmark.training.builders import ensure_files, tasks_of_cell
from benchmark.training.compiling import compile_options
from benchmark.training.recipe_files import data_root, load_recipe, posed_pairs
from benchmark.training.recipe_keys import constructor
from benchmark.training.settings import checked_settings

TRAINING_VERSION = 1
"""Version of losses, loops and metrics; raised by a change of the numbers of all methods."""
SHIPPED = ("benchmark", "mtl_methods", "regularizers", "datasets")
"""Packages identified by the versions of their entries. Code of the user is identified by its hash."""


def normalised_request(spec: RunSpec) -> RunSpec:
    """Normalise a request: tasks in the recipe's order, no override that equals the recipe's value.

    Raises:
        ConfigError: for a wrong recipe or override.
    """
    recipe = load_recipe(spec.recipe, spec.overrides)
    ordered = [task for task in recipe.tasks if task in spec.tasks]
    rest = [task for task in spec.tasks if task not in ordered]
    name, weights = split_backbone(spec.backbone)
    return _changed(
        spec,
        tasks=(*ordered, *rest),
        backbone=name if weights == SCRATCH else spec.backbone,
        overrides=_needed_overrides(spec, recipe),
        ingredients=None,
    )


def ingredients_of(spec: RunSpec, needs: Mapping[str, str]) -> Ingredients:
    """The ingredients of a normalised request.

    Args:
        spec: request from `normalised_request`.
        needs: digests of the needed cells, by method.

    Raises:
        ConfigError: for a wrong recipe.
    """
    recipe = load_recipe(spec.recipe, spec.overrides)
    entries = {
        "method": METHODS.entry(spec.method),
        "regularizer": REGULARIZERS.entry(spec.regularizer),
        "backbone": BACKBONES.entry(split_backbone(spec.backbone)[0]),
    }
    versions = {part: entry.version for part, entry in entries.items()}
    versions |= {"recipe": int(recipe.get("version", 1)), "training": TRAINING_VERSION}
    files = dict(_user_files([*entries.values(), *_datasets(recipe)], _losses(spec, recipe)))
    files |= _named_files(recipe.method, recipe.regularizer, {"weights": split_backbone(spec.backbone)[1]})
    return Ingredients(effective_settings(spec, recipe), versions, files, data_identity(recipe), dict(needs))


def effective_settings(spec: RunSpec, recipe: Config) -> dict[str, Any]:
    """Settings of a cell that can change its numbers, by dotted key, without defaults."""
    own = {
        "recipe": spec.folder,
        "method": spec.method,
        "regularizer": spec.regularizer,
        "backbone": _backbone_without_folder(spec.backbone),
        "split": spec.split,
        "tasks": list(spec.tasks),
    }
    described = _loss_settings(spec, recipe)
    kept = {key: value for key, value in _leaves(spec, recipe).items() if has_effect(key)}
    kept = {key: value for key, value in kept.items() if key not in own and not key.startswith("tasks.")}
    return {key: normalised(value) for key, value in sorted((kept | own | described).items())}


def data_identity(recipe: Config) -> dict[str, Any]:
    """Id and fingerprint of a recipe's data and of its posed pairs, if it has any.

    Data that can be generated have only an id. For other data without a readable dataset.json, the id is the name of
    the data set, and the fingerprint is missing.
    """
    found = _identity(recipe.dataset, data_root(recipe))
    pairs = posed_pairs(recipe)
    if pairs is not None:
        views = _identity(pairs["name"], Path(pairs["root"]))
        found |= {f"pairs_{key}": value for key, value in views.items()}
    return found


def ensure_data(recipe: Config) -> None:
    """Generate the data of a recipe, or check that they exist.

    Raises:
        ValueError, OSError: if the data are missing and cannot be generated; the message has the remedy.
    """
    for dataset, root in _data_folders(recipe):
        ensure_files(dataset, root)


def check_data(recipe: Config) -> None:
    """Check that the data of a recipe exist, or can be generated.

    Raises:
        ValueError, OSError: if the data are missing; the message has the remedy.
    """
    for dataset, root in _data_folders(recipe):
        if not hasattr(DATASETS.entry(dataset).factory, "identity"):
            ensure_files(dataset, root)


def _data_folders(recipe: Config) -> list[tuple[str, Path]]:
    pairs = posed_pairs(recipe)
    posed = [] if pairs is None else [(pairs["name"], Path(pairs["root"]))]
    return [(recipe.dataset, data_root(recipe)), *posed]


def _identity(dataset: str, root: Path) -> dict[str, Any]:
    factory: Any = DATASETS.entry(dataset).factory
    if hasattr(factory, "identity"):
        return dict(factory.identity(root))
    # A data set of the user may have only a constructor.
    folder = factory.prepared(root) if hasattr(factory, "prepared") else root
    try:
        info = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        return {"id": str(info["id"]), "fingerprint": str(info["fingerprint"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"id": dataset}


def _changed(spec: RunSpec, **changes: Any) -> RunSpec:
    return RunSpec(**{name: getattr(spec, name) for name in RunSpec.__dataclass_fields__} | changes)


def _needed_overrides(spec: RunSpec, recipe: Config) -> Overrides:
    """Normalised overrides that differ from the recipe; settings that cannot change a number are kept."""
    if not spec.overrides:
        return Overrides()
    plain, chosen = (
        _leaves(spec, settings) | _loss_settings(spec, settings) for settings in (load_recipe(spec.recipe), recipe)
    )
    kept = {}
    for key, value in spec.overrides.items():
        if not has_effect(key) or _below(plain, key) != _below(chosen, key):
            kept[key] = normalised(value)
    return Overrides(kept)


def _leaves(spec: RunSpec, recipe: Config) -> dict[str, Any]:
    """Leaves of a recipe, without options of method and regularizer at their default value."""
    compiled = compile_options(recipe)
    changes = {"method": {}, "regularizer": {}, "compile": True if compiled == {} else compiled}
    typed = checked_settings({**recipe, **changes}).model_dump(exclude_defaults=True)
    settings = dict(flat(_without_defaults(typed)))
    settings = {key: value for key, value in settings.items() if value is not None}
    settings |= _options("method", METHODS.entry(spec.method), recipe.method)
    settings |= _options("regularizer", REGULARIZERS.entry(spec.regularizer), recipe.regularizer)
    return {key: normalised(value) for key, value in settings.items()}


def _loss_settings(spec: RunSpec, recipe: Config) -> dict[str, Any]:
    """Loss settings of each task by dotted key, also where the recipe leaves them to the data set."""
    return dict(flat({name: _loss_of(task) for name, task in tasks_of_cell(recipe, spec).items()}, "tasks"))


def _below(leaves: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in leaves.items() if name == key or name.startswith(f"{key}.")}


def _options(part: str, entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor options of a method or regularizer by dotted key; files by name, see `_named_files`."""
    kept = _not_default(given, entry.factory)
    return {f"{part}.{name}": Path(value).name if _is_file(value) else value for name, value in kept.items()}


def _named_files(*options: Mapping[str, Any]) -> dict[str, str]:
    """Hashes of the files that options name, such as a genotype."""
    paths = [value for part in options for value in part.values() if _is_file(value)]
    return {Path(path).name: source_digest(path) for path in paths}


def _backbone_without_folder(backbone: str) -> str:
    """Name and weights of a backbone. A file of weights is identified by its name, and by its hash in `files`."""
    name, weights = split_backbone(backbone)
    return f"{name}:{Path(weights).name if is_weights_file(weights) else weights}"


def _is_file(value: Any) -> bool:
    return isinstance(value, str) and bool(Path(value).suffix) and Path(value).is_file()


def _not_default(given: Mapping[str, Any], factory: Any) -> dict[str, Any]:
    """Keywords whose value differs from the default of the function or constructor."""
    parameters = inspect.signature(factory).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    return {name: value for name, value in given.items() if not _equal(value, defaults.get(name, inspect._empty))}


def _equal(value: Any, default: Any) -> bool:
    try:
        return bool(normalised(value) == normalised(default))
    except TypeError:
        return False


def _without_defaults(node: Any) -> Any:
    """Settings without keywords that equal the defaults of the constructor named by `type`."""
    if isinstance(node, (list, tuple)):
        return [_without_defaults(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    factory = constructor(node)
    kept = dict(node) if factory is None else _not_default(node, factory)
    return {key: _without_defaults(value) for key, value in kept.items()}


def _loss_of(task: Task) -> dict[str, Any]:
    """Loss settings of a task, without options at their default value."""
    options = _not_default(task.loss_options, LOSSES[task.loss])
    return {"channels": task.channels, "loss": task.loss, "loss_weight": task.loss_weight, **options}


def _datasets(recipe: Config) -> list[Entry]:
    return [DATASETS.entry(name) for name, _ in _data_folders(recipe)]


def _losses(spec: RunSpec, recipe: Config) -> list[Callable[..., Any]]:
    """Losses of the tasks of a cell."""
    return [LOSSES[task.loss] for task in tasks_of_cell(recipe, spec).values()]


def _user_files(entries: list[Entry], losses: list[Callable[..., Any]]) -> Iterator[tuple[str, str]]:
    """Name and hash of the user's files that register entries and losses, and of the user's modules they import."""
    owners = [*(entry.factory for entry in entries), *losses]
    modules = [sys.modules.get(owner.__module__) for owner in owners]
    files: dict[Path, None] = {}
    for module in modules:
        _add_own(module, files)
    for file in files:
        yield file.name, source_digest(file)


def _add_own(module: ModuleType | None, files: dict[Path, None]) -> None:
    place = getattr(module, "__file__", None)
    if place is None or not is_own(Path(place).resolve()) or Path(place).resolve() in files:
        return
    file = Path(place).resolve()
    files[file] = None
    for name in imported_names(file):
        _add_own(sys.modules.get(name), files)


def is_own(file: Path) -> bool:
    """Return True for a file of the user, outside this checkout's packages and the Python installation."""
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    shipped = [CHECKOUT / folder for folder in SHIPPED]
    return not any(file.is_relative_to(folder) for folder in (*installed, *shipped))


def imported_names(file: Path) -> Iterator[str]:
    """Names of the modules that a Python file imports."""
    if file.suffix != ".py":
        return
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
