"""Requests of a command line or a board, and their checked and identified cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.config import Config

from benchmark.grid.cells import cells, dropped_pairs
from benchmark.records.boards import Board, GridFile
from benchmark.records.overrides import Overrides
from benchmark.records.result import TEST, RunSpec
from benchmark.registry import METHODS, REGULARIZERS
from benchmark.training.compose import check_spec
from benchmark.training.dependencies import identify_all, with_needed
from benchmark.training.identity import check_data
from benchmark.training.recipe_files import load_recipe, recipe_defaults
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.trial import try_cells


@dataclass(frozen=True)
class Request:
    """Cells of one recipe: methods x regularizers x seeds.

    Args:
        recipe: name of a recipe, or path of the user's own recipe file.
        methods: registered names or wildcards.
        regularizers: registered names or wildcards.
        seeds: seeds in the order of running.
        backbone: name or name:weights; None for the recipe's backbone.
        tasks: task names; empty for the recipe's tasks.
        variants: sets of changed recipe settings; each set has cells of its own.
        split: "test" or "val".
    """

    recipe: str
    methods: Sequence[str]
    regularizers: Sequence[str]
    seeds: Sequence[int]
    backbone: str | None = None
    tasks: Sequence[str] = ()
    variants: Sequence[Overrides] = (Overrides(),)
    split: str = TEST


def of_file(board: Board | GridFile) -> list[Request]:
    """The requests of the blocks of a board or a grid file, in the order of running.

    Raises:
        ConfigError: if the recipe has another version than the board.
    """
    version = int(load_recipe(board.recipe).get("version", 1))
    if board.version not in (None, version):
        raise ConfigError(
            f"board {board.name} holds version {board.version} of recipe {board.recipe}, which has version {version} "
            "here; change the board, or check out the code of its version"
        )
    return [
        Request(
            board.recipe,
            block.methods,
            block.regularizers,
            block.seeds,
            board.backbone,
            board.tasks,
            board.variants(block),
            board.split,
        )
        for block in board.cells
    ]


def checked_cells(requests: Sequence[Request]) -> tuple[list[RunSpec], list[str]]:
    """Identified cells of the requests and of their dependencies, and notes on omitted and added cells.

    Raises:
        ValueError, KeyError, OSError: for a wrong request, in one line.
    """
    grid: list[RunSpec] = []
    notes: dict[str, None] = {}
    for request in requests:
        found, dropped = _cells(request)
        for spec in found:
            if spec.seed == request.seeds[0]:
                check_spec(spec)
        grid += found
        notes |= dict.fromkeys(dropped)
    for recipe in recipes_of(requests):
        check_data(recipe)
    try_cells(grid)
    identified = identify_all(grid)
    complete = list({spec.run_id: spec for spec in with_needed(identified)}.values())
    added = [spec for spec in complete if spec not in identified]
    notes |= dict.fromkeys(f"added {spec.run_id}, which others start or learn from" for spec in added)
    return complete, list(notes)


def _cells(request: Request) -> tuple[list[RunSpec], list[str]]:
    methods = METHODS.names(*request.methods)
    regularizers = REGULARIZERS.names(*request.regularizers)
    plain = [name for name in methods if not METHODS.entry(name).accepts_regularizers]
    found: list[RunSpec] = []
    for overrides in request.variants:
        backbone, tasks = recipe_defaults(request.recipe, overrides)
        found += cells(
            request.recipe,
            methods,
            regularizers,
            request.seeds,
            request.backbone or backbone,
            request.tasks or tasks,
            overrides,
            plain,
            request.split,
        )
    position = {seed: number for number, seed in reversed(list(enumerate(request.seeds)))}
    ordered = dict.fromkeys(sorted(found, key=lambda spec: position[spec.seed]))
    dropped = dropped_pairs(methods, regularizers, plain)
    notes = [f"left out {method}+{regularizer}: {method} takes no regularizer" for method, regularizer in dropped]
    return list(ordered), notes


def recipes_of(requests: Sequence[Request]) -> list[Config]:
    """The distinct recipes of the requests, with their overrides."""
    wanted = dict.fromkeys((request.recipe, variant) for request in requests for variant in request.variants)
    return [load_recipe(recipe, overrides) for recipe, overrides in wanted]
