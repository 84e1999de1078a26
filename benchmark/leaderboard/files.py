"""The leaderboard as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.leaderboard.analysis import Analysis, analyse
from benchmark.leaderboard.columns import Column, chosen_columns
from benchmark.leaderboard.flat_records import (
    COMPARISON_FIELDS,
    ROW_FIELDS,
    comparison_records,
    csv_text,
    row_records,
    write_parquet,
)
from benchmark.leaderboard.markdown import leaderboard
from benchmark.leaderboard.plan import plans_of
from benchmark.leaderboard.regularizer_page import PageContents
from benchmark.leaderboard.reported import ReportedTable, read_reported
from benchmark.leaderboard.tables import tables
from benchmark.records.atomic import write_text
from benchmark.records.boards import board_names, read_board
from benchmark.records.regularizer_pages import read_pages
from benchmark.records.store import ResultStore, Stored, Unreadable

MARKDOWN, ROWS, COMPARISONS, PAGE = "LEADERBOARD.md", "leaderboard.csv", "comparisons.csv", "board.html"


@dataclass(frozen=True)
class Contents:
    """Everything that the leaderboard is made from.

    Args:
        analyses: tables with their statistics, boards first.
        reported: published tables.
        num_results: results that were read.
        left_out: files that are no readable results.
        pages: pages about regularizers.
    """

    analyses: tuple[Analysis, ...]
    reported: tuple[ReportedTable, ...]
    num_results: int
    left_out: tuple[Unreadable, ...]
    pages: tuple[PageContents, ...] = ()


@dataclass(frozen=True)
class Written:
    """The files that were written, and the contents that they were made from."""

    markdown: Path
    csv: Path
    contents: Contents


def read_contents(results: Path, reported: Path, ranking: Mapping[str, str] | None = None) -> Contents:
    """Read results, boards and published numbers, and compute the statistics.

    Args:
        results: folder with `runs/` and, if there are boards, `boards/`.
        reported: file of published numbers; it may be absent.
        ranking: metric by task that ranks it, in place of the board's and of the default.

    Raises:
        RecordError: if a board, a page or the published numbers cannot be read.
    """
    found = list(ResultStore(results).results())
    stored = [entry for entry in found if isinstance(entry, Stored)]
    left_out = tuple(entry for entry in found if isinstance(entry, Unreadable))
    analyses = tuple(analyses_of(stored, results, ranking))
    pages = tuple(PageContents(page, page.appendix_text(results)) for page in read_pages(results))
    return Contents(analyses, tuple(read_reported(reported)), len(stored), left_out, pages)


def analyses_of(stored: Sequence[Stored], results: Path, ranking: Mapping[str, str] | None = None) -> list[Analysis]:
    """Tables of results with their statistics, boards first.

    Args:
        stored: the results.
        results: folder with the boards, below `boards/`.
        ranking: see `read_contents`.

    Raises:
        RecordError: if a board cannot be read.
    """
    plans = [plan for name in board_names(results) for plan in plans_of(read_board(results, name))]
    return analyse(tables(stored, plans, ranking))


def columns_of(contents: Contents, text: str) -> tuple[Column, ...]:
    """The metrics that `--columns` names; empty for an empty text.

    Raises:
        ValueError: for a metric that no result has.
    """
    results = (result for analysis in contents.analyses for result in analysis.table.results)
    return chosen_columns(text, results) if text else ()


def texts_of(contents: Contents, out: Path, columns: Sequence[Column] = ()) -> dict[str, str]:
    """The text of each file by its name.

    Args:
        contents: results, boards and published numbers, see `read_contents`.
        out: folder of the files; links are relative to it.
        columns: metrics to show in place of the ranking metrics.
    """
    return {
        MARKDOWN: leaderboard(contents.analyses, contents.reported, out, columns),
        ROWS: csv_text(row_records(contents.analyses, out), ROW_FIELDS),
        COMPARISONS: csv_text(comparison_records(contents.analyses), COMPARISON_FIELDS),
    } | {f"{entry.page.name}.md": entry.text(contents.analyses) for entry in contents.pages}


def write_page(contents: Contents, out: Path) -> Path:
    """Write board.html.

    Args:
        contents: results, boards and published numbers, see `read_contents`.
        out: folder of the file; links are relative to it.

    Raises:
        ImportError: if plotly is not installed; the message says how to install it.
        OSError: if the file cannot be written.
    """
    from benchmark.leaderboard.page.board_page import page_text

    write_text(out / PAGE, page_text(contents.analyses, contents.reported, contents.left_out, out))
    return out / PAGE


def write_leaderboard(results: Path, out: Path, reported: Path, columns: str = "") -> Written:
    """Write LEADERBOARD.md, leaderboard.csv and comparisons.csv.

    Args:
        results: folder with `runs/`.
        out: folder for the files.
        reported: file of published numbers; it may be absent.
        columns: metrics to show in place of the ranking metrics, such as "depth/delta1,semseg/pixAcc".

    Raises:
        RecordError: if a board, a page or the published numbers cannot be read.
        ValueError: for a metric that no result has.
        OSError: if the files cannot be written.
    """
    contents = read_contents(results, reported)
    for name, text in texts_of(contents, out, columns_of(contents, columns)).items():
        write_text(out / name, text)
    return Written(out / MARKDOWN, out / ROWS, contents)


def write_parquet_files(contents: Contents, out: Path) -> list[Path]:
    """Write leaderboard.parquet and comparisons.parquet, and return their paths.

    Raises:
        ImportError: if pyarrow is not installed; the message says how to install it.
    """
    paths = [(out / name).with_suffix(".parquet") for name in (ROWS, COMPARISONS)]
    write_parquet(paths[0], row_records(contents.analyses, out), ROW_FIELDS)
    write_parquet(paths[1], comparison_records(contents.analyses), COMPARISON_FIELDS)
    return paths


def outdated_files(contents: Contents, out: Path, columns: Sequence[Column] = ()) -> list[Path]:
    """The files whose text is not the one that would be written now, with the chosen metrics."""
    return [out / name for name, text in texts_of(contents, out, columns).items() if read_text(out / name) != text]


def read_text(path: Path) -> str | None:
    """The text of a file with its line ends as they are; None if there is no file."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
