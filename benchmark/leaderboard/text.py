"""Numbers and tables as text. Numbers are rounded here and nowhere before."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from benchmark.leaderboard.columns import Column
from benchmark.records.escaping import escape_markdown
from benchmark.records.store import Stored

if TYPE_CHECKING:
    from benchmark.leaderboard.statistics import Estimate, Summary

ABSENT = "\N{EN DASH}"
DECIMALS = {"%": 2, "deg": 2, "m": 4}
OTHER_DECIMALS = 4


def format_number(value: float, unit: str) -> str:
    """A value with the decimals of its unit."""
    return f"{value:.{DECIMALS.get(unit, OTHER_DECIMALS)}f}"


def format_mean_std(summary: Summary | None, unit: str) -> str:
    """Mean ± sample standard deviation over seeds."""
    if summary is None:
        return ABSENT
    spread = f" ± {format_number(summary.std, unit)}" if summary.std is not None else ""
    return format_number(summary.mean, unit) + spread


def format_scaled(value: float | None, unit: float, decimals: int) -> str:
    """A cost in another unit, such as 1e6 parameters."""
    return ABSENT if value is None else f"{value / unit:.{decimals}f}"


def format_gain(estimate: Estimate | None) -> str:
    """A gain with its interval: "+0.25 [-0.48, +0.98]"; with fewer than three values "+0.25 (n = 2)"."""
    if estimate is None:
        return ABSENT
    if estimate.low is None or estimate.high is None:
        return f"{signed(estimate.mean)} (n = {estimate.n})"
    return f"{signed(estimate.mean)} [{signed(estimate.low)}, {signed(estimate.high)}]"


def format_p(p: float | None) -> str:
    """A p value with three decimals, or "< 0.001"."""
    if p is None:
        return ABSENT
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def format_seeds(seeds: Sequence[int]) -> str:
    """Number of common seeds of methods: "5", or "3-5" if methods differ."""
    low, high = min(seeds, default=0), max(seeds, default=0)
    return str(low) if low == high else f"{low}-{high}"


def signed(value: float) -> str:
    """A number with its sign and two decimals; 0.00 has no sign."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text


def heading(column: Column) -> str:
    """Metric of a task with its direction and unit: "depth rmse@pixel ↓ (m)"."""
    unit = f" ({column.unit})" if column.unit and column.unit != "1" else ""
    return f"{column.task} {column.name} {'↑' if column.higher_is_better else '↓'}{unit}"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it can be read as text too; the first line is its head."""
    # The last column may hold a link per seed; padding it would double the file.
    widths = [max(3, *(len(line[index]) for line in lines)) for index in range(len(lines[0]) - 1)] + [3]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in padded)


def bullets(sentences: Iterable[str]) -> str:
    """Sentences as a Markdown list."""
    return "".join(f"* {sentence}\n" for sentence in sentences)


def result_link(text: str, cell: Stored, folder: Path) -> str:
    """A Markdown link to a result file from a text in `folder`."""
    return f"[{escape_markdown(text)}]({quote(relative_path(folder, cell.path), safe='/+')})"


def relative_path(start: Path, target: Path) -> str:
    """The relative path, with forward slashes, from a folder to a file."""
    return f"{_relative_folder(start, target.parent)}/{target.name}"


@cache
def _relative_folder(start: Path, target: Path) -> str:
    # The files of a recipe share one folder, and this is the slow part of a link.
    return Path(os.path.relpath(target, start)).as_posix()
