"""Estimate of a grid: stored times of this hardware, timed steps, and sizes of states and weights."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.cost import estimate as module
from benchmark.cost.estimate import RowEstimate, estimate, estimate_text, longest_minutes
from benchmark.cost.measure import MeasurementError
from benchmark.records.identity import Ingredients
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.store import ResultStore
from benchmark.registry import METHODS
from benchmark.tasks import NYUV2_TASKS

METRICS = {"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}
MACHINE = {"cpu": "Abacus 9", "cores": 4, "memory_gib": 16.0}
HERE = {"cpu": "Abacus 9", "threads": 2, "gpu": None}
STEPS = {"train_cfg.max_iters": 30}


def cell(seed: int = 0, settings: dict[str, Any] | None = None, **changes: Any) -> RunSpec:
    """A cell of 30 steps whose ingredients have the given settings."""
    names = {"method": "hard_sharing", "regularizer": "none", "overrides": STEPS, **changes}
    spec = RunSpec("smoke", backbone="timm:test_resnet", tasks=tuple(NYUV2_TASKS), seed=seed, **names)
    return replace(spec, ingredients=Ingredients(settings or {}, {"method": 1}))


def store_times(store: ResultStore, spec: RunSpec, step: float, evaluation: float, **hardware: Any) -> None:
    cost = {"seconds_per_step": step, "evaluate_seconds": evaluation}
    result = RunResult(spec, "done", METRICS, cost, {"hardware": {**HERE, **hardware}})
    with store.hold(spec) as lease:
        store.publish(result, lease)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four cores without a GPU."""
    monkeypatch.setattr(module, "hardware", lambda: dict(MACHINE))
    monkeypatch.setattr(module, "available_cores", lambda: 4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, str | None]]:
    """Method, batch and threads of each measurement of steps, which says half a second."""
    measured: list[tuple[str, int, str | None]] = []

    def measure(work: object, target: Any, batch: int) -> dict[str, float]:
        measured.append((target.spec.method, batch, os.environ.get("OMP_NUM_THREADS")))
        return {"step_seconds": 0.5}

    monkeypatch.setattr(module, "in_own_process", measure)
    return measured


def test_times_are_medians_of_stored_results_of_this_hardware(store: ResultStore, timed: list[Any]) -> None:
    """Steps of 2, 4 and 9 s and evaluations of 30, 50 and 20 s: 30 steps of 4 s and 30 s, for the cells to run."""
    for seed, (step, evaluation) in enumerate([(2.0, 30.0), (4.0, 50.0), (9.0, 20.0)]):
        store_times(store, cell(seed), step, evaluation)
    store_times(store, cell(3), 100.0, 100.0, cpu="Abacus 8")
    store_times(store, cell(4), 100.0, 100.0, threads=1)
    store_times(store, cell(5), 100.0, 100.0, gpu="Slide rule")
    grid = [cell(seed) for seed in range(8)]
    (row,), workers = estimate(grid, store, workers=2)
    assert (row.cells, workers) == (2, 2)
    assert row.minutes == pytest.approx((30 * 4 + 30) / 60)
    assert row.origin == "3 stored results of this hardware"
    assert not timed


def test_a_failed_cell_is_to_be_run_and_its_time_does_not_count(store: ResultStore, timed: list[Any]) -> None:
    with store.hold(cell(0)) as lease:
        store.publish(failure(cell(0), "failed", "no memory", {"hardware": HERE}), lease)
    (row,), _ = estimate([cell(0)], store, workers=2)
    assert (row.cells, row.origin) == (1, "3 timed steps, without evaluation")


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({"optim_wrapper.optimizer.lr": 0.1, "regularizer.weight": 2, "tasks.depth.loss_weight": 3}, "1 stored"),
        ({"train_dataloader.batch_size": 4}, "3 timed steps"),
        ({"optim_wrapper.precision": "bf16"}, "3 timed steps"),
        ({"optim_wrapper.accumulative_counts": 2}, "3 timed steps"),
    ],
)
def test_settings_that_leave_the_time_of_a_step_alone(
    store: ResultStore, timed: list[Any], settings: dict[str, Any], origin: str
) -> None:
    store_times(store, cell(0), 2.0, 30.0)
    (row,), _ = estimate([cell(1, settings)], store, workers=2)
    assert row.origin.startswith(origin)


def test_other_methods_lend_their_evaluation_to_timed_steps(store: ResultStore, timed: list[Any]) -> None:
    """Half a second for each of 30 steps, and the 45 s of the other method."""
    store_times(store, cell(0, method="mtan"), 2.0, 45.0)
    (row,), _ = estimate([cell(0)], store, workers=2)
    assert row.minutes == pytest.approx((30 * 0.5 + 45) / 60)
    assert row.origin == "3 timed steps"


