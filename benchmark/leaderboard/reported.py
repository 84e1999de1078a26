"""Published numbers, shown as published and never ranked with ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.records.result import RecordError, check_metrics
from benchmark.records.strict_json import expect_mapping, expect_name, member, parse_json, read_from, refuse

SCHEMA_VERSION = 2
READ = "read"
"""The one evidence that is shown: somebody read the numbers in the source that the row names."""


@dataclass(frozen=True)
class ReportedRow:
    """One published row.

    Args:
        title: method with citation, as published.
        method: our name of the method.
        regularizer: our name of the regularizer.
        backbone: what produced the numbers, if the source states it.
        evidence: "read": numbers from memory or from inference are refused.
        read_in: where the numbers were read.
        metrics: `{task: {name: {"value", "unit", "higher_is_better"}}}`, as published.
    """

    title: str
    method: str
    regularizer: str
    backbone: str
    evidence: str
    read_in: str
    metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class ReportedTable:
    """One published table.

    Args:
        title: what was measured on.
        source: where it was published.
        link: of the publication; may be empty.
        note: what a reader must know before comparing.
        rows: in the published order.
    """

    title: str
    source: str
    link: str
    note: str
    rows: tuple[ReportedRow, ...]


def read_reported(path: Path) -> list[ReportedTable]:
    """Read the published tables of a file; an empty list if there is no file.

    Raises:
        RecordError: naming file, key, what was found and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: not readable: {error}") from None
    with read_from(str(path)):
        data = parse_json(text)
        expect_mapping(data, "the file")
        if member(data, "schema_version", "schema_version") != SCHEMA_VERSION:
            refuse("schema_version", data["schema_version"], f"{SCHEMA_VERSION}, the one that this checkout reads")
        return [_table(table, f"tables[{index}]") for index, table in enumerate(_list(data, "tables", "tables"))]


def _table(data: Any, path: str) -> ReportedTable:
    texts = _texts(data, ("title", "source", "note"), path)
    link = member(data, "link", f"{path}.link")
    if not isinstance(link, str) or not (link == "" or link.startswith("https://")):
        refuse(f"{path}.link", link, 'an https address or ""')
    rows = _list(data, "rows", f"{path}.rows")
    return ReportedTable(
        **texts, link=link, rows=tuple(_row(row, f"{path}.rows[{index}]") for index, row in enumerate(rows))
    )


def _row(data: Any, path: str) -> ReportedRow:
    texts = _texts(data, ("title", "method", "regularizer", "backbone", "evidence", "read_in"), path)
    if texts["evidence"] != READ:
        refuse(f"{path}.evidence", texts["evidence"], f"{READ!r}, since other numbers are not shown")
    metrics = member(data, "metrics", f"{path}.metrics")
    with read_from(path):
        check_metrics(metrics, may_be_missing=True)
    return ReportedRow(**texts, metrics=metrics)


def _texts(data: Any, keys: tuple[str, ...], path: str) -> dict[str, str]:
    expect_mapping(data, path)
    texts = {key: member(data, key, f"{path}.{key}") for key in keys}
    for key, text in texts.items():
        expect_name(text, f"{path}.{key}")
    return texts


def _list(data: Mapping[str, Any], key: str, path: str) -> list[Any]:
    found = member(data, key, path)
    if not isinstance(found, list):
        refuse(path, found, "a list")
    return found
