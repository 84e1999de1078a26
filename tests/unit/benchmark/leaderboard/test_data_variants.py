"""Results on different data under one recipe are never averaged, ranked or compared, in any output."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmark.leaderboard.csv_table import csv_text
from benchmark.leaderboard.files import write_leaderboard
from benchmark.leaderboard.frame import results_frame
from benchmark.leaderboard.markdown import brief_table, full_table
from benchmark.leaderboard.rows import Table, tables
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore

OURS = {"id": "nyuv2-40c-425x560-26136dbf", "fingerprint": "26136dbf" + 56 * "0"}
MTAN = {"id": "nyuv2-13c-288x384-0a0b0c0d", "fingerprint": "0a0b0c0d" + 56 * "0"}
CHANGED = {"id": OURS["id"], "fingerprint": "26136dbf" + 56 * "1"}
OUT = Path("results")


def grid(cell: Any, data: dict[str, str], shift: float = 0.0, methods: Sequence[str] = ("single_task", "mtan")) -> list:
    """Two methods, with and without a regularizer, over two seeds."""
    return [
        cell(
            method,
            regularizer,
            seed,
            data=data,
            values={
                "mIoU": 30.0 + 3 * place + bonus + seed + shift,
                "rmse@pixel": 0.8 - 0.1 * place,
                "mean@pixel": 30.0,
            },
        )
        for place, method in enumerate(methods)
        for regularizer, bonus in (("none", 0.0), ("aux_heads", 1.0))
        for seed in (0, 1)
    ]


def on(data: dict[str, str], made: Sequence[Table]) -> Table:
    """The table of one data set."""
    (found,) = [table for table in made if (table.setting.data, table.setting.fingerprint) == tuple(data.values())]
    return found


@pytest.mark.parametrize("other", [MTAN, CHANGED], ids=["another id", "another fingerprint under the same id"])
@pytest.mark.parametrize("shift", [-20.0, 40.0])
def test_results_on_other_data_change_nothing(cell, other, shift):
    """Averages, ranks, gains, bold print and CSV lines of one data set do not depend on what others hold."""
    alone = tables(grid(cell, OURS))
    both = tables([*grid(cell, OURS), *grid(cell, other, shift)])
    assert len(both) == 2
    assert on(OURS, both) == alone[0]
    assert full_table(on(OURS, both), OUT) == full_table(alone[0], OUT)
    assert brief_table(on(OURS, both)) == brief_table(alone[0])
    lines = csv_text(both, OUT).splitlines()
    assert set(csv_text(alone, OUT).splitlines()) < set(lines)
    assert len(lines) == 1 + 8


def test_no_gain_is_taken_over_a_baseline_on_other_data(cell):
    """The single-task cells of one data set are no reference for another, nor is the method without regularizer."""
    results = [
        *grid(cell, OURS, methods=["single_task"]),
        cell("mtan", "none", 0, {"mIoU": 33.0}, data=OURS),
        cell("mtan", "aux_heads", 0, {"mIoU": 50.0}, data=MTAN),
    ]
    (row,) = on(MTAN, tables(results)).rows
    assert row.delta_m.summary is None
    assert row.delta_m.note == "0/1 single-task seeds"
    assert row.delta_reg.summary is None
    assert row.delta_reg.note == "no seed without it"
    assert row.rank == 1


def store_cell(root: Path, data: dict[str, str] | None, seed: int, miou: float, method: str = "mtan") -> None:
    """A finished cell on disk."""
    spec = RunSpec("lite", method, "none", "resnet18", ("semseg",), seed, {})
    metrics = {"semseg": {"mIoU": {"value": miou, "unit": "%", "higher_is_better": True}}}
    result = RunResult(spec, "done", metrics, {}, {} if data is None else {"data": data})
    store = ResultStore(root)
    with store.hold(spec) as lease:
        store.publish(result, lease)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """The data were prepared again in the middle of a grid: seeds 0 and 1 on one, seeds 2 and 3 on the other."""
    for seed, data in enumerate([OURS, OURS, MTAN, MTAN]):
        store_cell(tmp_path, data, seed, 20.0 + 10 * seed)
    return tmp_path


def test_a_grid_over_data_that_were_prepared_again_gives_two_tables(mixed):
    written = write_leaderboard(mixed, mixed, mixed / "reported.json")
    text = written.markdown.read_text()
    assert f"data `{OURS['id']}`" in text
    assert f"data `{MTAN['id']}`" in text
    assert "**25.00 ± 7.07**" in text
    assert "**45.00 ± 7.07**" in text
    assert "35.00" not in text, "the mean over both"
    rows = list(csv.DictReader(io.StringIO(written.csv.read_text())))
    assert [(row["data"], row["n"], float(row["semseg/mIoU [%] mean"])) for row in rows] == [
        (MTAN["id"], "2", 45.0),
        (OURS["id"], "2", 25.0),
    ]
    assert {row["data_fingerprint"] for row in rows} == {OURS["fingerprint"], MTAN["fingerprint"]}


def test_the_pandas_table_says_the_data_of_every_number_and_can_be_asked_for_one(mixed):
    frame = results_frame(mixed)
    assert frame.groupby(["data", "fingerprint"])["value"].mean().to_dict() == {
        tuple(OURS.values()): 25.0,
        tuple(MTAN.values()): 45.0,
    }
    assert results_frame(mixed, "lite", data=OURS["id"])["value"].tolist() == [20.0, 30.0]
    assert results_frame(mixed, data="nyuv2").empty, "a part of an id is no id"


def test_cells_that_do_not_say_their_data_are_not_compared_with_each_other(tmp_path):
    for seed, method in enumerate(["single_task", "mtan", "mtan"]):
        store_cell(tmp_path, None, seed, 20.0 + 10 * seed, method)
    written = write_leaderboard(tmp_path, tmp_path, tmp_path / "reported.json")
    (table,) = written.tables
    assert [(row.method, len(row.cells), row.rank) for row in table.rows] == [
        ("mtan", 1, None),
        ("mtan", 1, None),
        ("single_task", 1, None),
    ]
    assert all(row.delta_m.summary is None and row.delta_reg.summary is None for row in table.rows)
    text = written.markdown.read_text()
    assert "do not say on which data they were measured" in text
    assert "**40" not in text
    assert "data not known" in text
