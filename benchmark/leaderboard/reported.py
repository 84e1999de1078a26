"""Published numbers, shown as published and never ranked with ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.markup import MARKDOWN, Markup
from benchmark.leaderboard.text import ABSENT, format_number, heading
from benchmark.records.result_schema import PublishedMetric
from benchmark.records.validation import CONFIG, Name, RecordError, Text, one_of, parse_json, read_from, validated

SCHEMA_VERSION = 2
READ = "read"
"""The one evidence that is shown: the numbers were read in the source that the row names."""


def _address(text: str) -> str:
    if text and not (text.startswith("https://") and text.isprintable() and not set(text) & set(" ()<>")):
        raise ValueError('an https address or ""')
    return text


@dataclass(frozen=True, config=CONFIG)
class ReportedRow:
    """One published row.

    Args:
        title: method with citation, as published.
        method: our name of the method.
        regularizer: our name of the regularizer.
        backbone: backbone as published; the text may say that the source does not state it.
        evidence: "read": numbers from memory or from inference are refused.
        read_in: where the numbers were read.
        metrics: `{task: {name: {"value", "unit", "higher_is_better"}}}`, as published.
    """

    title: Name
    method: Name
    regularizer: Name
    backbone: Name
    evidence: Annotated[str, AfterValidator(one_of(READ))]
    read_in: Name
    metrics: Mapping[Name, Mapping[Name, PublishedMetric]]


@dataclass(frozen=True, config=CONFIG)
class ReportedTable:
    """One published table.

    Args:
        title: data and setting of the table.
        source: the publication.
        link: https address of the publication; may be empty.
        note: warnings for readers who compare the numbers.
        rows: in the published order.
    """

    title: Name
    source: Name
    link: Annotated[Text, AfterValidator(_address)]
    note: Name
    rows: tuple[ReportedRow, ...]


@dataclass(frozen=True, config=CONFIG)
class _File:
    """Content of the file."""

    schema_version: Annotated[int, AfterValidator(one_of(SCHEMA_VERSION))]
    tables: list[ReportedTable]


def reported_lines(table: ReportedTable, markup: Markup = MARKDOWN) -> list[list[str]]:
    """A published table as texts; the first line is its head."""
    kinds = {
        (task, name): Column(task, name, entry["unit"], entry["higher_is_better"])
        for row in table.rows
        for task, entries in row.metrics.items()
        for name, entry in entries.items()
    }
    lines = [["method", "backbone", "source", *(markup.text(heading(column)) for column in kinds.values())]]
    for row in table.rows:
        values = [_published(row.metrics, column) for column in kinds.values()]
        lines.append([*map(markup.text, (row.title, row.backbone, row.read_in)), *values])
    return lines


def _published(metrics: Mapping[str, Mapping[str, PublishedMetric]], column: Column) -> str:
    entry = metrics.get(column.task, {}).get(column.name)
    return format_number(entry["value"], column.unit) if entry and entry["value"] is not None else ABSENT


def read_reported(path: Path) -> list[ReportedTable]:
    """Read the published tables of a file; an empty list if there is no file.

    Raises:
        RecordError: naming file, key, the value found and the value expected.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RecordError(f"{path}: not readable: {error}") from None
    with read_from(str(path)):
        return validated(_File, parse_json(text)).tables
