"""Sentences that captions share."""

from __future__ import annotations

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.figures.description import MAX_ROWS, STYLES
from benchmark.leaderboard.markup import PLAIN, one_line
from benchmark.leaderboard.summary import describe
from benchmark.leaderboard.text import format_seeds


def protocol(analysis: Analysis) -> str:
    """Protocol, version and n of a table."""
    seeds = [len(row.cells) for row in analysis.rows if row.cells]
    count = f"n = {format_seeds(seeds)} seeds a row" if seeds else "no result yet"
    return f"{describe(analysis.table.setting, PLAIN)}; {count}."


def legend(*styles: str) -> str:
    """Meaning of the marks, one sentence each."""
    signs = {"gain": "Filled upward triangle", "loss": "Filled downward triangle", "open": "Open circle"}
    signs |= {"few": "Cross", "seed": "Small dot", "mean": "Bar", "published": "Square"}
    return " ".join(f"{signs[style]}: {STYLES[style]}." for style in styles)


def shown_of(total: int) -> str:
    """Number of drawn rows, if some are left out; else empty."""
    return f"The first {MAX_ROWS} of {total} rows are drawn." if total > MAX_ROWS else ""


def joined(*sentences: str) -> str:
    """Sentences as one line; empty ones are left out."""
    return one_line(" ".join(sentence for sentence in sentences if sentence))
