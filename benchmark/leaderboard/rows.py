"""Rows of a table: the cells that differ in their seed alone, and the settings that the rows of a table share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.leaderboard.columns import Column, values_by_seed
from benchmark.leaderboard.plan import Plan, RowKey
from benchmark.leaderboard.statistics import Summary, summarize
from benchmark.records.overrides import Overrides
from benchmark.records.result import DONE, RunResult
from benchmark.records.store import Stored


@dataclass(frozen=True)
class Setting:
    """Settings that the rows of one table share.

    Options of a regularizer are not part of it: a row is compared with the same method without a regularizer, which has
    no such options.

    Args:
        recipe: its name.
        version: of the recipe; None for results that do not record it.
        split: of the data, "test" or "val".
        data: id of the data set; empty if unknown.
        fingerprint: of its content; empty if unknown.
        backbone: its name.
        tasks: their names.
        overrides: changed settings of the recipe, except settings of the regularizer.
    """

    recipe: str
    version: int | None
    split: str
    data: str
    fingerprint: str
    backbone: str
    tasks: tuple[str, ...]
    overrides: Overrides

    @property
    def names_data(self) -> bool:
        """False if the data are unknown, so that no two results are known to be comparable."""
        return bool(self.data or self.fingerprint)


@dataclass(frozen=True)
class Row:
    """A method with a regularizer, over its seeds.

    Args:
        key: method, regularizer and its options.
        cells: finished results, in the order of their seeds, one per seed.
        planned: the seeds that the board asks for; empty for a table without a board.
        not_done: statuses of planned seeds that failed or diverged, by seed.
    """

    key: RowKey
    cells: tuple[Stored, ...]
    planned: tuple[int, ...] = ()
    not_done: Mapping[int, str] | None = None

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the finished results."""
        return tuple(cell.result.spec.seed for cell in self.cells)

    def values(self, columns: Sequence[Column]) -> dict[int, dict[str, float]]:
        """Measured values by seed."""
        return values_by_seed(self.cells, columns)

    def summary(self, column: Column) -> Summary | None:
        """Mean and spread of a metric; None if a cell lacks it."""
        found = [column.value(cell.result) for cell in self.cells]
        numbers = [value for value in found if value is not None]
        return summarize(numbers) if len(numbers) == len(found) else None

    def complete(self, columns: Sequence[Column]) -> bool:
        """True if every planned seed has every metric; False without metrics."""
        values = self.values(columns)
        return bool(columns) and all(len(values.get(seed, ())) == len(columns) for seed in self.planned)

    def progress(self) -> str:
        """Number of planned seeds that are done: "3 of 5 seeds (1 diverged)"."""
        statuses = list((self.not_done or {}).values())
        counts = [f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)]
        return f"{len(self.cells)} of {len(self.planned)} seeds" + (f" ({', '.join(counts)})" if counts else "")

    def cost(self, name: str) -> float | None:
        """Mean of a cost over the seeds that recorded it; None if no seed did."""
        summary = summarize([value for cell in self.cells if (value := cell.result.cost.get(name)) is not None])
        return summary.mean if summary else None

    def training_seconds(self) -> float | None:
        """Steps times the step time that tools/measure_cost.py measured; None if it was not measured.

        The wall time of training is no substitute: it depends on the other work of the machine.
        """
        steps = [found for cell in self.cells if (found := training_steps(cell.result)) is not None]
        step_seconds = self.cost("step_seconds")
        return max(steps) * step_seconds if steps and step_seconds is not None else None

    def provenance(self, name: str) -> list[Any]:
        """The different values of one entry of the provenance, in the order of the seeds."""
        found = [cell.result.provenance.get(name) for cell in self.cells]
        return [value for position, value in enumerate(found) if value not in found[:position]]

    def code(self) -> list[tuple[str | None, bool | None]]:
        """The different commits that trained cells or parts of them, each with its dirty flag."""
        origins = [cell.result.provenance for cell in self.cells]
        origins += [part for origin in origins for part in origin.get("earlier_parts", ())]
        return list(dict.fromkeys((origin.get("commit"), origin.get("dirty")) for origin in origins))


@dataclass(frozen=True)
class Table:
    """Rows that may be compared.

    Args:
        setting: settings that the rows share.
        columns: the ranking metric of each task, measured or not.
        measured: the columns that a cell has a value of; gains are means over these.
        rows: in the order of the board, or by name.
        not_done: cells that failed or diverged.
        plan: of the board; None for other runs.
        num_stale: results of these rows that were left out, since newer ones have other ingredients.
    """

    setting: Setting
    columns: tuple[Column, ...]
    measured: tuple[Column, ...]
    rows: tuple[Row, ...]
    not_done: tuple[Stored, ...] = ()
    plan: Plan | None = None
    num_stale: int = 0

    @property
    def results(self) -> list[RunResult]:
        """All finished results of the rows."""
        return [cell.result for row in self.rows for cell in row.cells]

    @property
    def data_notes(self) -> list[str]:
        """Notes of the data set about itself, each sentence once."""
        notes: dict[str, None] = {}
        for result in self.results:
            data = result.provenance.get("data")
            found = data.get("notes", ()) if isinstance(data, Mapping) else ()
            notes |= dict.fromkeys([found] if isinstance(found, str) else map(str, found))
        return list(notes)


def setting_of(result: RunResult) -> Setting:
    """The settings that two results must share to be compared."""
    data = result.provenance.get("data")
    known = data if isinstance(data, Mapping) else {}
    spec = result.spec
    return Setting(
        spec.recipe,
        recipe_version(result),
        spec.split,
        str(known.get("id") or ""),
        str(known.get("fingerprint") or ""),
        spec.backbone,
        spec.tasks,
        Overrides(spec.overrides).split("regularizer")[1],
    )


def row_key(result: RunResult) -> RowKey:
    """The row that a result belongs to."""
    spec = result.spec
    return RowKey(spec.method, spec.regularizer, Overrides(spec.overrides).split("regularizer")[0])


def recipe_version(result: RunResult) -> int | None:
    """Version of the recipe that the result was trained by; None for a result without ingredients."""
    ingredients = result.spec.ingredients
    return ingredients.versions.get("recipe", 1) if ingredients else None


def training_steps(result: RunResult) -> int | None:
    """Training steps of a cell, from its ingredients or its recorded times; None without both."""
    ingredients = result.spec.ingredients
    steps = ingredients.settings.get("train_cfg.max_iters") if ingredients else None
    if isinstance(steps, int):
        return steps
    seconds, per_step = (result.cost.get(name) for name in ("train_seconds", "seconds_per_step"))
    return round(seconds / per_step) if result.status == DONE and seconds and per_step else None
