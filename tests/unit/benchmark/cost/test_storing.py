"""Measured costs in result files, and on the leaderboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cost.storing import check_parameters, results_of, store_cost
from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.flat_records import csv_text, row_records
from benchmark.leaderboard.markdown import leaderboard
from benchmark.leaderboard.tables import tables
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore, Stored

METRICS = {"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}
TRAINED = {"parameters_training": 10.0, "parameters_inference": 10.0, "train_seconds": 60.0}
COST = {
    "parameters_training": 10.0,
    "parameters_inference": 10.0,
    "parameters_backbone": 4e6,
    "gmacs": 1.25,
    "latency_p50_seconds_batch1": 0.0123,
    "latency_p95_seconds_batch1": 0.02,
    "inference_memory_mb_batch1": 99.6,
    "step_seconds": 0.5,
    "step_memory_mb": 512.0,
    "step_time_ratio": 1.337,
    "step_memory_ratio": None,
}
ORIGIN = {"size": [120, 160], "step_batch": 8, "hardware": {"cpu": "Abacus 9", "threads": 1}}


def spec(seed: int = 0, **changes: object) -> RunSpec:
    values = dict(recipe="smoke", method="m", regularizer="none", backbone="b", tasks=("semseg",), seed=seed)
    return RunSpec(**{**values, **changes})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two seeds of a cell, and one with an override."""
    store = ResultStore(tmp_path)
    for cell in (spec(0), spec(1), spec(0, overrides={"train_cfg.max_iters": 9})):
        provenance = {"data": {"id": "rooms", "fingerprint": "f"}, "hardware": {"cpu": "Old one", "threads": 2}}
        with store.hold(cell) as lease:
            store.publish(RunResult(cell, "done", METRICS, dict(TRAINED), provenance), lease)
    return tmp_path


def stored_again(root: Path) -> list[Stored]:
    found = results_of(root, spec())
    for result in found:
        store_cost(result, COST, ORIGIN)
    return results_of(root, spec())


def test_every_seed_of_the_cell_gets_the_cost_and_no_other_cell(root: Path) -> None:
    found = stored_again(root)
    assert [each.result.spec.seed for each in found] == [0, 1]
    for each in found:
        assert each.result.cost == {**TRAINED, **COST}
        assert each.result.provenance["cost"] == ORIGIN
        assert each.result.provenance["hardware"] == {"cpu": "Old one", "threads": 2}
        assert each.result.metrics == METRICS
    (other,) = results_of(root, spec(overrides={"train_cfg.max_iters": 9}))
    assert other.result.cost == TRAINED


def test_costs_measured_under_the_same_conditions_are_merged(root: Path) -> None:
    found = stored_again(root)[0]
    store_cost(found, {"gmacs": 2.0}, {**ORIGIN, "runs": 3})
    again = results_of(root, spec())[0].result
    assert again.cost == {**TRAINED, **COST, "gmacs": 2.0}
    assert again.provenance["cost"] == {**ORIGIN, "runs": 3}


@pytest.mark.parametrize(
    "change", [{"size": [64, 96]}, {"step_batch": 2}, {"hardware": {"cpu": "Abacus 9", "threads": 2}}], ids=str
)
def test_a_measurement_under_other_conditions_replaces_all_earlier_costs(change: dict[str, object], root: Path) -> None:
    """A row must not mix batch 1 of one machine with batch 8 of another."""
    found = stored_again(root)[0]
    store_cost(found, {"gmacs": 2.0}, ORIGIN | change)
    again = results_of(root, spec())[0].result
    assert again.cost == {**TRAINED, "gmacs": 2.0}
    assert again.provenance["cost"] == ORIGIN | change


def test_the_cost_of_another_network_is_refused(root: Path) -> None:
    found = results_of(root, spec())[0]
    with pytest.raises(ValueError, match="parameters_inference 10, measured here 11: the network has changed since"):
        check_parameters(found, {**COST, "parameters_inference": 11.0})
    check_parameters(found, COST)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "n"}, r"no finished result of n\+none on b; found m\+none on b"),
        ({"tasks": ("depth",)}, r"of m\+none on b with other tasks or overrides"),
        ({"recipe": "other"}, "found nothing of recipe other"),
    ],
)
def test_cells_without_a_result_are_named(root: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        results_of(root, spec(**changes))


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder of results, it has no runs/"):
        results_of(tmp_path / "none", spec())


def test_the_leaderboard_shows_the_cost_with_the_name_of_the_hardware(root: Path) -> None:
    text = leaderboard(analyse(tables(stored_again(root))), [], root)
    section = text[text.index("#### Cost") :]
    assert "120x160, Abacus 9, 1 thread" in section
    assert "12.3 / 20.0" in section
    assert "| 1.250 " in section
    assert "| 1.34 " in section
    assert "| 4.000 " in section


def test_a_leaderboard_of_results_without_measured_costs_is_as_before(root: Path) -> None:
    found = results_of(root, spec())
    assert "#### Cost" not in leaderboard(analyse(tables(found)), [], root)
    assert "gmacs" not in csv_text(row_records(analyse(tables(found)), root))


def test_the_csv_has_every_cost_and_its_hardware(root: Path) -> None:
    head, line = csv_text(row_records(analyse(tables(stored_again(root))), root)).splitlines()
    assert {"cost gmacs", "cost step_time_ratio", "cost_sizes", "cost_hardware"} <= set(head.split(","))
    assert "Abacus 9" in line
    assert "120x160" in line


def test_the_parameters_at_training_are_compared_too(root: Path) -> None:
    with pytest.raises(ValueError, match="parameters_training 10, measured here 12"):
        check_parameters(results_of(root, spec())[0], {**COST, "parameters_training": 12.0})
