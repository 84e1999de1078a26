"""The published numbers: as published, apart from ours, and checked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmark.leaderboard.markdown import leaderboard
from benchmark.leaderboard.reported import read_reported
from benchmark.leaderboard.rows import tables
from benchmark.records.result import RecordError

REPORTED = Path(__file__).resolve().parents[4] / "results" / "reported.json"


def test_the_file_holds_the_published_table(shared):
    """Every number of the table in specs/published.md, in its order, as printed."""
    text = (shared / "specs" / "published.md").read_text()
    published = re.findall(
        r"^\| ([A-Z][^|]*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([^|(]+)", text, re.MULTILINE
    )
    assert len(published) == 9
    (table,) = read_reported(REPORTED)
    shown = [
        (
            row.title,
            f"{row.metrics['semseg']['mIoU']['value']:.2f}",
            f"{row.metrics['depth']['RMSE']['value']:.4f}",
            f"{row.metrics['normals']['mErr']['value']:.2f}",
            f"{row.metrics['boundary']['odsF']['value']:.2f}",
            row.backbone,
        )
        for row in table.rows
    ]
    assert shown == [tuple(part.strip() for part in row) for row in published]


def test_published_rows_are_never_ranked_with_ours(cell):
    ours = tables([cell("invpt", values={"mIoU": 1.0})])
    text = leaderboard(ours, read_reported(REPORTED), Path("results"))
    above, below = text.split("## Published numbers, as published")
    assert "54.87" not in above
    assert "| InvPT + 3D-aware regularizer " in below
    assert "54.87" in below
    assert "**54.87" not in below, "the best of rows that are not comparable must not be marked"


def test_no_file_is_no_table(tmp_path):
    assert read_reported(tmp_path / "none.json") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not readable as JSON"),
        ('{"schema_version": 2}', "schema_version: found 2, expected 1"),
        ('{"schema_version": 1}', "tables: missing"),
        ('{"schema_version": 1, "tables": {}}', "tables: found {}, expected a list"),
        ('{"schema_version": 1, "tables": [{}]}', "tables[0].title: missing"),
    ],
)
def test_a_wrong_file_is_answered_by_one_line(tmp_path, content, message):
    path = tmp_path / "reported.json"
    path.write_text(content)
    with pytest.raises(RecordError) as caught:
        read_reported(path)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_a_wrong_number_is_found(tmp_path):
    content = json.loads(REPORTED.read_text())
    content["tables"][0]["rows"][3]["metrics"]["depth"]["RMSE"]["value"] = "0.6"
    path = tmp_path / "reported.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"tables\[0\].rows\[3\]: metrics.depth.RMSE.value: found '0.6'"):
        read_reported(path)
