"""Regularizers beside each other: whether one is better than its controls, and not only than nothing.

Two intervals of Delta_reg that overlap do not say that two regularizers are alike, since both hold the noise of the
cells without one. So they are compared directly, each pair within one method, one seed and the same settings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.leaderboard.gains import BySeed, Column, Gain, delta_reg
from benchmark.leaderboard.layout import ABSENT, gain_text, lay_out, plain, with_options
from benchmark.leaderboard.rows import Table, by_seed
from benchmark.overrides import Overrides
from benchmark.records import NO_REGULARIZER

ALL = ""

NOTE = """\
Gain of a row over the regularizer of the column: the same method, seed and settings of the regularizer, paired by seed,
with its 95 % confidence interval. In the rows of all methods every pair of a method and a seed is one sample.
"""


@dataclass(frozen=True)
class Contrast:
    """A regularizer of a method beside the others.

    Args:
        method: its name; `ALL` for the methods that have rivals, together.
        regularizer: its name.
        options: settings of the recipe that were changed for it and for the others.
        cells: how many it has.
        over: gain over each of the others, and over none, where both have a seed in common.
    """

    method: str
    regularizer: str
    options: Overrides
    cells: int
    over: Mapping[str, Gain]


def contrasts(table: Table) -> list[Contrast]:
    """Those of each method that has two regularizers or more with the same settings, then those of all such methods."""
    if not table.ranked_by:
        return []
    without = {row.method: by_seed(row.cells, table.measured) for row in table.rows if _is_none(row.regularizer)}
    groups: dict[tuple[str, Overrides], dict[str, BySeed]] = defaultdict(dict)
    for row in sorted(table.rows, key=lambda row: (row.method, str(row.options), row.regularizer)):
        if not _is_none(row.regularizer):
            groups[row.method, row.options][row.regularizer] = by_seed(row.cells, table.measured)
    rivals = {key: group for key, group in groups.items() if len(group) > 1}
    of_methods = {key: {NO_REGULARIZER: without.get(key[0], {}), **group} for key, group in rivals.items()}
    return [
        line for (method, options), group in {**of_methods, **_together(of_methods)}.items()
        for line in _contrasts(method, options, group, table.measured)
    ]


def contrast_table(table: Table) -> str:
    """The contrasts of a table as Markdown, with what they mean; empty where there are none."""
    lines = contrasts(table)
    others = sorted({name for line in lines for name in line.over}, key=lambda name: (not _is_none(name), name))
    if not others:
        return ""
    methods = len({line.method for line in lines if line.method != ALL})
    head = ["method", "regularizer", "n", *(f"over {plain(name)} (%)" for name in others)]
    body = [
        [
            plain(line.method) if line.method != ALL else f"all {methods}",
            plain(with_options(line.regularizer, line.options)), str(line.cells),
            *(gain_text(line.over[name]) if name in line.over else ABSENT for name in others),
        ]
        for line in lines
    ]
    return "\n".join(["### Regularizers beside each other\n", NOTE, lay_out([head, *body])])


def _together(groups: Mapping[tuple[str, Overrides], Mapping[str, BySeed]]) -> dict[tuple[str, Overrides], Any]:
    """The cells of all methods with the same options, by method and seed; of two methods or more."""
    joined: dict[tuple[str, Overrides], dict[str, dict[Any, Any]]] = {}
    for options in dict.fromkeys(options for _, options in groups):
        parts = {method: group for (method, theirs), group in groups.items() if theirs == options}
        if len(parts) < 2:
            continue
        pooled: dict[str, dict[Any, Any]] = defaultdict(dict)
        for method, group in parts.items():
            for regularizer, values in group.items():
                pooled[regularizer] |= {f"{seed} of {method}": found for seed, found in values.items()}
        joined[ALL, options] = pooled
    return joined


def _contrasts(
    method: str, options: Overrides, group: Mapping[str, BySeed], measured: Sequence[Column]
) -> Iterable[Contrast]:
    for regularizer, values in group.items():
        if not _is_none(regularizer):
            over = {
                other: delta_reg(values, theirs, measured, other)
                for other, theirs in group.items() if other != regularizer and not values.keys().isdisjoint(theirs)
            }
            yield Contrast(method, regularizer, options, len(values), over)


def _is_none(regularizer: str) -> bool:
    return regularizer == NO_REGULARIZER
