"""The paired difference of two rows, commits or folders of results, and the differences of their ingredients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from benchmark.leaderboard.columns import Column, measured_columns, ranking_columns, values_by_seed
from benchmark.leaderboard.gains import paired_gains
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.rows import Setting, row_key, setting_of
from benchmark.leaderboard.statistics import Estimate, Summary, paired_estimates, summarize
from benchmark.leaderboard.tables import current_cells
from benchmark.leaderboard.text import format_gain, format_mean_std, format_p, heading, markdown_table
from benchmark.records.result import DONE
from benchmark.records.store import Stored

MIN_HASH = 7
"""Least number of characters by which a commit is selected."""
ENVIRONMENT = ("commit", "dirty", "versions", "hardware")
"""Entries of the provenance that are compared too."""


@dataclass(frozen=True)
class Difference:
    """Two groups of cells that differ in more than their seed.

    Args:
        first: row of the first group.
        second: row of the second group.
        setting: setting of the first group; the second may differ from it in data and version of the recipe.
        columns: the metrics that are compared.
        values: mean and spread of each metric, of the first and of the second group.
        gains: gain of the second group over the first: mean over tasks, then each task.
        changes: differences in ingredients and environment, one phrase each.
    """

    first: RowKey
    second: RowKey
    setting: Setting
    columns: tuple[Column, ...]
    values: tuple[tuple[Summary | None, Summary | None], ...]
    gains: tuple[Estimate | None, ...]
    changes: tuple[str, ...]

    def to_text(self) -> str:
        """Heading, table and changes as text."""
        name = self.second.label if self.first == self.second else f"{self.second.label} over {self.first.label}"
        lines = [["", "first", "second", "gain (%)", "n", "p"]]
        lines.append(["mean over these", "", "", *_estimate_texts(self.gains[0])])
        for column, (first, second), gain in zip(self.columns, self.values, self.gains[1:], strict=True):
            texts = (format_mean_std(summary, column.unit) for summary in (first, second))
            lines.append([heading(column), *texts, *_estimate_texts(gain)])
        changes = "".join(f"  {change}\n" for change in self.changes) or "  nothing that is recorded\n"
        return f"{name} ({self.setting.recipe})\n\n{markdown_table(lines)}\ndiffers in:\n{changes}"


def select(name: str, results: Sequence[Stored]) -> list[Stored]:
    """The finished results of a row such as "mti_net+aux_heads", or of a commit.

    Raises:
        ValueError: if no row has the name; the message gives the nearest names.
    """
    done = [cell for cell in results if cell.result.status == DONE]
    found = [cell for cell in done if row_key(cell.result).label == name]
    if not found and len(name) >= MIN_HASH:
        found = [cell for cell in done if str(cell.result.provenance.get("commit") or "").startswith(name)]
    if not found:
        rows = sorted({row_key(cell.result).label for cell in done})
        near = get_close_matches(name, rows, n=3, cutoff=0.5)
        raise ValueError(
            f"found {name!r}, expected a row, the first {MIN_HASH} or more characters of a commit, or a folder; "
            f"{'near: ' + ', '.join(near) if near else 'rows: ' + (', '.join(rows) or 'none')}"
        )
    return found


def compare(first: Sequence[Stored], second: Sequence[Stored], columns: Sequence[Column] = ()) -> list[Difference]:
    """Compare rows of two sides in equal settings, if they have common seeds.

    If each side has a single row, these two rows are compared; otherwise each row is compared with the equal row of the
    other side. Data and version of the recipe may differ; they are then named among the changes.

    Args:
        first: results of the first side.
        second: results of the second side.
        columns: metrics to compare in place of the ranking metrics; the mean gain is over these.
    """
    groups = [_groups(side) for side in (first, second)]
    rows = [{key for key, _ in side} for side in groups]
    if all(len(side) == 1 for side in rows):
        left, right = (next(iter(side)) for side in rows)
        pairs = [((left, setting), (right, setting)) for _, setting in groups[0]]
    else:
        pairs = [(key, key) for key in groups[0]]
    return [
        _difference(groups[0][one], groups[1][other], columns)
        for one, other in pairs
        if other in groups[1] and _seeds(groups[0][one]) & _seeds(groups[1][other])
    ]


def changes_between(first: Stored, second: Stored) -> list[str]:
    """Differences in the ingredients of two cells, then in their environment, one phrase each."""
    old, new = first.result.spec.ingredients, second.result.spec.ingredients
    if old is not None and new is not None:
        changes = new.changes_since(old)
    else:
        changes = list(_changed(_request(first), _request(second)))
    return [*changes, *_changed(_environment(first), _environment(second))]


def _groups(cells: Iterable[Stored]) -> dict[tuple[RowKey, Setting], list[Stored]]:
    found: dict[tuple[RowKey, Setting], list[Stored]] = {}
    for cell in cells:
        setting = replace(setting_of(cell.result), version=None, data="", fingerprint="")
        found.setdefault((row_key(cell.result), setting), []).append(cell)
    return {key: current_cells(group)[0] for key, group in found.items()}


def _difference(first: Sequence[Stored], second: Sequence[Stored], chosen: Sequence[Column]) -> Difference:
    results = [cell.result for cell in (*first, *second)]
    columns = measured_columns(chosen or ranking_columns(results[0].spec.tasks, results), results)
    gains = paired_gains(values_by_seed(second, columns), values_by_seed(first, columns), columns)
    seeds = gains.seeds or tuple(sorted(_seeds(first) & _seeds(second)))
    paired = [[cell for cell in side if cell.result.spec.seed in seeds] for side in (first, second)]
    values = tuple((_summary(paired[0], column), _summary(paired[1], column)) for column in columns)
    estimates = paired_estimates([gains.mean, *gains.by_task.T])
    return Difference(
        row_key(first[0].result),
        row_key(second[0].result),
        setting_of(first[0].result),
        columns,
        values,
        tuple(estimates),
        tuple(changes_between(paired[0][0], paired[1][0])),
    )


def _summary(cells: Iterable[Stored], column: Column) -> Summary | None:
    return summarize([value for cell in cells if (value := column.value(cell.result)) is not None])


def _seeds(cells: Iterable[Stored]) -> set[int]:
    return {cell.result.spec.seed for cell in cells}


def _estimate_texts(estimate: Estimate | None) -> list[str]:
    return [format_gain(estimate), str(estimate.n if estimate else 0), format_p(estimate.p if estimate else None)]


def _request(cell: Stored) -> dict[str, Any]:
    """The request of a cell without its seed, and the data that it was measured on."""
    spec = cell.result.spec.to_json()
    asked = {key: value for key, value in spec.items() if key not in ("seed", "ingredients")}
    return {**asked, "data": cell.result.provenance.get("data")}


def _environment(cell: Stored) -> dict[str, Any]:
    return {key: cell.result.provenance.get(key) for key in ENVIRONMENT}


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """One phrase per entry of nested mappings that differs."""
    for key in dict.fromkeys([*old, *new]):
        before, now = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _changed(before, now, f"{prefix}{key} ")
        elif before != now:
            yield f"{prefix}{key} {before} -> {now}"
