"""Rows of tables before and after results were added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import delta_text, rank_text
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.plan import RowKey
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.summary import reference_name
from benchmark.leaderboard.text import ABSENT, format_mean_std, heading, markdown_table
from benchmark.records.escaping import escape_markdown


def changed_rows(before: Sequence[Analysis], after: Sequence[Analysis]) -> str:
    """One Markdown table per board or setting with changed rows, changed cells as "before → after"; else empty."""
    earlier = {_key(analysis): analysis for analysis in before}
    sections = [_section(earlier.get(_key(analysis)), analysis) for analysis in after]
    return "\n".join(section for section in sections if section)


def _section(before: Analysis | None, after: Analysis) -> str:
    columns = after.table.columns
    lines = []
    for key in dict.fromkeys([*_rows(after), *(_rows(before) if before else ())]):
        was, now = (_texts(analysis, key, columns) for analysis in (before, after))
        if was != now:
            lines.append([escape_markdown(key.label), *map(_change, was, now)])
    if not lines:
        return ""
    gain = f"gain over {escape_markdown(reference_name(after))} (%)"
    head = ["row", "seeds", *(escape_markdown(heading(column)) for column in columns), gain, "rank"]
    data = escape_markdown(after.table.setting.data or "unknown data")
    kind = "board" if after.table.plan else "other runs of recipe"
    return f"**{kind} {escape_markdown(after.name)}** on {data}\n\n{markdown_table([head, *lines])}"


def _key(analysis: Analysis) -> tuple[Any, ...]:
    """Identity of a table: name and settings of a board, whose data are unknown while it is empty; else the setting."""
    plan = analysis.table.plan
    return (plan.name, plan.settings) if plan else (analysis.table.setting,)


def _rows(analysis: Analysis) -> dict[RowKey, Row]:
    return {row.key: row for row in analysis.rows}


def _texts(analysis: Analysis | None, key: RowKey, columns: Sequence[Column]) -> list[str]:
    """Seeds, metrics, gain and rank of a row as shown; dashes for a row that the table does not have."""
    row = _rows(analysis).get(key) if analysis else None
    if analysis is None or row is None or not (row.cells or row.not_done):
        return [ABSENT] * (len(columns) + 3)
    metrics = [format_mean_std(row.summary(column), column.unit) for column in columns]
    seeds = " ".join(map(str, row.seeds)) or ABSENT
    rank = rank_text(analysis, row) if analysis.table.plan else ABSENT
    return [seeds, *metrics, delta_text(analysis, row), rank]


def _change(before: str, after: str) -> str:
    return after if before == after else f"{before} → {after}"
