"""A page about a regularizer, made from boards: its gains, its recorded diagnostics and its costs.

As on the leaderboard, a comparison is called a gain or a loss only by its p value after Holm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import comparison_table, rank_table, task_table
from benchmark.leaderboard.comparisons import GAIN, LOSS, PRIMARY, ROW, Comparison
from benchmark.leaderboard.notes import board_title, notes_of
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.statistics import summarize
from benchmark.leaderboard.summary import cells_done, comparison_statement
from benchmark.leaderboard.text import bullets, format_mean_std, format_scaled, listed, markdown_table
from benchmark.records.escaping import escape_markdown
from benchmark.records.regularizer_pages import PAGES, RegularizerPage
from benchmark.records.result import NO_REGULARIZER
from benchmark.tasks import counted

MADE_BY = """\
Made by `python tools/make_leaderboard.py` from the result files and [{name}.toml]({folder}/{name}.toml). A comparison
is called a gain or a loss only if it survives Holm's correction. [LEADERBOARD.md](LEADERBOARD.md) explains the tables
and links every cell.
"""
COST_NOTE = """\
Parameters that the regularizer adds in training; inference is the program without it. The step time is measured by
`tools/measure_cost.py` in steps that take turns, with the regularizer over without it.
"""


@dataclass(frozen=True)
class PageContents:
    """A page with the boards that it is about.

    Args:
        page: its file.
        appendix: text for its end; empty for none.
    """

    page: RegularizerPage
    appendix: str

    def text(self, analyses: Sequence[Analysis]) -> str:
        """The page in Markdown, for the folder of results.

        Args:
            analyses: all tables. The page shows the tables of its boards, in the order that its file names.
        """
        page = self.page
        chosen = [found for name in page.boards for found in analyses if found.table.plan and found.name == name]
        head = [f"# {escape_markdown(page.title)}\n", MADE_BY.format(name=page.name, folder=PAGES), "## In short\n"]
        head += [bullets(_answers(board, page.regularizers)) for board in chosen]
        body = [f"## {board_title(board)}\n\n{_board_section(board, page)}" for board in chosen]
        return "\n".join(filter(None, [*head, *body, self.appendix]))


def _answers(board: Analysis, regularizers: Sequence[str]) -> list[str]:
    """Verdicts of the declared comparisons of a board: their numbers, then each comparison that has an interval."""
    declared = [found for found in board.comparisons if found.family == PRIMARY and _is_about(found, regularizers)]
    known = [found for found in declared if found.estimate is not None and found.estimate.p is not None]
    if not declared:
        return [f"{cells_done(board)}; the board declares no comparison of {_names(regularizers)}."]
    names = _names(list(dict.fromkeys(found.row.regularizer for found in declared)))
    verdicts = f"{_number(known, GAIN)} called a gain, {_number(known, LOSS)} called a loss"
    number = f"{counted(len(declared), 'declared comparison')} of {names}, {len(known)} with an interval"
    return [f"{cells_done(board)}; {number}: {verdicts}.", *(f"{comparison_statement(found)}." for found in known)]


def _board_section(board: Analysis, page: RegularizerPage) -> str:
    """The tables of one board, as far as they are about the regularizers of a page."""
    chosen = [found for found in board.comparisons if _is_about(found, page.regularizers)]
    shown = {key for found in chosen if found.kind == ROW for key in (found.row, found.baseline)}
    rows = [row for row in board.rows if row.key in shown and row.cells]
    if not rows:
        return "No cell has been run yet.\n"
    parts = [
        ("", rank_table(board, rows=rows)),
        ("Gains", comparison_table(board, chosen)),
        ("Gains by task", task_table(board, chosen)),
        ("What the regularizer recorded", _diagnostics(rows, page)),
        ("What it costs", _costs(board, page.regularizers)),
        ("Notes", bullets([*_spread(chosen), *notes_of(board)])),
    ]
    return "\n".join(f"### {title}\n\n{text}" if title else text for title, text in parts if text)


def _is_about(found: Comparison, regularizers: Sequence[str]) -> bool:
    """True for the mean gain of one of the regularizers over another regularizer of the same method."""
    return found.row.regularizer in regularizers and found.row.method == found.baseline.method and not found.task


def _number(known: Iterable[Comparison], word: str) -> str:
    return str(sum(found.verdict == word for found in known) or "none")


def _names(regularizers: Sequence[str]) -> str:
    return listed([escape_markdown(name) for name in regularizers])


def _spread(chosen: Iterable[Comparison]) -> list[str]:
    """Spread over seeds of the paired gains that the page shows; empty without three seeds."""
    rows = [found.estimate for found in chosen if found.kind == ROW and found.estimate and found.estimate.p is not None]
    spreads = [estimate.std for estimate in rows if estimate.std is not None]
    if not spreads:
        return []
    number = counted(len(spreads), "comparison")
    extremes = f"{min(spreads):.2f} to {max(spreads):.2f} %"
    return [
        f"Standard deviation of a paired gain over seeds: {median(spreads):.2f} % (median of {number}; {extremes})."
    ]


def _diagnostics(rows: Sequence[Row], page: RegularizerPage) -> str:
    """Numbers that the regularizer recorded at the end of training, and their meanings; empty without any."""
    lines = []
    for row in rows:
        found = [
            summarize([value for cell in row.cells if (value := cell.result.diagnostics.get(name)) is not None])
            for name in page.diagnostics
        ]
        if any(found):
            values = [format_mean_std(summary, "%") for summary in found]
            lines.append([escape_markdown(row.key.method), escape_markdown(row.key.regularizer_label), *values])
    if not lines:
        return ""
    heads = ["method", "regularizer", *map(escape_markdown, page.diagnostics)]
    meanings = [f"{escape_markdown(name)}: {escape_markdown(text)}." for name, text in page.diagnostics.items()]
    return f"{markdown_table([heads, *lines])}\n{bullets(meanings)}"


def _costs(board: Analysis, regularizers: Sequence[str]) -> str:
    """Parameters and step time that the regularizers add to each method; empty without a row."""
    plain = {row.key.method: row for row in board.rows if row.key.regularizer == NO_REGULARIZER and row.cells}
    lines = []
    for row in board.rows:
        without = plain.get(row.key.method)
        if row.key.regularizer in regularizers and row.cells and without is not None:
            names = escape_markdown(row.key.method), escape_markdown(row.key.regularizer_label)
            lines.append([*names, _added_parameters(row, without), format_scaled(row.cost("step_time_ratio"), 1, 2)])
    if not lines:
        return ""
    return f"{COST_NOTE}\n{markdown_table([['method', 'regularizer', 'parameters (M)', 'step time'], *lines])}"


def _added_parameters(row: Row, without: Row) -> str:
    own, plain = row.cost("parameters_training"), without.cost("parameters_training")
    return format_scaled(own - plain if own is not None and plain is not None else None, 1e6, 2)
