"""The short table of README.md, between two marks."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import rank_table
from benchmark.leaderboard.notes import board_title
from benchmark.leaderboard.summary import board_summary
from benchmark.leaderboard.text import bullets

BEGIN, END = "<!-- leaderboard: begin, made by tools/make_leaderboard.py --readme -->", "<!-- leaderboard: end -->"


def with_readme_block(text: str, analyses: Sequence[Analysis]) -> str:
    """The text of README.md with its block made anew.

    Args:
        text: as it is.
        analyses: all tables; the block shows the first board that has a result.

    Raises:
        ValueError: if the text does not hold the two marks once, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"no block to rewrite: expected one line {BEGIN!r} and, after it, one line {END!r}")
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n{_block(analyses)}{END}{rest.partition(END)[2]}"


def _block(analyses: Sequence[Analysis]) -> str:
    boards = [analysis for analysis in analyses if analysis.table.plan and analysis.table.results]
    if not boards:
        return "No cell of a board has been run yet.\n"
    board = boards[0]
    sentences = list(board_summary(board))
    started = [row for row in board.rows if row.cells]
    if len(started) < len(board.rows):
        sentences.append(f"The table leaves out {len(board.rows) - len(started)} rows that have no result yet.")
    return f"**{board_title(board)}**\n\n{bullets(sentences)}\n{rank_table(board, rows=started)}"
