"""Results as a pandas table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.leaderboard.frame import COLUMNS, results_frame
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore


def store_cell(root: Path, seed: int, miou: float, status: str = "done") -> None:
    """One cell of one task."""
    spec = RunSpec("lite", "mtan", "none", "resnet18", ("semseg",), seed, {})
    metrics = {"semseg": {"mIoU": {"value": miou, "unit": "%", "higher_is_better": True}}}
    result = RunResult(
        spec,
        status,
        metrics if status == "done" else {},
        {},
        {"data": {"id": "nyuv2-40c"}},
        None if status == "done" else "it broke",
    )
    store = ResultStore(root)
    with store.hold(spec) as lease:
        store.publish(result, lease)


def test_measured_numbers_become_rows(tmp_path: Path) -> None:
    store_cell(tmp_path, seed=0, miou=20.0)
    store_cell(tmp_path, seed=1, miou=22.0)
    store_cell(tmp_path, seed=2, miou=0.0, status="failed")
    frame = results_frame(tmp_path, "lite")
    assert list(frame.columns) == list(COLUMNS)
    assert frame.groupby(["method", "task", "metric"])["value"].mean().to_dict() == {("mtan", "semseg", "mIoU"): 21.0}
    assert set(frame["data"]) == {"nyuv2-40c"}


@pytest.mark.parametrize("recipe", [None, "other"])
def test_no_results_give_an_empty_frame_with_all_columns(tmp_path: Path, recipe: str | None) -> None:
    frame = results_frame(tmp_path, recipe)
    assert frame.empty
    assert list(frame.columns) == list(COLUMNS)
