"""Recipe files: reading, `_base_`, overrides, and the data that a recipe names."""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from benchmark.records.provenance import data_home
from benchmark.registry import offered_by
from benchmark.tasks import suggest
from benchmark.training.recipe_keys import ConfigError, literal, override
from benchmark.training.settings import checked_settings

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
ALL_TASKS = "all"
"""Setting of `tasks` that selects every task of the data set, with its default loss."""


def data_folder(dataset: str, root: str | None = None) -> Path:
    """Folder of a data set: below `MTL_DATA`, or below `data/` in the checkout.

    Args:
        dataset: registered name.
        root: name of the folder, or an absolute path; None if the folder has the name of the data set.
    """
    return data_home() / str(root or dataset)


def recipe_names() -> list[str]:
    """Names of all shipped recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.py") if not path.stem.startswith("_"))


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Config:
    """Read a recipe and apply overrides.

    Args:
        name: file name without ending below benchmark/recipes, or the path of a user's own recipe file.
        overrides: values by dotted key; a string that is a Python literal is parsed.

    Raises:
        ConfigError: for an unknown recipe or key.
    """
    path = Path(name) if name.endswith(".py") else RECIPES / f"{name}.py"
    if not path.is_file():
        known = recipe_names()
        raise ConfigError(f"no recipe named {name!r}.{suggest(name, known)} Recipes: {', '.join(known)}")
    recipe = read_recipe(path)
    # Config itself is not a mapping; its `_cfg_dict` is a mapping at every level.
    settings: dict[str, Any] = recipe._cfg_dict
    values = {key: literal(value) for key, value in (overrides or {}).items()}
    for key in ("dataset", "root", "tasks"):
        if key in values:
            override(settings, key, values.pop(key))
    if settings.get("tasks") == ALL_TASKS:
        # The tasks must be known before one of their losses can be overridden.
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
    """Backbone and task names of a recipe, after a check of the overrides."""
    recipe = load_recipe(name, overrides)
    return str(recipe.backbone), tuple(recipe.tasks)


def data_root(recipe: Config) -> Path:
    """Folder of the data of a recipe."""
    return data_folder(recipe.dataset, recipe.get("root"))


def posed_pairs(recipe: Config) -> dict[str, Any] | None:
    """Name, root and gap of the posed pairs that a recipe adds to its training split; None without pairs."""
    chosen = recipe.train_dataloader.dataset.get("pairs")
    if chosen is None:
        return None
    pairs = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    return {**pairs, "root": str(data_folder(pairs["name"], pairs.get("root")))}


def read_recipe(path: Path) -> Config:
    """Read the settings of a recipe file without overrides; `_base_` may name a shipped recipe.

    Raises:
        ConfigError: for a file that is not a recipe.
    """
    # mmengine takes some ten milliseconds to read a file, and a grid asks for each recipe many times.
    return deepcopy(_read_recipe(path.absolute(), _states(path.absolute().parent, RECIPES)))


def _states(*folders: Path) -> tuple[tuple[str, int], ...]:
    """Paths and times of the Python files in which a recipe and its bases may stand."""
    files = {file for folder in folders for place in (folder, folder / "_base_") for file in place.glob("*.py")}
    return tuple(sorted((str(file), file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=64)
def _read_recipe(path: Path, states: tuple[tuple[str, int], ...]) -> Config:
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
    """Replace names of shipped recipes in `_base_` by paths; the text is unchanged if all bases are files."""
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
    for path in (folder / base, RECIPES / base, RECIPES / f"{base}.py"):
        if path.is_file():
            return str(path.resolve())
    name = base.removesuffix(".py")
    raise ConfigError(f"_base_ names no recipe {base!r}.{suggest(name, recipe_names())}")
