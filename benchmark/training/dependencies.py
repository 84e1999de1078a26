"""Cells that need other cells: the needed cells, and their trained methods.

`needs` of a method or a regularizer names the trained methods that it starts or learns from. Each is a separate cell of
the same recipe, backbone, tasks and seed, without a regularizer. The grid runs these cells first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from benchmark.contracts import Method
from benchmark.records.result import NO_REGULARIZER, RunSpec
from benchmark.registry import METHODS, REGULARIZERS
from benchmark.training.builders import build_model, tasks_of_cell
from benchmark.training.compose import check_spec
from benchmark.training.identity import ingredients_of, normalised_request
from benchmark.training.model import MultiTaskModel
from benchmark.training.model_files import MODEL_FILE, CheckpointError, load_model, read_metadata
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError

OWN_SETTINGS = ("method.", "regularizer.")
"""Prefixes of overrides that a cell does not pass to the cells that it needs."""

TRAIN_SECONDS = "train_seconds"
"""Metadata key of saved weights: seconds of the training, with the training of the needed cells."""


class Trained(NamedTuple):
    """A method with the weights of its cell.

    Args:
        method: method in eval mode.
        train_seconds: seconds of its training; None if its weights do not record them.
    """

    method: Method
    train_seconds: float | None


class Needs(NamedTuple):
    """Cells that one cell needs, by method.

    Args:
        method: cells that its method starts from.
        regularizer: cells that its regularizer learns from.
    """

    method: dict[str, RunSpec]
    regularizer: dict[str, RunSpec]

    @property
    def cells(self) -> tuple[RunSpec, ...]:
        """All needed cells, without duplicates."""
        return tuple(dict.fromkeys([*self.method.values(), *self.regularizer.values()]))


def needs_of(spec: RunSpec) -> Needs:
    """The cells that a cell needs.

    Raises:
        ConfigError: if one of the needed cells cannot be run.
    """
    parts = [_reseeded(part, spec.seed) for part in _needs(replace(spec, seed=0, ingredients=None))]
    if spec.ingredients is not None:
        parts = [{name: identify(cell) for name, cell in part.items()} for part in parts]
    return Needs(*parts)


def identify(spec: RunSpec) -> RunSpec:
    """Normalise a request and add its ingredients, so that equal requests get equal run_ids.

    Raises:
        ConfigError: for a request that cannot be run.
    """
    request = normalised_request(spec)
    needs = {cell.method: identify(cell).ingredients for cell in needs_of(request).cells}
    digests = {method: ingredients.digest for method, ingredients in needs.items() if ingredients is not None}
    return replace(request, ingredients=ingredients_of(request, digests))


def identify_all(specs: Iterable[RunSpec]) -> list[RunSpec]:
    """Identify several requests, without duplicate cells; the seeds of a cell share its ingredients."""
    known: dict[RunSpec, RunSpec] = {}
    found: dict[str, RunSpec] = {}
    for spec in specs:
        any_seed = replace(spec, seed=0)
        if any_seed not in known:
            known[any_seed] = identify(any_seed)
        cell = replace(known[any_seed], seed=spec.seed)
        found.setdefault(cell.run_id, cell)
    return list(found.values())


def with_needed(grid: Iterable[RunSpec]) -> list[RunSpec]:
    """The cells, each after the cells that it needs; missing ones are added."""
    return list(dict.fromkeys(cell for spec in grid for cell in _in_order(spec)))


def trained_methods(needed: Mapping[str, RunSpec], folder: Path) -> dict[str, Trained]:
    """The trained methods of needed cells, by name.

    Args:
        needed: a part of `needs_of`.
        folder: work folder of the cell that needs them, next to the folders of the other cells of its recipe.

    Raises:
        ConfigError: if the weights of a needed cell are missing or have other tensors.
    """
    return {name: _trained(cell, folder.parent / cell.run_id / MODEL_FILE) for name, cell in needed.items()}


def build_cell_model(spec: RunSpec) -> MultiTaskModel:
    """The model of a cell with fresh weights."""
    recipe = load_recipe(spec.recipe, spec.overrides)
    return build_model(spec.method, spec.backbone, tasks_of_cell(recipe, spec), recipe.method, recipe.accelerate)


@cache
def _needs(spec: RunSpec) -> Needs:
    recipe = load_recipe(spec.recipe, spec.overrides)
    needs = Needs(
        _cells(spec, METHODS.entry(spec.method).factory, recipe.method),
        _cells(spec, REGULARIZERS.entry(spec.regularizer).factory, recipe.regularizer),
    )
    if spec in needs.cells:
        raise ConfigError(f"{spec.method} needs a trained cell of itself, so it can never start")
    for cell in needs.cells:
        check_spec(cell)
    return needs


def _cells(spec: RunSpec, factory: Any, settings: Mapping[str, Any]) -> dict[str, RunSpec]:
    # A registered function has no `needs`.
    wanted = factory.needs(spec.backbone, dict(settings)) if hasattr(factory, "needs") else {}
    return {method: _cell(spec, method, options) for method, options in wanted.items()}


def _reseeded(cells: Mapping[str, RunSpec], seed: int) -> dict[str, RunSpec]:
    return {method: replace(cell, seed=seed) for method, cell in cells.items()}


def _trained(cell: RunSpec, weights: Path) -> Trained:
    # The initial weights are overwritten, so their random numbers must not change the global streams.
    with torch.random.fork_rng(devices=[]):
        model = build_cell_model(cell)
    try:
        load_model(model, weights)
    except CheckpointError as error:
        raise ConfigError(f"this cell needs the trained weights of {cell.run_id}: {error}") from error
    seconds = read_metadata(weights).get(TRAIN_SECONDS)
    return Trained(model.method.eval(), None if seconds is None else float(seconds))


def _cell(spec: RunSpec, method: str, options: Mapping[str, Any]) -> RunSpec:
    kept = {key: value for key, value in spec.overrides.items() if not key.startswith(OWN_SETTINGS)}
    chosen = {f"method.{name}": value for name, value in options.items()}
    overrides = kept | chosen
    return replace(spec, method=method, regularizer=NO_REGULARIZER, overrides=overrides, ingredients=None)


def _in_order(spec: RunSpec) -> Iterator[RunSpec]:
    for needed in needs_of(spec).cells:
        yield from _in_order(needed)
    yield spec