def test_a_step_is_timed_once_for_rows_of_equal_steps_with_the_threads_of_a_cell(
    store: ResultStore, timed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    slower = {"optim_wrapper.optimizer.lr": 0.1}
    rows, _ = estimate([cell(), cell(0, slower, overrides={**STEPS, **slower})], store, workers=2)
    assert [row.minutes for row in rows] == pytest.approx([0.25, 0.25])
    assert timed == [("hard_sharing", 2, "2")]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_as_many_cells_at_a_time_as_cores(store: ResultStore, timed: list[Any]) -> None:
    _, workers = estimate([cell()], store)
    assert workers == 4
    assert timed[0][2] == "1"


def test_a_method_without_parameters_takes_no_steps(store: ResultStore, timed: list[Any]) -> None:
    (row,), _ = estimate([cell(method="constant")], store, workers=2)
    assert row.minutes == 0
    assert not timed


def test_states_and_weights_in_bytes(store: ResultStore, timed: list[Any]) -> None:
    """Four bytes a value: weights and two moments of the optimizer, and the averages of `ema`."""
    method = METHODS.create("hard_sharing", NYUV2_TASKS, "timm:test_resnet")
    values = sum(tensor.numel() for tensor in method.state_dict().values())
    trained = sum(parameter.numel() for parameter in method.parameters())
    averaged = cell(overrides={**STEPS, "ema": {"decay": 0.9}})
    (plain, with_ema), _ = estimate([cell(), averaged], store, workers=2)
    assert plain.weight_bytes == with_ema.weight_bytes == 4 * values
    assert plain.state_bytes == 4 * (values + 2 * trained)
    assert with_ema.state_bytes == 4 * (2 * values + 2 * trained)


def test_the_sums_of_a_grid(store: ResultStore, timed: list[Any]) -> None:
    """Three cells of 20 minutes on two of four cores each: 2 core hours, half an hour with two at a time."""
    store_times(store, cell(0), 38.0, 60.0)
    grid = [cell(seed) for seed in range(4)]
    (row,), _ = estimate(grid, store, workers=2)
    head, table, sums, disk = estimate_text(grid, store, workers=2).splitlines()
    assert head.split() == ["cells", "minutes", "each", "from"]
    assert table.split()[2:4] == ["3", "20.0"]
    assert sums == "3 cells to run: 2.00 core hours, 0.50 hours with 2 at a time"
    states, weights = 3 * 2 * row.state_bytes / 2**30, 3 * row.weight_bytes / 2**30
    assert disk.startswith(
        f"disk: {states:.2f} GiB of training states at a time, {weights:.2f} GiB of weights in the end; "
    )


def test_a_time_that_cannot_be_measured_is_a_question_mark_with_its_reason(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> dict[str, float]:
        raise MeasurementError("the network is broken")

    monkeypatch.setattr(module, "in_own_process", fail)
    lines = estimate_text([cell(), cell(1)], store, workers=2).splitlines()
    assert lines[1].endswith("  2             ?  the network is broken")
    assert lines[2].endswith(", without 2 cells of unknown time")


def test_nothing_is_left_of_a_finished_grid(store: ResultStore) -> None:
    store_times(store, cell(0), 2.0, 30.0)
    assert estimate_text([cell(0)], store) == "every cell is done"


@pytest.mark.parametrize(("minutes", "longest"), [([1.0, 3.0, 2.0], 3.0), ([1.0, None], None), ([], None)])
def test_the_longest_cell(minutes: list[float | None], longest: float | None) -> None:
    rows = [RowEstimate(cell(), 1, value, "", 0.0, 0.0) for value in minutes]
    assert longest_minutes(rows) == longest


def test_the_largest_states_of_the_cells_at_a_time_count(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at a time of 1, 4, 2 and 2 GiB: three states each of 4 and 2 GiB."""
    gib = 2.0**30
    rows = [RowEstimate(cell(), count, 60.0, "", size * gib, gib) for count, size in ((1, 1), (1, 4), (2, 2))]
    monkeypatch.setattr(module, "estimate", lambda *arguments: (rows, 2))
    sums, disk = estimate_text([cell()], store).splitlines()[-2:]
    assert sums == "4 cells to run: 8.00 core hours, 2.00 hours with 2 at a time"
    assert disk.startswith("disk: 18.00 GiB of training states at a time, 4.00 GiB of weights in the end; ")


def test_sgd_keeps_one_value_for_each_parameter(store: ResultStore, timed: list[Any]) -> None:
    optimizer = {"optim_wrapper.optimizer.type": "SGD", "optim_wrapper.optimizer.lr": 0.1}
    (adam, sgd), _ = estimate([cell(), cell(overrides={**STEPS, **optimizer})], store, workers=2)
    trained = (adam.state_bytes - adam.weight_bytes) / 8
    assert sgd.state_bytes == sgd.weight_bytes + 4 * trained


def test_an_unreadable_result_is_to_be_run_again(store: ResultStore, timed: list[Any]) -> None:
    path = store.path(cell(0))
    path.parent.mkdir(parents=True)
    path.write_text("{")
    (row,), _ = estimate([cell(0)], store, workers=2)
    assert row.cells == 1


@pytest.mark.parametrize("threads", [None, "7"])
def test_the_threads_of_this_process_stay(
    store: ResultStore, timed: list[Any], monkeypatch: pytest.MonkeyPatch, threads: str | None
) -> None:
    if threads is None:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    else:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    estimate([cell(0)], store, workers=2)
    assert [measured[2] for measured in timed] == ["2"]
    assert os.environ.get("OMP_NUM_THREADS") == threads


def test_steps_of_a_recipe_that_takes_its_size_from_the_data_are_timed_at_480x640(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[int, int]] = []

    def measure(work: object, target: Any, batch: int) -> dict[str, float]:
        sizes.append(target.size)
        return {"step_seconds": 0.5}

    monkeypatch.setattr(module, "in_own_process", measure)
    unsized: dict[str, Any] = {f"{split}_dataloader.dataset.size": None for split in ("train", "test")}
    unsized["train_dataloader.dataset.augmentation"] = {}
    ((row,), _) = estimate([cell(overrides={**STEPS, **unsized})], store)
    assert sizes == [(480, 640)]
    assert row.minutes == pytest.approx(30 * 0.5 / 60)
