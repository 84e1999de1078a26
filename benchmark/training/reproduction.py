"""Checks before a stored cell runs again: differences in environment, data and code."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

import benchmark.training.cell
from benchmark.records.identity import content_digest, source_digest
from benchmark.records.provenance import CHECKOUT, changed_files, commit, content_at, hardware, versions
from benchmark.records.result import RunResult, RunSpec
from benchmark.registry import ACCELERATE, BACKBONES, DATASETS, JOIN_PAIRS, METHODS, REGULARIZERS, split_backbone
from benchmark.training.dependencies import identify
from benchmark.training.identity import SHIPPED, ensure_data, imported_names
from benchmark.training.recipe_files import RECIPES, load_recipe, posed_pairs
from benchmark.training.trust import trusted_spec

MACHINE = ("cpu", "gpu", "system")
"""Entries of the hardware that can change the rounding of numbers."""


@dataclass(frozen=True)
class Checks:
    """Differences between a stored result and the present, one phrase each.

    Args:
        environment: versions of packages, and the machine.
        data: id and fingerprint.
        code: ingredients: versions, settings, files of the user.
        files: files of the checkout that take part and changed since the commit of the result, in more than comments
            and docstrings; files of the method and the regularizer come first.
        unknown: reasons for which the code of the result is not known exactly.
    """

    environment: tuple[str, ...]
    data: tuple[str, ...]
    code: tuple[str, ...]
    files: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def present_spec(stored: RunResult, recipe: str | None = None) -> RunSpec:
    """The cell of a stored result as it would run now, with its data prepared.

    Args:
        stored: result from a file; it is checked to run no foreign code.
        recipe: recipe file of the user, if the result names one.

    Raises:
        ValueError, KeyError, OSError: for a cell that cannot run here; in one line with the remedy.
    """
    asked = replace(trusted_spec(stored, recipe), ingredients=None)
    ensure_data(load_recipe(asked.recipe, asked.overrides))
    return identify(asked)


def checks_of(stored: RunResult, spec: RunSpec) -> Checks:
    """Compare a stored result with the present.

    Args:
        stored: the result.
        spec: its cell now, from `present_spec`.
    """
    origin = stored.provenance
    machine = hardware() | ({"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})
    environment = [*_changes(origin.get("versions"), versions()), *_changes(origin.get("hardware"), machine, MACHINE)]
    old, new = stored.spec.ingredients, spec.ingredients
    files, unknown = _files(origin, spec)
    present = {} if new is None else new.data
    if old is None or new is None:
        data = tuple(f"data {change}" for change in _changes(origin.get("data"), present, tuple(present)))
        reason = "the result does not record its ingredients, such as the versions of recipe and method"
        return Checks(tuple(environment), data, (), files, (*unknown, reason))
    data = tuple(f"data {change}" for change in _changes(old.data, present))
    code = new.changes_since(replace(old, data=present))
    return Checks(tuple(environment), data, tuple(code), files, unknown)


def data_of_runs(stored: RunResult, again: RunResult) -> list[str]:
    """Differences between the data that two runs were scored on."""
    return [f"data {change}" for change in _changes(stored.provenance.get("data"), again.provenance.get("data") or {})]


def code_files(spec: RunSpec) -> list[Path]:
    """Files of the checkout that a cell runs: its parts, the training, and the modules that these import."""
    recipe = load_recipe(spec.recipe, spec.overrides)
    pairs = posed_pairs(recipe)
    entries = [
        METHODS.entry(spec.method),
        REGULARIZERS.entry(spec.regularizer),
        BACKBONES.entry(split_backbone(spec.backbone)[0]),
        DATASETS.entry(recipe.dataset),
        *([] if pairs is None else [DATASETS.entry(pairs["name"])]),
    ]
    roots = [entry.factory.__module__ for entry in entries]
    roots += [benchmark.training.cell.__name__, ACCELERATE.partition(":")[0]]
    roots += [] if pairs is None else [JOIN_PAIRS.partition(":")[0]]
    found: dict[Path, None] = dict.fromkeys(Path(str(sys.modules[name].__file__)) for name in roots)
    visited: set[Path] = set()
    for name in roots:
        _add_imported(sys.modules.get(name), visited)
    recipes = [RECIPES / f"{spec.recipe}.py", *sorted(RECIPES.glob("_base_/*.py"))]
    return list(found | dict.fromkeys([*recipes, *sorted(visited)]))


def _add_imported(module: ModuleType | None, found: set[Path]) -> None:
    path = Path(getattr(module, "__file__", None) or "")
    if path in found or not any(path.is_relative_to(CHECKOUT / folder) for folder in SHIPPED):
        return
    found.add(path)
    for name in imported_names(path):
        _add_imported(sys.modules.get(name), found)


def _files(origin: Mapping[str, Any], spec: RunSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files of a cell that changed since the commit of its result, and reasons why they are not known exactly."""
    before = str(origin.get("commit") or "")
    if not before:
        return (), ("the result names no commit",)
    differing = changed_files(before)
    if differing is None:
        present = commit() or "none"
        return (), (f"commit {before[:12]} of the result is not in this checkout (commit {present[:12]})",)
    changed = set(differing)
    unknown = [f"commit {before[:12]} of the result had uncommitted changes"] if origin.get("dirty") else []
    used = [path.relative_to(CHECKOUT).as_posix() for path in code_files(spec) if path.is_relative_to(CHECKOUT)]
    return tuple(name for name in used if name in changed and _differs(before, name)), tuple(unknown)


def _differs(since: str, name: str) -> bool:
    """True if a file differs from its content at a commit in more than comments and docstrings."""
    before, path = content_at(since, name), CHECKOUT / name
    return before is None or not path.is_file() or content_digest(before, path.suffix) != source_digest(path)


def _changes(old: Any, new: Mapping[str, Any], keys: tuple[str, ...] = ()) -> Iterator[str]:
    """One phrase per entry of a mapping that differs, such as "torch 2.8 -> 2.9"."""
    before = old if isinstance(old, Mapping) else {}
    for key in keys or tuple(dict.fromkeys([*before, *new])):
        if before.get(key) != new.get(key):
            yield f"{key} {before.get(key, 'none')} -> {new.get(key, 'none')}"
