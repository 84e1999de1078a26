"""The leaderboard as files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmark.leaderboard.csv_table import csv_text
from benchmark.leaderboard.markdown import leaderboard
from benchmark.leaderboard.reported import read_reported
from benchmark.leaderboard.rows import Table, tables
from benchmark.records.atomic import write_text
from benchmark.records.store import ResultStore, Stored, Unreadable


@dataclass(frozen=True)
class Written:
    """What was written, and from what.

    Args:
        markdown: path of LEADERBOARD.md.
        csv: path of leaderboard.csv.
        tables: what stands in both.
        num_results: results that were read.
        left_out: files that are no readable results.
    """

    markdown: Path
    csv: Path
    tables: tuple[Table, ...]
    num_results: int
    left_out: tuple[Unreadable, ...]


def write_leaderboard(results: Path, out: Path, reported: Path) -> Written:
    """Write LEADERBOARD.md and leaderboard.csv.

    Args:
        results: folder with `runs/`.
        out: folder for the two files.
        reported: file of published numbers; it may be absent.

    Raises:
        RecordError: if the published numbers cannot be read.
        OSError: if the files cannot be written.
    """
    found = list(ResultStore(results).results())
    stored = [entry for entry in found if isinstance(entry, Stored)]
    made = tables(stored)
    markdown, csv = out / "LEADERBOARD.md", out / "leaderboard.csv"
    write_text(markdown, leaderboard(made, read_reported(reported), out))
    write_text(csv, csv_text(made, out))
    left_out = tuple(entry for entry in found if isinstance(entry, Unreadable))
    return Written(markdown, csv, tuple(made), len(stored), left_out)
