"""Text of Markdown tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.leaderboard.gains import Gain

ABSENT = "\N{EN DASH}"


def plain(text: str) -> str:
    """Text in which Markdown finds nothing to format."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def with_options(name: str, options: Mapping[str, Any]) -> str:
    """The name of a regularizer with its settings: "three_d_aware (depth=feature, weight=0.1)"."""
    shown = [
        f"{key.partition('.')[2] or key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in options.items()
    ]
    return f"{name} ({', '.join(shown)})" if shown else name


def gain_text(gain: Gain) -> str:
    """A paired gain with its interval, or why there is none: "+0.25 [-0.48, +0.98]"."""
    if gain.summary is None:
        return f"n/a ({gain.note})" if gain.note else ABSENT
    mean, half = gain.summary.mean, gain.summary.ci95
    interval = f" [{signed(mean - half)}, {signed(mean + half)}]" if half is not None else ""
    return f"{signed(mean)}{interval}" + (f" ({gain.note})" if gain.note else "")


def signed(value: float) -> str:
    """A number with its sign and two decimals; 0.00 has none."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text


def lay_out(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it can be read as text too; the first line is its head."""
    # The last column may hold a link per seed; padding it would double the file.
    widths = [max(3, *(len(line[index]) for line in lines)) for index in range(len(lines[0]) - 1)] + [3]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in padded)
