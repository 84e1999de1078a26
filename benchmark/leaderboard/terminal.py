"""Tables for a terminal, as wide as the terminal allows."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import delta_text, rank_text
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.rows import Row, Setting
from benchmark.leaderboard.summary import reference_name
from benchmark.leaderboard.text import format_mean_std, format_scaled, heading
from benchmark.records.escaping import escape_terminal

Cells = tuple[str, Callable[[Row], str]]
UNLIMITED = 10_000


def terminal_table(analysis: Analysis, width: int, columns: Sequence[Column] = (), told: Collection[str] = ()) -> str:
    """A table of name, gain and rank; with metrics and parameters where the terminal is wide enough.

    Args:
        analysis: rows with their statistics.
        width: characters of a line.
        columns: metrics to show in place of the ranking metrics, on a terminal of any width.
        told: run_ids of cells whose failure was printed before; it is not printed again.
    """
    text = io.StringIO()
    console = Console(file=text, width=max(width, 20), color_system=None, highlight=False)
    console.print(Text(escape_terminal(setting_line(analysis.table.setting))), soft_wrap=True)
    if analysis.rows:
        choices = [_rich_table(analysis, shown) for shown in _choices(analysis, columns)]
        options = console.options.update(max_width=UNLIMITED)
        fitting = (table for table in choices if Measurement.get(console, options, table).maximum <= width)
        console.print(next(fitting, choices[-1]))
    for cell in analysis.table.not_done:
        if cell.result.run_id in told:
            continue
        failure = f"{cell.result.status}: {cell.result.run_id}: {cell.result.error}"
        console.print(Text(escape_terminal(failure)), soft_wrap=True)
    return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines() if line.strip())


def setting_line(setting: Setting) -> str:
    """Recipe, version, data and overrides in one line."""
    version = f" version {setting.version}" if setting.version is not None else ""
    changes = f", {setting.overrides}" if setting.overrides else ""
    return f"{setting.recipe}{version} on {setting.data or 'unknown data'}{changes}"


def _choices(analysis: Analysis, columns: Sequence[Column]) -> list[list[Cells]]:
    """Columns of the table, from the widest choice to the narrowest."""
    short: list[Cells] = []
    if analysis.reference:
        short.append((f"gain over {reference_name(analysis)} (%)", lambda row: delta_text(analysis, row)))
    last: Cells = ("n", lambda row: str(len(row.cells)))
    short.append(("rank", lambda row: rank_text(analysis, row)) if analysis.table.plan else last)
    metrics = [_metric(column) for column in columns or analysis.table.columns]
    parameters: Cells = ("param. (M)", lambda row: format_scaled(row.cost("parameters_inference"), 1e6, 2))
    wide = [[*metrics, *short, parameters], [*metrics, *short]]
    return wide if columns else [*wide, short]


def _metric(column: Column) -> Cells:
    return heading(column), lambda row: format_mean_std(row.summary(column), column.unit)


def _rich_table(analysis: Analysis, shown: Sequence[Cells]) -> RichTable:
    table = RichTable(box=box.MARKDOWN)
    table.add_column("row", overflow="fold")
    for name, _ in shown:
        table.add_column(Text(escape_terminal(name)), justify="right", overflow="fold")
    for row in analysis.rows:
        table.add_row(Text(escape_terminal(row.key.label)), *(Text(escape_terminal(show(row))) for _, show in shown))
    return table
