"""Text of Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence

ABSENT = "\N{EN DASH}"


def plain(text: str) -> str:
    """Text in which Markdown finds nothing to format."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def lay_out(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, padded so that it can be read as text too; the first line is its head."""
    # The last column may hold a link per seed; padding it would double the file.
    widths = [max(3, *(len(line[index]) for line in lines)) for index in range(len(lines[0]) - 1)] + [3]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines]
    padded.insert(1, ["-" * width for width in widths])
    return "".join(f"| {' | '.join(cells)} |\n" for cells in padded)
