"""The leaderboard as one Markdown page: summary, contents, boards, other runs, published numbers, failures."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import (
    comparison_table,
    cost_tables,
    details_table,
    hardware_letters,
    rank_table,
    task_table,
)
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.notes import board_title, notes_of, other_title, reading_notes
from benchmark.leaderboard.reported import ReportedTable, reported_lines
from benchmark.leaderboard.rows import row_key
from benchmark.leaderboard.summary import board_summary, describe
from benchmark.leaderboard.text import bullets, markdown_table, result_link
from benchmark.records.escaping import escape_markdown, escape_markdown_code
from benchmark.records.store import Stored

MAX_FAILURES = 50
"""Failed cells that are named; the others are counted."""
MADE_BY = """\
Made by `python tools/make_leaderboard.py` from the result files; every number can be followed to the files linked in
its row. `leaderboard.csv` has every metric unrounded, `comparisons.csv` every comparison with its adjusted p value.
"""


def leaderboard(
    analyses: Sequence[Analysis], reported: Sequence[ReportedTable], folder: Path, columns: Sequence[Column] = ()
) -> str:
    """The text of LEADERBOARD.md.

    Args:
        analyses: tables with their statistics, boards first.
        reported: published numbers, for a section of their own.
        folder: folder of the text; links are relative to it.
        columns: metrics to show in place of the ranking metrics.
    """
    boards = [analysis for analysis in analyses if analysis.table.plan]
    others = [analysis for analysis in analyses if not analysis.table.plan and analysis.rows]
    sections = [(board_title(board), 2, table_section(board, folder, columns)) for board in boards]
    if others:
        sections.append(("Other runs", 2, _other_runs_note(others)))
        sections += [(other_title(found), 3, table_section(found, folder, columns)) for found in others]
    if reported:
        published = "\n".join(reported_section(table) for table in reported)
        sections.append(("Published numbers, as published", 2, published))
    failures = different_failures(analyses)
    if failures:
        sections.append(("Cells that failed", 2, _failures(failures, folder)))
    head = ["# Leaderboard\n", MADE_BY, "## Summary\n", _summary(boards, others)]
    head += ["## Contents\n", _contents([title for title, level, _ in sections if level == 2])]
    body = [f"{'#' * level} {title}\n\n{text}" for title, level, text in sections]
    return "\n".join([*head, "## How to read the tables\n", bullets(map(_wrapped, reading_notes())), *body])


def table_section(analysis: Analysis, folder: Path, columns: Sequence[Column] = ()) -> str:
    """All tables and notes of one table of results, without its heading."""
    table = analysis.table
    letters = hardware_letters(table.rows)
    level = "###" if table.plan else "####"
    parts = [describe(table.setting) + "\n", rank_table(analysis, columns), bullets(notes_of(analysis))]
    for title, text in [
        ("Comparisons", comparison_table(analysis)),
        ("Comparisons by task", task_table(analysis)),
        ("Details", details_table(analysis, folder, letters)),
    ]:
        parts += [f"{level} {title}\n", text] if text else []
    parts.append(bullets([*_star(analysis), *(f"Hardware {letter}: {text}" for text, letter in letters.items())]))
    cost = cost_tables(analysis.rows)
    parts += [f"{level} Cost\n", cost] if cost else []
    return "\n".join(part for part in parts if part)


def reported_section(table: ReportedTable) -> str:
    """A published table; its rows are neither ranked nor mixed with ours."""
    name = escape_markdown(table.source)
    source = f"[{name}]({table.link})" if table.link else name
    note = f"{escape_markdown(table.title)}. Source: {source}. {escape_markdown(table.note)}\n"
    return "\n".join([note, markdown_table(reported_lines(table))])


def different_failures(analyses: Iterable[Analysis]) -> list[Stored]:
    """The cells that failed or diverged, each once."""
    return list({cell.path: cell for analysis in analyses for cell in analysis.table.not_done}.values())


def failure_name(cell: Stored) -> str:
    """The name of a failed cell in a list of failures."""
    return f"{cell.result.spec.recipe}: {row_key(cell.result).label} seed {cell.result.spec.seed}"


def _summary(boards: Sequence[Analysis], others: Sequence[Analysis]) -> str:
    if boards:
        return "\n".join(bullets(board_summary(board)) for board in boards)
    if others:
        return "No board is defined here; the runs below are compared, but not ranked.\n"
    return "No cell has been run yet.\n"


def _contents(titles: Sequence[str]) -> str:
    return "".join(f"* [{title}](#{_anchor(title)})\n" for title in titles)


def _anchor(title: str) -> str:
    """The anchor that GitHub gives to a heading."""
    text = html.unescape(title.replace("\\", ""))
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def _other_runs_note(others: Sequence[Analysis]) -> str:
    old = sum(len(analysis.table.results) for analysis in others if analysis.table.setting.version is None)
    note = (
        "Runs that belong to no board. Their rows are compared, but nothing here is ranked or called a gain or a loss."
    )
    return note + (f" {old} results do not record the version of their recipe." if old else "") + "\n"


def _star(analysis: Analysis) -> list[str]:
    dirty = any(changed for row in analysis.rows for _, changed in row.code())
    return ["A star marks a commit with uncommitted changes."] if dirty else []


def _failures(different: Sequence[Stored], folder: Path) -> str:
    lines = [
        f"{cell.result.status}: {result_link(failure_name(cell), cell, folder)}: {_error(cell)}"
        for cell in different[:MAX_FAILURES]
    ]
    if len(different) > MAX_FAILURES:
        lines.append(f"and {len(different) - MAX_FAILURES} more")
    return bullets(lines)


def _error(cell: Stored) -> str:
    text = cell.result.error or ""
    return escape_markdown_code(text if len(text) <= 160 else text[:157] + "...")


def _wrapped(text: str) -> str:
    """A long sentence over several lines of one bullet."""
    return textwrap.fill(text, 118, subsequent_indent="  ")
