"""Grid files and boards: the cells of a grid in TOML, in the order of running.

recipe = "nyuv2_lite"
settings = { "train_cfg.max_iters" = 1500 }  # settings of every cell; optional
sweep = { "optim_wrapper.optimizer.lr" = [0.001, 0.0025] }  # settings with several values: cells for each; optional
ranking = { depth = "absRel" }               # metric that ranks a task, where it is not the default; optional

[[cells]]
methods = ["single_task", "hard_sharing"]
regularizers = ["none", "three_d_aware"]
seeds = [0, 1, 2, 3, 4]
settings = { "regularizer.samples" = 32 }    # settings of this block; optional
sweep = { "regularizer.weight" = [0.1, 0.3] }

A grid of one block may have `methods`, `regularizers` and `seeds` at the top in place of [[cells]]. A board is such a
file below `results/boards`; it has a title, names one version of its recipe, and declares its comparisons:

title = "NYU-v2 on a CPU"
version = 2
caveats = ["Predictions are scored at 120x160."]

[[comparisons]]
regularizer = "three_d_aware"
over = "none"
methods = ["hard_sharing"]
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from typing_extensions import Self

from benchmark.records.overrides import Overrides
from benchmark.records.result import NO_REGULARIZER
from benchmark.records.toml_files import read_toml
from benchmark.records.validation import RecordError
from benchmark.tasks import suggest

__all__ = ["BOARDS", "Block", "Board", "Comparison", "GridFile", "Row", "board_names", "read_board", "read_grid_file"]

BOARDS = Path("boards")
"""Folder of the boards below the folder of results."""

Names = tuple[str, ...]
Sweep = dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]]


class Row(NamedTuple):
    """One row of a board.

    Args:
        method: registered name.
        regularizer: registered name.
        settings: changed recipe settings.
        seeds: the seeds of all blocks, in ascending order.
    """

    method: str
    regularizer: str
    settings: Overrides
    seeds: tuple[int, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Block(_Strict):
    """A table [[cells]] of a grid file or a board: methods x regularizers x seeds."""

    methods: Names = Field(min_length=1)
    regularizers: Names = Field(default=(NO_REGULARIZER,), min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    settings: dict[str, Any] = {}
    sweep: Sweep = {}

    @field_validator("methods", "regularizers", "seeds")
    @classmethod
    def _distinct(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if len(set(values)) != len(values):
            raise ValueError("names a value twice")
        return values

    @field_validator("seeds")
    @classmethod
    def _not_negative(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if min(seeds, default=0) < 0:
            raise ValueError("a seed is an integer of 0 or more")
        return seeds


class Comparison(_Strict):
    """Primary comparison of a regularizer with another regularizer, per method and over all methods.

    Args:
        regularizer: regularizer to compare.
        over: regularizer of the baseline.
        methods: methods with cells of both regularizers.
        settings: settings of the two rows, as in their block, if several blocks have these regularizers.
    """

    regularizer: str
    over: str
    methods: Names = Field(min_length=1)
    settings: dict[str, Any] = {}


class _Cells(_Strict):
    """Entries of a grid file and of a board."""

    name: str
    recipe: str
    split: Literal["test", "val"] = "test"
    backbone: str | None = None
    tasks: Names = ()
    settings: dict[str, Any] = {}
    sweep: Sweep = {}
    caveats: tuple[str, ...] = ()
    cells: tuple[Block, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...] = ()
    ranking: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _one_block(cls, values: Any) -> Any:
        """Read a grid without [[cells]] as one block."""
        block = [key for key in ("methods", "regularizers", "seeds") if key in values]
        if not block or "cells" in values:
            return values
        rest = {key: value for key, value in values.items() if key not in block}
        return rest | {"cells": [{"seeds": [0]} | {key: values[key] for key in block}]}

    @model_validator(mode="after")
    def _comparisons_have_cells(self) -> Self:
        pairs = {(row.method, row.regularizer) for row in self.rows()}
        for wanted in self.comparisons:
            for method in wanted.methods:
                for regularizer in (wanted.regularizer, wanted.over):
                    if (method, regularizer) not in pairs:
                        raise ValueError(f"comparisons: no cell {method}+{regularizer}")
        return self

    def variants(self, block: Block) -> list[Overrides]:
        """Settings of the cells of a block: one for each combination of the values of its sweeps."""
        swept = {**self.sweep, **block.sweep}
        fixed = {**self.settings, **block.settings}
        return [Overrides({**fixed, **dict(zip(swept, values, strict=True))}) for values in product(*swept.values())]

    def rows(self) -> list[Row]:
        """The distinct rows, each with the seeds of all its blocks."""
        seeds: dict[tuple[str, str, Overrides], dict[int, None]] = {}
        for row in self._rows():
            seeds.setdefault(row[:3], {}).update(dict.fromkeys(row.seeds))
        return [Row(*row, tuple(sorted(chosen))) for row, chosen in seeds.items()]

    def _rows(self) -> Iterator[Row]:
        for block in self.cells:
            for method in block.methods:
                for regularizer in block.regularizers:
                    for settings in self.variants(block):
                        # A cell without a regularizer has no settings of it.
                        own = settings if regularizer != NO_REGULARIZER else settings.split("regularizer")[1]
                        yield Row(method, regularizer, own, block.seeds)


class GridFile(_Cells):
    """Cells of one recipe.

    Args:
        name: name of the file, without ending.
        recipe: name of a shipped recipe, or path of the user's own recipe file.
        split: "test" or "val".
        backbone: name or name:weights; None for the recipe's backbone.
        tasks: task names; empty for the recipe's tasks.
        settings: recipe settings that are changed in all cells.
        sweep: recipe settings with several values each.
        cells: blocks in the order of running.
        title: heading, for a board.
        version: version of the recipe; None for the present one.
        caveats, comparisons, ranking: see `Board`.
    """

    title: str = ""
    version: int | None = Field(default=None, ge=1)


class Board(_Cells):
    """The cells of one table, for one version of one recipe.

    Args:
        title: heading of the table.
        version: version of the recipe.
        caveats: sentences under the table.
        comparisons: the primary family of hypotheses.
        ranking: metric that ranks a task, where it is not the default.

    See `GridFile` for the other arguments.
    """

    title: str
    version: int = Field(ge=1)


def board_names(root: Path) -> list[str]:
    """Names of the boards below a folder of results."""
    return sorted(path.stem for path in (root / BOARDS).glob("*.toml"))


def read_board(root: Path, name: str) -> Board:
    """Read a board by name.

    Args:
        root: folder of results.
        name: name of its file, without ending.

    Raises:
        RecordError: if the board is missing, not TOML, or has a wrong entry; in one line.
    """
    known = board_names(root)
    if name not in known:
        raise RecordError(f"no board named {name!r}.{suggest(name, known)} Boards: {', '.join(known) or 'none'}")
    return read_toml(Board, root / BOARDS / f"{name}.toml", name=name)


def read_grid_file(path: Path) -> GridFile:
    """Read a grid file, or the file of a board.

    Raises:
        RecordError: if the file is missing, not TOML, or has a wrong entry; in one line.
    """
    return read_toml(GridFile, path, name=path.stem)
