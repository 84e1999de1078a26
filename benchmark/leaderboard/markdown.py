"""Tables as Markdown: for LEADERBOARD.md, and shorter for a terminal. Numbers are rounded here and nowhere before."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmark.leaderboard.contrasts import contrast_table
from benchmark.leaderboard.cost_table import CostRow, compute_table, from_measurement, parameter_table, short_hardware
from benchmark.leaderboard.gains import Column, Gain
from benchmark.leaderboard.layout import ABSENT, gain_text, lay_out, plain, signed, with_options
from benchmark.leaderboard.links import way
from benchmark.leaderboard.reported import ReportedTable
from benchmark.leaderboard.rows import Row, Setting, Table
from benchmark.leaderboard.statistics import Summary
from benchmark.records.overrides import Overrides
from benchmark.records.store import Stored

DECIMALS = {"%": 2, "deg": 2, "m": 4}
OTHER_DECIMALS = 4

Cells = tuple[str, Callable[[Row], str]]
"""A printed column: its heading, and what stands in it."""

PREAMBLE = """\
# Leaderboard

Made by `python tools/make_leaderboard.py` from `runs/*/*.json`, one file per trained cell; every number can be followed
to the files linked in its row. Arrows say which direction is better; values are mean ± sample standard deviation over
seeds; the best value of a column is bold. Only cells of the same recipe, data, backbone, tasks and overrides share a
table; the settings of a regularizer are no such override, they stand behind its name. **Δm** is the mean relative gain
over the single-task networks of the same seeds, in percent; **Δreg** the same over the same method without its
regularizer, paired by seed, with its 95 % confidence interval (Student's t).
"""


COST_NOTE = """\
Measured by `tools/measure_cost.py` on random weights and images. GMACs are of one image and count convolutions, matrix
products and attention; memory includes the weights; a training step includes the regularizer and the optimiser.
"""


def leaderboard(tables: Sequence[Table], reported: Sequence[ReportedTable], folder: Path) -> str:
    """The text of LEADERBOARD.md.

    Args:
        tables: our results.
        reported: published numbers, for a section of their own.
        folder: where the text will lie; links are relative to it.
    """
    sections = [PREAMBLE]
    sections += [full_table(table, folder) for table in tables] or ["No cell has been run yet.\n"]
    if reported:
        sections.append("## Published numbers, as published\n")
        sections += [reported_table(table) for table in reported]
    return "\n".join(sections)


def full_table(table: Table, folder: Path) -> str:
    """A table with its heading, all columns and its notes."""
    machines = _machines(table.rows)
    columns = [
        *_results(table),
        *_costs(),
        ("hardware", lambda row: ", ".join(machines[text] for text in _machines([row]))),
        ("commit", _commits),
        ("runs by seed", lambda row: " ".join(_link(str(cell.result.spec.seed), cell, folder) for cell in row.cells)),
    ]
    parts = [f"## {code(table.setting.recipe)}\n", describe(table.setting) + "\n", _grid(columns, table.rows)]
    notes = [*_notes(table), *_star(table), *(f"Hardware {letter}: {text}" for text, letter in machines.items())]
    notes += [_not_done(cell, folder) for cell in table.not_done]
    parts += ["".join(f"* {note}\n" for note in notes), contrast_table(table), cost_tables(table)]
    return "\n".join(part for part in parts if part)


def cost_tables(table: Table) -> str:
    """What the rows cost, of those for which tools/measure_cost.py has measured it."""
    rows = [_cost_row(row) for row in table.rows if any(map(from_measurement, _cost_names(row)))]
    if not rows:
        return ""
    title = f"### Cost of {code(table.setting.recipe)} on {code(table.setting.backbone)}\n"
    return "\n".join([title, COST_NOTE, parameter_table(rows), compute_table(rows)])


def brief_table(table: Table) -> str:
    """A table for a terminal: without links, hardware and commits."""
    not_done = [f"* {cell.result.status}: {cell.result.run_id}: {cell.result.error}\n" for cell in table.not_done]
    notes = [f"* {note}\n" for note in _notes(table)]
    grid = _grid([*_results(table), *_costs()], table.rows)
    return "\n".join(part for part in (describe(table.setting) + "\n", grid, "".join([*notes, *not_done])) if part)


def reported_table(table: ReportedTable) -> str:
    """A published table; its rows are neither ranked nor mixed with ours."""
    kinds = {
        (task, name): Column(task, name, entry["unit"], entry["higher_is_better"])
        for row in table.rows
        for task, entries in row.metrics.items()
        for name, entry in entries.items()
    }
    lines = [["method", "backbone", "how the backbone is known", *(heading(column) for column in kinds.values())]]
    for row in table.rows:
        values = [_published(row.metrics, column) for column in kinds.values()]
        lines.append([plain(row.title), plain(row.backbone), plain(row.backbone_evidence), *values])
    source = f"{plain(table.title)}. Source: [{plain(table.source)}]({table.link}). {plain(table.note)}\n"
    return "\n".join([source, lay_out(lines)])


def describe(setting: Setting) -> str:
    """What the rows of a table share, in one line."""
    parts = [f"data {code(setting.data or 'unknown')}", f"backbone {code(setting.backbone)}"]
    parts.append(f"tasks {', '.join(setting.tasks)}")
    if setting.overrides:
        parts.append(f"with {code(str(setting.overrides))}")
    return " · ".join([f"Recipe {code(setting.recipe)}", *parts])


def heading(column: Column) -> str:
    """Task, metric, arrow and unit."""
    unit = f" ({column.unit})" if column.unit and column.unit != "1" else ""
    return plain(f"{column.task} {column.name} {'↑' if column.higher_is_better else '↓'}{unit}")


def number(value: float, unit: str) -> str:
    """A value with the decimals of its unit."""
    return f"{value:.{DECIMALS.get(unit, OTHER_DECIMALS)}f}"


def spread(summary: Summary | None, unit: str) -> str:
    """Mean ± sample standard deviation."""
    if summary is None:
        return ABSENT
    return number(summary.mean, unit) + (f" ± {number(summary.std, unit)}" if summary.std is not None else "")


def code(text: str) -> str:
    """Text as inline code."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"


def _results(table: Table) -> list[Cells]:
    """The columns of what was measured."""
    columns: list[Cells] = [
        ("rank", lambda row: str(row.rank) if row.rank else ABSENT),
        ("method", lambda row: plain(row.method)),
        ("regularizer", lambda row: plain(with_options(row.regularizer, row.options))),
        ("n", lambda row: str(len(row.cells))),
    ]
    # Bold says "better than the others", so it needs rows that may be compared.
    rivals = table.rows if table.ranked_by else ()
    columns += [(heading(column), _bold_best(rivals, column)) for column in table.columns]
    columns.append(("Δm ↑ (%)", _bold_gain(rivals, lambda row: row.delta_m, _delta_m_text)))
    columns.append(("Δreg ↑ (%)", _bold_gain(rivals, lambda row: row.delta_reg, gain_text)))
    return columns


def _costs() -> list[Cells]:
    return [
        ("param. training (M)", lambda row: _scaled(row.cost("parameters_training"), 1e6, 2)),
        ("param. inference (M)", lambda row: _scaled(row.cost("parameters_inference"), 1e6, 2)),
        ("training (min)", lambda row: _scaled(row.training_seconds(), 60, 1)),
    ]


def _cost_names(row: Row) -> list[str]:
    return list(dict.fromkeys(name for cell in row.cells for name in cell.result.cost))


def _cost_row(row: Row) -> CostRow:
    summaries = {name: row.cost(name) for name in _cost_names(row)}
    cost = {name: summary.mean if summary else None for name, summary in summaries.items()}
    origins = [origin for origin in row.provenance("cost") if isinstance(origin, Mapping)]
    where = dict.fromkeys(
        f"{'x'.join(map(str, origin.get('size', ())))}, {short_hardware(origin.get('hardware'))}" for origin in origins
    )
    return CostRow(row.method, with_options(row.regularizer, row.options), cost, "; ".join(where))


def _bold_best(rows: Iterable[Row], column: Column) -> Callable[[Row], str]:
    """A column of values; those that print like the best mean are bold."""
    means = [summary.mean for row in rows if (summary := row.values[column])]
    best = number((max if column.higher_is_better else min)(means), column.unit) if means else None

    def show(row: Row) -> str:
        summary = row.values[column]
        text = spread(summary, column.unit)
        return f"**{text}**" if summary and number(summary.mean, column.unit) == best else text

    return show


def _bold_gain(rows: Iterable[Row], gain: Callable[[Row], Gain], text: Callable[[Gain], str]) -> Callable[[Row], str]:
    """A column of gains; those that print like the best mean are bold."""
    means = [summary.mean for row in rows if (summary := gain(row).summary)]
    best = signed(max(means)) if means else None

    def show(row: Row) -> str:
        summary = gain(row).summary
        return f"**{text(gain(row))}**" if summary and signed(summary.mean) == best else text(gain(row))

    return show


def _delta_m_text(gain: Gain) -> str:
    if gain.summary is None:
        return f"n/a ({gain.note})"
    if gain.note:
        return f"{signed(gain.summary.mean)} ({gain.note})"
    return signed(gain.summary.mean) + (f" ± {gain.summary.std:.2f}" if gain.summary.std is not None else "")


def _scaled(summary: Summary | None, unit: float, decimals: int) -> str:
    return ABSENT if summary is None else f"{summary.mean / unit:.{decimals}f}"


def _commits(row: Row) -> str:
    """Short hashes; a star marks a checkout with changes that no commit holds."""
    marks = sorted(f"{str(commit)[:8]}{'*' if dirty else ''}" if commit else "none" for commit, dirty in row.code())
    return ", ".join(code(mark) for mark in marks)


def _machines(rows: Iterable[Row]) -> dict[str, str]:
    """A letter for each kind of hardware."""
    texts = dict.fromkeys(_machine(entry) for row in rows for entry in row.provenance("hardware"))
    letters = list(string.ascii_uppercase)
    return {text: letters[index] if index < 26 else f"A{index}" for index, text in enumerate(texts)}


def _machine(hardware: Any) -> str:
    if not isinstance(hardware, Mapping):
        return "not recorded"
    memory = f"{hardware['memory_gib']} GiB" if hardware.get("memory_gib") else None
    counts = [f"{name}: {hardware[name]}" for name in ("cores", "threads") if hardware.get(name)]
    parts = [hardware.get("cpu"), *counts, memory, hardware.get("gpu"), hardware.get("system")]
    return plain(", ".join(str(part) for part in parts if part))


def _notes(table: Table) -> list[str]:
    notes = []
    if table.rows and not table.ranked_by:
        notes.append("These results do not say on which data they were measured: none is averaged, ranked or compared.")
    elif table.rows:
        tasks = ", ".join(f"{column.task} {column.name}" for column in table.measured)
        criterion = "Δm" if table.ranked_by == "Delta_m" else "mean rank over tasks, since not every row has a Δm"
        notes.append(f"Ranked by {criterion}. Gains are means over {tasks or 'no metric'}.")
    recipes = {str(sha)[:8] for row in table.rows for sha in row.provenance("recipe_sha256") if sha}
    if len(recipes) > 1:
        notes.append(f"Not all rows were trained by the same text of the recipe: it has {len(recipes)} versions here.")
    return notes


def _star(table: Table) -> list[str]:
    dirty = any(changed for row in table.rows for _, changed in row.code())
    return ["A star marks a commit with uncommitted changes."] if dirty else []


def _not_done(cell: Stored, folder: Path) -> str:
    spec = cell.result.spec
    options = Overrides(spec.overrides).split("regularizer")[0]
    name = f"{spec.method}+{with_options(spec.regularizer, options)} seed {spec.seed}"
    return f"**{cell.result.status}**: {_link(plain(name), cell, folder)}: {code(cell.result.error or '')}"


def _link(text: str, cell: Stored, folder: Path) -> str:
    return f"[{text}]({quote(way(folder, cell.path), safe='/+')})"


def _published(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]], column: Column) -> str:
    entry = metrics.get(column.task, {}).get(column.name)
    return number(entry["value"], column.unit) if entry and entry["value"] is not None else ABSENT


def _grid(columns: Sequence[Cells], rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    return lay_out([[name for name, _ in columns], *([show(row) for _, show in columns] for row in rows)])
