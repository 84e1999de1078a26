"""leaderboard.csv, comparisons.csv and Parquet: every number, unrounded, under names that stay."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan
from scipy import stats

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.flat_records import (
    COMPARISON_FIELDS,
    ROW_FIELDS,
    SCHEMA_VERSION,
    comparison_records,
    csv_text,
    row_records,
    write_parquet,
)
from benchmark.leaderboard.tables import tables

CHECKOUT = Path(__file__).resolve().parents[4]
OUT = Path("results")
ROWS = [("single_task", "none"), ("mtan", "none"), ("mtan", "aux")]
MIOUS = {
    row: [20.0 + index + 0.1 * seed + 0.05 * index * seed**2 for seed in range(5)] for index, row in enumerate(ROWS)
}


@pytest.fixture
def board():
    made = [cell for row, values in MIOUS.items() for cell in cells_with(*row, values, cost={"gmacs": 1.5})]
    return board_of(make_plan(ROWS), made)


def read(records, fields=()):
    return list(csv.DictReader(io.StringIO(csv_text(records, fields))))


def test_rows_hold_every_number_unrounded(board):
    rows = {(row["method"], row["regularizer"]): row for row in read(row_records([board], OUT))}
    row, values = rows["mtan", "none"], MIOUS["mtan", "none"]
    assert float(row["semseg/mIoU [%] mean"]) == pytest.approx(np.mean(values), abs=1e-12)
    assert float(row["semseg/mIoU [%] std"]) == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert (float(row["semseg/mIoU [%] low"]), float(row["semseg/mIoU [%] high"])) == pytest.approx((low, high))
    gains = [100 * (own / base - 1) for own, base in zip(values, MIOUS["single_task", "none"], strict=True)]
    assert float(row["gain_mean"]) == pytest.approx(np.mean(gains), abs=1e-9)
    assert (row["gain_over"], row["seeds"], row["complete"], row["board"]) == (
        "single_task",
        "0 1 2 3 4",
        "True",
        "board",
    )
    assert row["cost gmacs"] == "1.5"
    assert row["files"].split()[0].startswith("runs/smoke/mtan+none")


def test_comparisons_have_adjusted_p_values(board):
    found = read(comparison_records([board]), COMPARISON_FIELDS)
    assert list(found[0]) == list(COMPARISON_FIELDS)
    (primary,) = [line for line in found if line["family"] == "primary"]
    gains = [100 * (own / base - 1) for own, base in zip(MIOUS["mtan", "aux"], MIOUS["mtan", "none"], strict=True)]
    assert (primary["row"], primary["baseline"], primary["n"]) == ("mtan+aux", "mtan", "5")
    assert float(primary["p"]) == pytest.approx(stats.ttest_1samp(gains, 0).pvalue, abs=1e-9)
    assert float(primary["p_adjusted"]) == pytest.approx(float(primary["p"]))
    # 1.682 standard deviations are found with 80 % power by five pairs.
    assert float(primary["smallest_effect"]) == pytest.approx(1.682 * np.std(gains, ddof=1), rel=1e-3)


def test_results_on_other_data_change_no_line(board):
    other = [
        make_cell("mtan", seed=seed, values={"mIoU": 90.0}, data={"id": "e", "fingerprint": "g"}) for seed in range(3)
    ]
    both = csv_text(row_records([board, *analyse(tables(other))], OUT)).splitlines()
    assert set(csv_text(row_records([board], OUT)).splitlines()[1:]) <= set(both[1:])
    assert len(both) == 1 + 3 + 1


def test_a_cell_that_another_commit_began_names_both():
    part = {"until": 5, "seconds": 1.0, "commit": "f" * 40, "dirty": True}
    (analysis,) = analyse(tables([make_cell("mtan", values={"mIoU": 20.0}, provenance={"earlier_parts": [part]})]))
    (row,) = read(row_records([analysis], OUT))
    assert row["commits"] == f"0123456789abcdef {'f' * 40}"
    assert row["dirty"] == "True"


def test_text_from_outside_is_no_formula():
    assert csv_text([{"method": "=1+1", "gain": -0.5}]) == "method,gain\n'=1+1,-0.5\n"


def test_every_record_has_the_documented_columns_first_and_in_order(board):
    assert list(row_records([board], OUT)[0])[: len(ROW_FIELDS)] == list(ROW_FIELDS)
    assert list(comparison_records([board])[0]) == list(COMPARISON_FIELDS)
    page = (CHECKOUT / "docs" / "results.md").read_text()
    missing = [name for name in (*ROW_FIELDS, *COMPARISON_FIELDS) if f"`{name}`" not in page]
    assert not missing, f"docs/results.md does not describe {missing}"


def test_values_have_the_types_of_their_columns(board):
    for fields, records in ((ROW_FIELDS, row_records([board], OUT)), (COMPARISON_FIELDS, comparison_records([board]))):
        for record in records:
            wrong = {name: record[name] for name, kind in fields.items() if not isinstance(record[name], kind | None)}
            assert not wrong


def test_parquet_holds_the_same_records(board, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write_parquet(tmp_path / "rows.parquet", row_records([board], OUT), ROW_FIELDS)
    assert parquet.read_table(tmp_path / "rows.parquet").to_pylist() == row_records([board], OUT)


def test_parquet_has_the_same_types_with_and_without_results(board, tmp_path):
    """A column that holds no value yet must not become one of another type later."""
    parquet = pytest.importorskip("pyarrow.parquet")
    (alone,) = analyse(tables([make_cell("mtan", values={"mIoU": 20.0})]))
    for name, analyses in (("none", []), ("alone", [alone]), ("board", [board])):
        write_parquet(tmp_path / f"{name}.parquet", row_records(analyses, OUT), ROW_FIELDS)
    none, other, whole = (parquet.read_schema(tmp_path / f"{name}.parquet") for name in ("none", "alone", "board"))
    assert none.names == list(ROW_FIELDS)
    for name in none.names:
        assert none.field(name) == other.field(name) == whole.field(name)
    assert whole.field("semseg/mIoU [%] n").type == "int64"
    assert whole.field("cost gmacs").type == "double"
    assert whole.metadata[b"schema_version"].decode() == str(SCHEMA_VERSION)
