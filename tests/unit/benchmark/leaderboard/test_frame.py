"""Results as a pandas table."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.leaderboard.frame import COLUMNS, results_frame
from benchmark.records.identity import Ingredients
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


def publish(root: Path, spec: RunSpec, data: dict[str, str]) -> RunResult:
    """One finished cell with a depth error of half a metre."""
    metrics = {"depth": {"rmse@pixel": {"value": 0.5, "unit": "m", "higher_is_better": False}}}
    result = RunResult(spec, "done", metrics, {}, {"data": data})
    store = ResultStore(root)
    with store.hold(spec) as lease:
        store.publish(result, lease)
    return result


def test_a_row_names_its_cell_and_its_metric(tmp_path: Path) -> None:
    settings = {"regularizer.weight": 0.1}
    spec = RunSpec("lite", "mtan", "aux", "resnet18", ("depth",), 4, settings, "val", Ingredients({}, {"recipe": 3}))
    result = publish(tmp_path, spec, {"id": "nyuv2-40c", "fingerprint": "0d5d"})
    assert results_frame(tmp_path).to_dict("records") == [
        {
            "recipe": "lite",
            "version": 3,
            "split": "val",
            "data": "nyuv2-40c",
            "fingerprint": "0d5d",
            "method": "mtan",
            "regularizer": "aux",
            "backbone": "resnet18",
            "seed": 4,
            "overrides": "regularizer.weight=0.1",
            "task": "depth",
            "metric": "rmse@pixel",
            "value": 0.5,
            "unit": "m",
            "higher_is_better": False,
            "run_id": result.run_id,
        }
    ]


def test_recipe_and_data_choose_rows(tmp_path: Path) -> None:
    for recipe, seed, data in (("lite", 0, {"id": "a", "fingerprint": "f"}), ("lite", 1, {}), ("full", 2, {"id": "a"})):
        publish(tmp_path, RunSpec(recipe, "mtan", "none", "resnet18", ("depth",), seed), data)
    assert sorted(results_frame(tmp_path)["seed"]) == [0, 1, 2]
    assert sorted(results_frame(tmp_path, "lite")["seed"]) == [0, 1]
    assert sorted(results_frame(tmp_path, data="a")["seed"]) == [0, 2]
    assert results_frame(tmp_path, "lite", "a")["seed"].tolist() == [0]
    assert results_frame(tmp_path, data="").empty
    unknown = results_frame(tmp_path).set_index("seed").loc[1, ["data", "fingerprint", "version"]]
    assert unknown.isna().all()
