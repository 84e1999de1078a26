"""Boards: files `results/boards/NAME.toml` with the cells of a table, in the order of running, and its comparisons.

title = "NYU-v2 on a CPU"
recipe = "nyuv2_lite"
version = 2                                  # version of the recipe; a board holds one version
caveats = ["Predictions are scored at 120x160."]
settings = { "train_cfg.max_iters" = 1500 }  # settings of every cell; optional
ranking = { depth = "absRel" }               # metric that ranks a task, where it is not the default; optional

[[cells]]
methods = ["single_task", "hard_sharing"]
regularizers = ["none", "three_d_aware"]
seeds = [0, 1, 2, 3, 4]
settings = { "regularizer.samples" = 32 }    # settings of this block; optional

[[comparisons]]
regularizer = "three_d_aware"
over = "none"
methods = ["hard_sharing"]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from benchmark.records.overrides import Overrides
from benchmark.records.result import NO_REGULARIZER
from benchmark.records.validation import RecordError
from benchmark.tasks import suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["BOARDS", "Block", "Board", "Comparison", "Row", "board_names", "read_board"]

BOARDS = Path("boards")
"""Folder of the boards below the folder of results."""

Names = tuple[str, ...]
Seed = int


class Row(NamedTuple):
    """One row of a board.

    Args:
        method: registered name.
        regularizer: registered name.
        settings: recipe settings that differ.
        seeds: seeds in the order of running.
    """

    method: str
    regularizer: str
    settings: Overrides
    seeds: tuple[int, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Block(_Strict):
    """Cells of a board: methods x regularizers x seeds."""

    methods: Names = Field(min_length=1)
    regularizers: Names = Field(default=(NO_REGULARIZER,), min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    settings: dict[str, Any] = {}

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
        methods: methods that have both.
        settings: settings of the two rows, as in their block, if several blocks have these regularizers.
    """

    regularizer: str
    over: str
    methods: Names = Field(min_length=1)
    settings: dict[str, Any] = {}


class Board(_Strict):
    """The cells of one table, for one version of one recipe.

    Args:
        name: name of the board's file, without ending.
        title: heading of the table.
        recipe: name of a shipped recipe.
        version: version of the recipe.
        split: "test" or "val".
        settings: recipe settings that differ in every cell.
        caveats: sentences under the table.
        cells: blocks in the order of running.
        comparisons: the primary family of hypotheses.
        ranking: metric that ranks a task, where it is not the default.
    """

    name: str
    title: str
    recipe: str
    version: int = Field(ge=1)
    split: Literal["test", "val"] = "test"
    settings: dict[str, Any] = {}
    caveats: tuple[str, ...] = ()
    cells: tuple[Block, ...] = Field(min_length=1)
    comparisons: tuple[Comparison, ...] = ()
    ranking: dict[str, str] = {}

    @model_validator(mode="after")
    def _comparisons_have_cells(self) -> Board:
        pairs = {(row.method, row.regularizer) for row in self.rows()}
        for wanted in self.comparisons:
            for method in wanted.methods:
                for regularizer in (wanted.regularizer, wanted.over):
                    if (method, regularizer) not in pairs:
                        raise ValueError(f"comparisons: no cell {method}+{regularizer}")
        return self

    def settings_of(self, block: Block, regularizer: str) -> Overrides:
        """Settings of a block's cells, without settings of the regularizer if it is "none"."""
        chosen = Overrides({**self.settings, **block.settings})
        return chosen if regularizer != NO_REGULARIZER else chosen.split("regularizer")[1]

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
                    yield Row(method, regularizer, self.settings_of(block, regularizer), block.seeds)


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
    path = root / BOARDS / f"{name}.toml"
    try:
        return Board(name=name, **tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise RecordError(f"{path}: not readable as TOML: {error}") from None
    except ValidationError as error:
        raise RecordError(f"{path}: {_first_fault(error)}") from None


def _first_fault(error: ValidationError) -> str:
    """One line for a wrong entry, unknown keys first: key, value expected, value found."""
    fault = max(error.errors(include_url=False), key=lambda fault: fault["type"] == "extra_forbidden")
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        known = {"cells": Block.model_fields, "comparisons": Comparison.model_fields}
        return f"unknown key {key}.{suggest(fault['loc'][-1], known.get(str(fault['loc'][0]), Board.model_fields))}"
    found = "" if fault["type"] == "missing" else f", found {str(fault['input'])[:80]}"
    return f"{key}: {fault['msg'].removeprefix('Value error, ')}{found}" if key else str(fault["msg"])
