"""Results -> tables of rows. Only what was measured alike stands in one table, is averaged or ranked together."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmark.leaderboard.gains import BySeed, Column, Gain, delta_m, delta_reg
from benchmark.leaderboard.statistics import Summary, ranks, summarize
from benchmark.records.overrides import Overrides
from benchmark.records.result import DONE, NO_REGULARIZER, REFERENCE_METHOD, RunResult
from benchmark.records.store import Stored
from benchmark.tasks import STANDARD_TASKS

Contender = tuple[str, str, Overrides]
"""Method, regularizer, and the options that the regularizer was given."""


@dataclass(frozen=True)
class Setting:
    """What the rows of one table share.

    Options of a regularizer are no part of it: a row is compared with the same method without one, which has none.
    """

    recipe: str
    data: str
    fingerprint: str
    backbone: str
    tasks: tuple[str, ...]
    overrides: Overrides

    @property
    def names_data(self) -> bool:
        """Whether it is known what was measured on; without that, nothing is known to be comparable."""
        return bool(self.data or self.fingerprint)


@dataclass(frozen=True)
class Row:
    """A method with a regularizer, over its seeds.

    Args:
        method: its name.
        regularizer: its name.
        options: settings of the recipe that were changed for the regularizer.
        cells: the results, in the order of their seeds.
        values: summary per ranking metric, None where it was not measured for every seed.
        delta_m: gain over the single-task cells.
        delta_reg: gain over the same method without the regularizer.
        rank: 1 for the best; None where a metric is missing.
    """

    method: str
    regularizer: str
    options: Overrides
    cells: tuple[Stored, ...]
    values: Mapping[Column, Summary | None]
    delta_m: Gain
    delta_reg: Gain
    rank: int | None = None

    def cost(self, name: str) -> Summary | None:
        """A cost over seeds; None where no cell knows it."""
        found = [cell.result.cost.get(name) for cell in self.cells]
        return summarize([value for value in found if value is not None])

    def training_seconds(self) -> Summary | None:
        """What training took over seeds, that of the cells which a cell started or learnt from included."""
        spent = [
            (cell.result.cost.get("train_seconds"), cell.result.cost.get("needed_train_seconds", 0.0))
            for cell in self.cells
        ]
        return summarize([own + needed for own, needed in spent if own is not None and needed is not None])

    def provenance(self, name: str) -> list[Any]:
        """The different values of one entry of the provenance, in the order of the seeds."""
        found = [cell.result.provenance.get(name) for cell in self.cells]
        return [value for position, value in enumerate(found) if value not in found[:position]]

    def code(self) -> list[tuple[str | None, bool | None]]:
        """The different commits, and whether each had changes on top, that trained cells or parts of them."""
        origins = [cell.result.provenance for cell in self.cells]
        origins += [part for origin in origins for part in origin.get("earlier_parts", ())]
        return list(dict.fromkeys((origin.get("commit"), origin.get("dirty")) for origin in origins))


@dataclass(frozen=True)
class Table:
    """Rows that may be compared.

    Args:
        setting: what they share.
        columns: the ranking metric of each task, measured or not.
        rows: best first.
        not_done: cells that failed or diverged.
        ranked_by: "Delta_m" or "mean rank"; empty where nothing may be compared.
    """

    setting: Setting
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    not_done: tuple[Stored, ...]
    ranked_by: str

    @property
    def measured(self) -> tuple[Column, ...]:
        """The columns that at least one cell has a value for; gains are means over these."""
        return _measured(self.columns, [cell.result for row in self.rows for cell in row.cells])


def tables(results: Iterable[Stored]) -> list[Table]:
    """All tables, one for each setting, in the order of recipe, data, backbone, tasks and overrides."""
    done: dict[Setting, list[Stored]] = defaultdict(list)
    not_done: list[Stored] = []
    for cell in results:
        if cell.result.status == DONE:
            done[setting_of(cell.result)].append(cell)
        else:
            not_done.append(cell)
    failed = _homes(not_done, done)
    return [
        _table(setting, done.get(setting, []), failed.get(setting, []))
        for setting in sorted({*done, *failed}, key=_order)
    ]


def setting_of(result: RunResult) -> Setting:
    """What a result has to share with another one to be compared with it."""
    data = result.provenance.get("data")
    known = data if isinstance(data, Mapping) else {}
    spec = result.spec
    return Setting(
        spec.recipe,
        str(known.get("id") or ""),
        str(known.get("fingerprint") or ""),
        spec.backbone,
        spec.tasks,
        Overrides(spec.overrides).split("regularizer")[1],
    )


def columns_of(tasks: Sequence[str], results: Sequence[RunResult]) -> tuple[Column, ...]:
    """The ranking metric of each task: the one that `benchmark.tasks` says, else one of those, else the first."""
    return tuple(column for task in tasks if (column := _column(task, results)) is not None)


def _homes(not_done: Iterable[Stored], done: Iterable[Setting]) -> dict[Setting, list[Stored]]:
    """The tables under which cells that are not done are named; they may have died before they knew their data."""
    tables_of: dict[Setting, list[Setting]] = defaultdict(list)
    for setting in done:
        tables_of[replace(setting, data="", fingerprint="")].append(setting)
    homes: dict[Setting, list[Stored]] = defaultdict(list)
    for cell in not_done:
        own = setting_of(cell.result)
        for setting in [own] if own.data else tables_of.get(own, [own]):
            homes[setting].append(cell)
    return homes


def _order(setting: Setting) -> tuple[Any, ...]:
    return (
        setting.recipe,
        setting.data,
        setting.fingerprint,
        setting.backbone,
        -len(setting.tasks),
        setting.tasks,
        str(setting.overrides),
    )


def _table(setting: Setting, cells: Sequence[Stored], not_done: Sequence[Stored]) -> Table:
    columns = columns_of(setting.tasks, [cell.result for cell in cells])
    if not setting.names_data:
        return Table(setting, columns, tuple(_lone_rows(cells, columns)), tuple(not_done), ranked_by="")
    measured = _measured(columns, [cell.result for cell in cells])
    groups: dict[Contender, list[Stored]] = defaultdict(list)
    for cell in sorted(cells, key=lambda cell: cell.result.spec.seed):
        groups[_contender(cell)].append(cell)
    values = {contender: by_seed(group, measured) for contender, group in groups.items()}
    rows = [
        Row(
            *contender,
            tuple(group),
            {column: _summary(group, column) for column in columns},
            _gain_over_reference(contender, values, measured),
            _gain_over_none(contender, values, measured),
        )
        for contender, group in groups.items()
    ]
    ranked, ranked_by = _ranked(rows, measured)
    return Table(setting, columns, tuple(ranked), tuple(not_done), ranked_by)


def _lone_rows(cells: Sequence[Stored], columns: Sequence[Column]) -> list[Row]:
    """A row for each cell alone: nobody knows whether two of them were measured on the same data."""
    nothing = Gain(None, "data not known")
    rows = []
    for cell in cells:
        values = {column: _summary([cell], column) for column in columns}
        rows.append(Row(*_contender(cell), (cell,), values, nothing, nothing))
    return sorted(rows, key=lambda row: (*_name(row), row.cells[0].result.spec.seed))


def _contender(cell: Stored) -> Contender:
    spec = cell.result.spec
    return spec.method, spec.regularizer, Overrides(spec.overrides).split("regularizer")[0]


def _name(row: Row) -> tuple[str, str, str]:
    return row.method, row.regularizer, str(row.options)


def _gain_over_reference(contender: Contender, values: Mapping[Contender, BySeed], measured: Sequence[Column]) -> Gain:
    reference = (REFERENCE_METHOD, NO_REGULARIZER, Overrides())
    gain = delta_m(values[contender], values.get(reference, {}), measured)
    return replace(gain, note="reference") if contender == reference and gain.summary else gain


def _gain_over_none(contender: Contender, values: Mapping[Contender, BySeed], measured: Sequence[Column]) -> Gain:
    method, regularizer, _ = contender
    if regularizer == NO_REGULARIZER:
        return Gain(None)
    return delta_reg(values[contender], values.get((method, NO_REGULARIZER, Overrides()), {}), measured)


def _column(task: str, results: Sequence[RunResult]) -> Column | None:
    known = STANDARD_TASKS.get(task)
    for result in results:
        metrics = result.metrics.get(task, {})
        primary = (metric for metric in _PRIMARY_METRICS if metric in metrics)
        name = known.primary_metric if known else next(primary, next(iter(metrics), ""))
        if name in metrics:
            return Column(task, name, metrics[name]["unit"], metrics[name]["higher_is_better"])
    return Column(task, known.primary_metric, "", known.higher_is_better) if known else None


_PRIMARY_METRICS = tuple(task.primary_metric for task in STANDARD_TASKS.values())
"""What ranks the tasks that users name themselves: they are measured like a standard task."""


def _value(result: RunResult, column: Column) -> float | None:
    """The value of a column; one in another unit is none of it."""
    entry = result.metrics.get(column.task, {}).get(column.name)
    return entry["value"] if entry is not None and entry["unit"] == column.unit else None


def _measured(columns: Iterable[Column], results: Sequence[RunResult]) -> tuple[Column, ...]:
    return tuple(column for column in columns if any(_value(result, column) is not None for result in results))


def by_seed(cells: Iterable[Stored], measured: Iterable[Column]) -> dict[int, dict[str, float | None]]:
    """The values of cells that differ in their seed alone."""
    return {cell.result.spec.seed: {column.task: _value(cell.result, column) for column in measured} for cell in cells}


def _summary(cells: Iterable[Stored], column: Column) -> Summary | None:
    values = [_value(cell.result, column) for cell in cells]
    numbers = [value for value in values if value is not None]
    return summarize(numbers) if len(numbers) == len(values) else None


def _ranked(rows: Sequence[Row], measured: Sequence[Column]) -> tuple[list[Row], str]:
    """Rows with their rank, best first: by Delta_m if every complete row has one, else by the mean rank over tasks.

    Mixing the two criteria in one ranking would compare what cannot be compared.
    """
    complete: list[Row] = []
    rest: list[Row] = []
    for row in sorted(rows, key=_name):
        (complete if measured and all(row.values[column] for column in measured) else rest).append(row)
    gains = [row.delta_m.summary.mean for row in complete if row.delta_m.summary]
    by_gain = bool(gains) and len(gains) == len(complete)
    scores = [-gain for gain in gains] if by_gain else _mean_ranks(complete, measured)
    in_order = sorted(scores)
    ranked = [replace(row, rank=1 + bisect_left(in_order, score)) for row, score in zip(complete, scores, strict=True)]
    return sorted(ranked, key=lambda row: row.rank or 0) + rest, "Delta_m" if by_gain else "mean rank"


def _mean_ranks(rows: Sequence[Row], measured: Sequence[Column]) -> list[float]:
    totals = [0.0] * len(rows)
    for column in measured:
        means = [summary.mean for row in rows if (summary := row.values[column]) is not None]
        for position, rank in enumerate(ranks(means, column.higher_is_better)):
            totals[position] += rank / len(measured)
    return totals
