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
from benchmark.records.overrides import Overrides

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


TASKS = ("semseg", "depth")
WEIGHT = Overrides({"regularizer.weight": 0.1})


def full_board():
    """mtan+aux equals single_task, pap is half as good with little noise, and pap+aux has two of three seeds."""
    names = {"data": {"id": "d", "fingerprint": "f"}, "backbone": "swin", "split": "val"}
    cost = {"parameters_training": 3e6, "parameters_inference": 2e6, "peak_memory_mb": 100.0, "train_seconds": 60.0}
    origin = {"cost": {"size": [12, 16], "hardware": {"gpu": "G"}}, "hardware": {"cpu": "X"}}
    scales = {("single_task", "none"): 1.0, ("mtan", "aux"): 1.0, ("pap", "none"): 0.5, ("pap", "aux"): 1.0}
    cells = [
        make_cell(
            *row,
            seed,
            {"mIoU": 20.0 * scale + seed * scale**2, "rmse@pixel": 0.5 / scale + 0.01 * seed},
            tasks=TASKS,
            version=2,
            settings={"train_cfg.max_iters": 100},
            overrides={"lr": 1} | (dict(WEIGHT) if row == ("mtan", "aux") else {}),
            cost={**cost, "step_seconds": 0.5},
            provenance={**origin, "dirty": seed == 1},
            **names,
        )
        for row, scale in scales.items()
        for seed in range(2 if row == ("pap", "aux") else 3)
    ]
    rows = [("single_task", "none"), ("mtan", "aux", WEIGHT), ("pap", "none"), ("pap", "aux")]
    return board_of(make_plan(rows, range(3), settings=Overrides({"lr": 1}), split="val"), cells)


def test_every_field_of_a_row_has_its_value():
    analysis = full_board()
    records = {(record["method"], record["regularizer"]): record for record in row_records([analysis], OUT)}
    record = records["mtan", "aux"]
    expected = {
        "board": "board",
        "version": 2,
        "recipe": "smoke",
        "split": "val",
        "data": "d",
        "data_fingerprint": "f",
        "backbone": "swin",
        "tasks": "semseg depth",
        "overrides": "lr=1",
        "options": "regularizer.weight=0.1",
        "n": 3,
        "seeds": "0 1 2",
        "planned_seeds": "0 1 2",
        "complete": True,
        "rank_best": 1,
        "rank_worst": 2,
        "among_best": True,
        "gain_over": "single_task",
        "gain_mean": 0.0,
        "gain_std": 0.0,
        "gain_n": 3,
        "gain_p": 1.0,
        "gain_p_adjusted": 1.0,
        "gain_standardised": 0.0,
        "parameters_training": 3e6,
        "parameters_inference": 2e6,
        "training_seconds": 50.0,
        "train_wall_seconds": 60.0,
        "peak_memory_mb": 100.0,
        "cost_sizes": "12x16",
        "cost_hardware": "{'gpu': 'G'}",
        "hardware": "{'cpu': 'X'}",
        "commits": "0123456789abcdef",
        "dirty": True,
        "schema_version": 3,
        "cost step_seconds": 0.5,
    }
    assert {name: record[name] for name in expected} == expected
    assert [name for name in record if name.startswith("cost ")] == ["cost step_seconds"], "others have fields"
    assert [records["pap", "none"][name] for name in ("rank_best", "rank_worst", "among_best")] == [3, 3, False]
    assert records["pap", "none"]["gain_standardised"] < 0
    missing = records["pap", "aux"]
    fields = ("seeds", "planned_seeds", "complete", "rank_best", "rank_worst", "among_best")
    assert [missing[name] for name in fields] == ["0 1", "0 1 2", False, None, None, None]


def test_rows_of_other_runs_are_neither_complete_nor_incomplete():
    (analysis,) = analyse(tables(cells_with("mtan", "none", [20.0])))
    (record,) = row_records([analysis], OUT)
    assert (record["board"], record["complete"], record["planned_seeds"], record["rank_best"]) == (None, None, "", None)


def test_every_field_of_a_comparison_has_its_value():
    """Three methods with four seeds gain 9, 10 and 11 % in mIoU, up to a percent by seed, and nothing in depth.

    The mean over tasks is half of that: 5 +- 0.5 over methods, and three methods find 3.264 standard deviations.
    """
    rows = [(method, name) for method in "abc" for name in ("none", "aux")]
    cells = [
        make_cell(
            method,
            name,
            seed,
            {"mIoU": 100.0 if name == "none" else 109.0 + "abc".index(method) + (-1) ** seed, "rmse@pixel": 0.5},
            tasks=TASKS,
            version=2,
        )
        for method, name in rows
        for seed in range(4)
    ]
    analysis = board_of(make_plan([*rows, ("d", "none"), ("d", "aux")], range(4)), cells)
    records = comparison_records([analysis])
    assert all(record["n"] for record in records), "a comparison without a common seed is no record"
    found = {(record["kind"], record["row"], record["baseline"], record["task"]): record for record in records}
    record = found["methods in general", "aux", "none", None]
    p = stats.ttest_1samp([4.5, 5.0, 5.5], 0).pvalue
    expected = {
        "board": "board",
        "family": "primary",
        "methods": "a b c",
        "seeds": "4 4 4",
        "mean": pytest.approx(5.0),
        "std": pytest.approx(0.5),
        "n": 3,
        "df": 2.0,
        "p": pytest.approx(p),
        # Rows and these methods have smaller p values; d has none and counts as 1.
        "p_adjusted": pytest.approx(2 * p),
        "verdict": "gain",
        "anova_p": pytest.approx(stats.f_oneway(*np.add([4, 5, 4, 5], [[0], [0.5], [1]])).pvalue),
        "standardised": None,
        "smallest_effect": pytest.approx(3.264 * 0.5, rel=1e-4),
        "schema_version": 3,
    }
    assert {name: record[name] for name in expected} == expected
    own = found["row", "b+aux", "b", "semseg"]
    assert (own["methods"], own["seeds"], own["family"], own["df"]) == ("b", "4", "rest", 3.0)
    assert own["standardised"] == pytest.approx(own["mean"] / analysis.noise["semseg"])
    assert found["these methods", "aux", "none", "depth"]["verdict"] is None
