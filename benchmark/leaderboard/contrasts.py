"""Regularizers beside each other: whether one is better than its controls, and not only than nothing.

Two intervals of Delta_reg that overlap do not say that two regularizers are alike, since both hold the noise of the
cells without one. So they are compared directly, each pair within one method, one seed and the same settings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmark.leaderboard.gains import BySeed, Column, Gain, delta_reg
from benchmark.leaderboard.layout import ABSENT, gain_text, lay_out, plain, with_options
from benchmark.leaderboard.rows import Table, by_seed
from benchmark.records.overrides import Overrides
from benchmark.records.result import NO_REGULARIZER

Group = Mapping[str, BySeed]
"""regularizer -> the values of its cells."""

NOTE = """\
Gain of a row over the regularizer of the column: the same method, seed and settings of the regularizer, paired by seed,
with its 95 % confidence interval. In the rows of all methods every pair of a method and a seed is one sample.
"""


@dataclass(frozen=True)
class Contrast:
    """A regularizer beside the others.

    Args:
        methods: the method that they stand beside; several, for these methods together.
        regularizer: its name.
        options: settings of the recipe that were changed for it and for the others.
        cells: how many it has.
        over: gain over each of the others, and over none, where both have a seed in common.
    """

    methods: tuple[str, ...]
    regularizer: str
    options: Overrides
    cells: int
    over: Mapping[str, Gain]


def contrasts(table: Table) -> list[Contrast]:
    """Those of each method that has two regularizers or more with the same settings, then those of all such methods."""
    if not table.ranked_by:
        return []
    measured = table.measured
    rivals = _rivals(table, measured)
    lines = [
        line for (method, options), group in rivals.items() for line in _contrasts((method,), options, group, measured)
    ]
    for options in dict.fromkeys(options for _, options in rivals):
        alike = {method: group for (method, theirs), group in rivals.items() if theirs == options}
        if len(alike) > 1:
            lines += _contrasts(tuple(alike), options, _together(alike), measured)
    return lines


def contrast_table(table: Table) -> str:
    """The contrasts of a table as Markdown, with what they mean; empty where there are none."""
    lines = contrasts(table)
    others = sorted({name for line in lines for name in line.over}, key=lambda name: (name != NO_REGULARIZER, name))
    if not others:
        return ""
    head = ["method", "regularizer", "n", *(f"over {plain(name)} (%)" for name in others)]
    body = [
        [
            plain(line.methods[0]) if len(line.methods) == 1 else f"all {len(line.methods)}",
            plain(with_options(line.regularizer, line.options)),
            str(line.cells),
            *(gain_text(line.over[name]) if name in line.over else ABSENT for name in others),
        ]
        for line in lines
    ]
    return "\n".join(["### Regularizers beside each other\n", NOTE, lay_out([head, *body])])


def _rivals(table: Table, measured: Sequence[Column]) -> dict[tuple[str, Overrides], dict[str, BySeed]]:
    """Of each method and settings that have two regularizers or more: these, and none, which has no settings."""
    values = {(row.method, row.options, row.regularizer): by_seed(row.cells, measured) for row in table.rows}
    groups: dict[tuple[str, Overrides], dict[str, BySeed]] = defaultdict(dict)
    for method, options, regularizer in sorted(values, key=lambda key: (key[0], str(key[1]), key[2])):
        if regularizer != NO_REGULARIZER:
            groups[method, options][regularizer] = values[method, options, regularizer]
    return {
        (method, options): {NO_REGULARIZER: values.get((method, Overrides(), NO_REGULARIZER), {}), **group}
        for (method, options), group in groups.items()
        if len(group) > 1
    }


def _together(groups: Mapping[str, Group]) -> Group:
    """The cells of several methods, paired by method and seed."""
    pooled: dict[str, dict[str, Mapping[str, float | None]]] = defaultdict(dict)
    for method, group in groups.items():
        for regularizer, values in group.items():
            pooled[regularizer] |= {f"{seed} of {method}": found for seed, found in values.items()}
    return pooled


def _contrasts(
    methods: tuple[str, ...], options: Overrides, group: Group, measured: Sequence[Column]
) -> Iterable[Contrast]:
    for regularizer, values in group.items():
        if regularizer != NO_REGULARIZER:
            over = {
                other: delta_reg(values, theirs, measured, other)
                for other, theirs in group.items()
                if other != regularizer and not values.keys().isdisjoint(theirs)
            }
            yield Contrast(methods, regularizer, options, len(values), over)
