"""The plan of a board: which rows it has, on which seeds, and which comparisons it declares."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from benchmark.records.boards import Board
from benchmark.records.overrides import Overrides
from benchmark.records.result import NO_REGULARIZER, REFERENCE_METHOD


class RowKey(NamedTuple):
    """A row of a table.

    Args:
        method: its name.
        regularizer: its name.
        options: settings of the recipe that were changed for the regularizer.
    """

    method: str
    regularizer: str
    options: Overrides = Overrides()

    @property
    def regularizer_label(self) -> str:
        """The regularizer with its settings: "three_d_aware (depth=feature, weight=0.1)"."""
        settings = [
            f"{key.partition('.')[2] or key}={value if isinstance(value, str) else json.dumps(value)}"
            for key, value in self.options.items()
        ]
        return f"{self.regularizer} ({', '.join(settings)})" if settings else self.regularizer

    @property
    def label(self) -> str:
        """Method and regularizer: "mtan+aux_heads"; the method alone where it has no regularizer."""
        return self.method if self.regularizer == NO_REGULARIZER else f"{self.method}+{self.regularizer_label}"


@dataclass(frozen=True)
class Plan:
    """The rows of one board that share all settings except settings of a regularizer.

    Args:
        name: name of the board and of its file.
        title: its heading.
        recipe: recipe of its cells.
        version: version of the recipe.
        split: of the data, "test" or "val".
        rows: seeds of each row, in the order of the board's file.
        settings: overrides that all its cells share, except overrides of a regularizer.
        primary: declared comparisons as (row, baseline).
        caveats: warnings for readers, one sentence each.
        ranking: metric that ranks a task, where it is not the default.
    """

    name: str
    title: str
    recipe: str
    version: int
    split: str
    rows: Mapping[RowKey, tuple[int, ...]]
    settings: Overrides = field(default_factory=Overrides)
    primary: frozenset[tuple[RowKey, RowKey]] = frozenset()
    caveats: tuple[str, ...] = ()
    ranking: Mapping[str, str] = field(default_factory=dict)


def plans_of(board: Board) -> list[Plan]:
    """The plans of a board: one for each set of overrides of its rows, not counting overrides of a regularizer."""
    parts: dict[Overrides, dict[RowKey, tuple[int, ...]]] = defaultdict(dict)
    for row in board.rows():
        options, shared = row.settings.split("regularizer")
        parts[shared][RowKey(row.method, row.regularizer, options)] = row.seeds
    declared = {shared: frozenset(_declared(board, shared)) for shared in parts}
    return [
        Plan(
            board.name,
            board.title,
            board.recipe,
            board.version,
            board.split,
            rows,
            shared,
            declared[shared],
            board.caveats,
            board.ranking,
        )
        for shared, rows in parts.items()
    ]


def _declared(board: Board, shared: Overrides) -> Iterator[tuple[RowKey, RowKey]]:
    """The primary comparisons of one plan."""
    for wanted in board.comparisons:
        options, own = Overrides({**board.settings, **wanted.settings}).split("regularizer")
        if own == shared:
            for method in wanted.methods:
                row, baseline = (
                    RowKey(method, name, options if name != NO_REGULARIZER else Overrides())
                    for name in (wanted.regularizer, wanted.over)
                )
                yield row, baseline


def reference_of(rows: Mapping[RowKey, object]) -> RowKey | None:
    """The row that gains are taken over: the single-task networks, else the first row without a regularizer."""
    plain = [key for key in rows if key.regularizer == NO_REGULARIZER]
    return next((key for key in plain if key.method == REFERENCE_METHOD), next(iter(plain), None))
