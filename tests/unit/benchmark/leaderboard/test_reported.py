"""The published numbers: as published, apart from ours, and checked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.markdown import leaderboard
from benchmark.leaderboard.reported import ReportedRow, ReportedTable, read_reported, reported_lines
from benchmark.leaderboard.tables import tables
from benchmark.records.validation import RecordError

REPORTED = Path(__file__).resolve().parents[4] / "results" / "reported.json"


def test_the_file_holds_the_published_table(shared):
    """Every number of the table in specs/published.md, in its order, as printed; backbones only where a source says."""
    text = (shared / "specs" / "published.md").read_text()
    published = re.findall(r"^\| ([A-Z][^|]*) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    assert len(published) == 9
    table = read_reported(REPORTED)[0]
    shown = [
        (
            row.title,
            f"{row.metrics['semseg']['mIoU']['value']:.2f}",
            f"{row.metrics['depth']['RMSE']['value']:.4f}",
            f"{row.metrics['normals']['mErr']['value']:.2f}",
            f"{row.metrics['boundary']['odsF']['value']:.2f}",
        )
        for row in table.rows
    ]
    assert shown == [tuple(part.strip() for part in row) for row in published]


def test_published_rows_are_never_ranked_with_ours(cell):
    ours = analyse(tables([cell("invpt", values={"mIoU": 1.0})]))
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
        ('{"schema_version": 1}', "schema_version: found 1, expected 2"),
        ('{"schema_version": 2}', "tables: missing"),
        ('{"schema_version": 2, "tables": {}}', "tables: found {}, expected a list"),
        ('{"schema_version": 2, "tables": [{}]}', "tables.0.title: missing"),
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
    with pytest.raises(RecordError, match=r"tables.0.rows.3.metrics.depth.RMSE.value: found '0.6'"):
        read_reported(path)


def test_the_table_of_prism_is_the_one_that_was_read(shared):
    """Every row of the ViT-B table in specs/field.md."""
    text = (shared / "specs" / "field.md").read_text().partition("**PRISM's README")[2]
    read = re.findall(r"^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", text, re.MULTILINE)[:13]
    table = read_reported(REPORTED)[1]
    assert [(row.title, *numbers(row)) for row in table.rows] == [(name, *map(float, rest)) for name, *rest in read]


def test_the_rows_of_the_cross_view_module_are_those_that_were_noted(shared):
    """Every row of the NYUv2 table of CvM in specs/field.md, in its order."""
    text = (shared / "specs" / "field.md").read_text().partition("### What CvM says")[2]
    noted = re.findall(r"^\| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| [^|]+ \|$", text, re.MULTILINE)
    assert [numbers(row) for row in read_reported(REPORTED)[2].rows] == [tuple(map(float, row)) for row in noted[:5]]


def numbers(row):
    """The four numbers of a row."""
    return tuple(entry["value"] for entries in row.metrics.values() for entry in entries.values())


@pytest.mark.parametrize("evidence", ["from memory", "inferred"])
def test_a_number_that_nobody_read_in_its_source_is_refused(tmp_path, evidence):
    content = json.loads(REPORTED.read_text())
    content["tables"][1]["rows"][2]["evidence"] = evidence
    path = tmp_path / "reported.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=rf"tables.1.rows.2.evidence: found '{evidence}', expected read"):
        read_reported(path)


@pytest.mark.parametrize(
    "link", ["http://a.org", "https://a.org/(x)", "https://a.org/x y", "https://a.org/\u202e", "https://a.org/<b>"]
)
def test_a_link_that_is_no_plain_https_address_is_refused(tmp_path, link):
    content = json.loads(REPORTED.read_text())
    content["tables"][0]["link"] = link
    path = tmp_path / "reported.json"
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"tables\.0\.link"):
        read_reported(path)


def test_a_folder_is_no_file_of_published_numbers(tmp_path):
    with pytest.raises(RecordError, match="not readable"):
        read_reported(tmp_path)


def test_a_published_zero_is_a_number_and_a_missing_value_is_a_dash():
    """The first row has both metrics, the second a missing one, the third one alone."""
    kinds = {"mIoU": ("semseg", "%", True), "RMSE": ("depth", "m", False)}
    values = [{"mIoU": 0.0, "RMSE": 0.5}, {"mIoU": 40.0, "RMSE": None}, {"RMSE": 0.625}]
    rows = tuple(
        ReportedRow(
            f"row {number}",
            "m",
            "none",
            "ViT",
            "read",
            "table 1",
            {
                kinds[name][0]: {name: {"value": value, "unit": kinds[name][1], "higher_is_better": kinds[name][2]}}
                for name, value in found.items()
            },
        )
        for number, found in enumerate(values)
    )
    dash = "\N{EN DASH}"
    assert reported_lines(ReportedTable("t", "s", "", "n", rows)) == [
        ["method", "backbone", "source", "semseg mIoU ↑ (%)", "depth RMSE ↓ (m)"],
        ["row 0", "ViT", "table 1", "0.00", "0.5000"],
        ["row 1", "ViT", "table 1", "40.00", dash],
        ["row 2", "ViT", "table 1", dash, "0.6250"],
    ]
