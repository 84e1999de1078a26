"""board.html as a file: its data, what it says without results, its safety, and what it does with odd details."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from made_up_results import board_of, make_cell, make_plan
from page_tools import NAME, block, made_up_board, values_of

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.flat_records import row_records
from benchmark.leaderboard.page import embedding
from benchmark.leaderboard.page.board_page import page_text
from benchmark.leaderboard.page.curves import ALL_VALUES, MIN_POINTS, budget, curves_of
from benchmark.leaderboard.tables import tables
from benchmark.records.store import Stored, Unreadable

OUT = Path("results")


@pytest.fixture(scope="module")
def board():
    return made_up_board()


@pytest.fixture(scope="module")
def page(board) -> str:
    return page_text([board], [], [], OUT)


def test_the_rows_of_the_page_are_the_records_of_the_csv(board, page: str) -> None:
    table = block(page, "table-data")
    with_results = [index for index, n in enumerate(values_of(table, "n")) if n]
    records = row_records([board], OUT)
    assert len(with_results) == len(records)
    for field in ("method", "gain_mean", "gain_p_adjusted", "semseg/mIoU [%] mean", "depth/rmse@pixel [m] std"):
        values = values_of(table, field)
        assert [values[index] for index in with_results] == [record.get(field) for record in records], field


def test_a_planned_row_without_a_result_is_a_row_of_the_page(page: str) -> None:
    table = block(page, "table-data")
    assert table["label"][-1] == "pad_net+three_d_aware"
    assert table["rank"][-1] == "0 of 5 seeds (1 failed)"


def test_details_have_every_seed_command_and_comparison(board, page: str) -> None:
    details = block(page, "details-data")
    index = next(index for index, row in enumerate(board.rows) if row.key.label == "mti_net+three_d_aware")
    own = details["rows"][index]
    cells = board.rows[index].cells
    assert [cell["seed"] for cell in own["cells"]] == [0, 1, 2, 3, 4]
    assert own["cells"][0]["path"] == f"runs/smoke/{cells[0].path.name}"
    assert details["texts"][own["cells"][0]["command"]].startswith("python tools/train.py --spec")
    values = {key: numbers for key, *numbers in own["values"]}
    expected = [cell.result.metrics["semseg"]["pixAcc"]["value"] for cell in cells]
    assert values["semseg/pixAcc"] == pytest.approx(expected, rel=1e-5)
    baselines = {details["texts"][entry[0]] for entry in own["comparisons"]}
    assert {"single_task", "mti_net"} <= baselines


def test_a_figure_has_no_more_columns_than_panels(page: str) -> None:
    figures = [figure for found in block(page, "figures-data").values() for figure in found]
    assert figures
    assert all(1 <= figure["columns"] <= len(figure["panels"]) for figure in figures)


def test_a_diagnostic_that_a_seed_lacks_is_a_gap_in_its_place() -> None:
    found = [{"seconds": 3.0}, {"seconds": 4.0, "ray_entropy": 2.5}, {}]
    cells = [make_cell("m", "aux", seed, diagnostics=values) for seed, values in enumerate(found)]
    (row,) = block(page_text(analyse(tables(cells, [])), [], [], OUT), "details-data")["rows"]
    assert row["diagnostics"] == [["seconds", 3.0, 4.0, None], ["ray_entropy", None, 2.5, None]]


def test_cells_that_failed_and_that_diverged_are_listed_with_their_errors() -> None:
    ends = [("failed", "no memory"), ("diverged", "the loss is <NaN>")]
    cells = [
        make_cell("m", "none", seed, version=2, status=status, error=error) for seed, (status, error) in enumerate(ends)
    ]
    text = page_text([board_of(make_plan([("m", "none")], range(2)), cells)], [], [], OUT)
    assert f'href="runs/smoke/{quote(cells[0].path.name)}"' in text
    listed = re.findall(r"<li>(\w+): <a [^>]*>([^<]*)</a>: <code>([^<]*)</code>", text[text.index('id="failures"') :])
    assert [(status, error) for status, _, error in listed] == [
        ("failed", "no memory"),
        ("diverged", "the loss is &lt;NaN&gt;"),
    ]


def test_a_page_of_no_result_says_so() -> None:
    empty = page_text([], [], [], OUT)
    assert "No cell has been run yet." in empty
    planned = page_text([board_of(make_plan([("single_task", "none")]), [])], [], [], OUT)
    assert "0 of 5 cells are done; no row can be ranked yet." in planned
    assert block(planned, "table-data")["rank"] == ["0 of 5 seeds"]
    assert [figure["key"] for figure in block(planned, "figures-data")["board"]] == ["coverage"]


def test_the_page_loads_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    sources = re.findall(r'<(?:script|link|img|iframe|source)[^>]*(?:src|href)="([^"]*)"', page)
    assert sources == ["data:,"]


def test_equal_results_make_equal_pages(board, page: str) -> None:
    assert page_text([board], [], [], OUT) == page


def test_names_are_escaped_wherever_they_stand() -> None:
    """The packed blocks cannot hold a tag; the rest of the page is HTML that the template escapes."""
    analysis = made_up_board(("single_task", NAME), 3)
    text = page_text([analysis], [], [Unreadable(Path("x"), f"{NAME}: not readable")], OUT)
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "\u202e" not in text
    assert r"ran out of &lt;b&gt;memory&lt;/b&gt; \u202e| =1+1" in text
    assert NAME in values_of(block(text, "table-data"), "method")


def test_tables_of_equal_names_have_labels_of_their_own() -> None:
    data = [{"id": name, "fingerprint": name} for name in ("a", "b")]
    analyses = analyse(tables([make_cell("m", values={"mIoU": 1.0}, data=found) for found in data]))
    labels = [table["label"] for table in block(page_text(analyses, [], [], OUT), "table-data")["tables"]]
    assert len(set(labels)) == 2


def test_a_missing_plotly_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="python -m pip install 'plotly"):
        embedding.plotly_script()


def details_file(tmp_path: Path, content: bytes) -> Stored:
    stored = make_cell("m", values={"mIoU": 1.0})
    path = tmp_path / f"{stored.result.run_id}.json"
    path.with_suffix(".details.jsonl.gz").write_bytes(content)
    return Stored(stored.result, path)


def test_curves_are_means_over_equal_parts_of_the_steps(tmp_path: Path) -> None:
    """Six steps in two points: losses 1 2 3 and 4 5 6 have the means 2 and 5."""
    lines = [json.dumps({"step": step, "loss": float(step), "lr": 1.0}, separators=(",", ":")) for step in range(1, 7)]
    lines.append('{"image":0,"semseg/mIoU":1.0}')
    cell = details_file(tmp_path, gzip.compress("\n".join(lines).encode()))
    assert curves_of(cell, 2) == {"step": [3, 6], "loss": [2.0, 5.0]}


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b'{"step":1,"loss":2}')[:-4], gzip.compress(b'{"step": oops'), gzip.compress(b"")],
    ids=["no gzip", "cut off", "no JSON", "empty"],
)
def test_details_that_cannot_be_read_are_no_curves(tmp_path: Path, content: bytes) -> None:
    assert curves_of(details_file(tmp_path, content), 10) is None


def test_a_loss_that_is_no_number_is_a_gap(tmp_path: Path) -> None:
    cell = details_file(tmp_path, gzip.compress(b'{"step":1,"loss":"<b>"}\n{"step":2,"loss":NaN}\n{"step":3,"loss":1}'))
    assert curves_of(cell, 3) == {"step": [1, 2, 3], "loss": [None, None, 1.0]}


@pytest.mark.parametrize("results", [1, 135, 1000, 10_000, 30_000])
def test_all_curves_of_a_page_have_room(results: int) -> None:
    points, names = budget(results)
    curves = 11 if not names else 2
    assert results * points * curves <= max(1.1 * ALL_VALUES, results * MIN_POINTS * 2)
