"""Measurements in separate processes, on the smallest network; times are not asserted."""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest
import torch

from benchmark.cost import measure
from benchmark.cost.measure import (
    MeasurementError,
    all_step_costs,
    in_own_process,
    inference,
    inference_cost,
    step_cost,
    step_time_ratio,
    training_step,
    trains,
)
from benchmark.cost.target import CostTarget, image_size
from benchmark.records.result import RunSpec
from benchmark.training.random_batches import random_batch
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError


def target(method: str = "hard_sharing", regularizer: str = "none", **changes: object) -> CostTarget:
    """The smoke recipe at its smallest."""
    spec = RunSpec("smoke", method, regularizer, "efficientnet_lite0:imagenet", ("semseg", "depth"), 0, changes)
    return CostTarget(spec, (32, 64), runs=2)


def test_a_training_step_changes_the_weights_and_shows_losses_of_both() -> None:
    losses = training_step(target(regularizer="aux_heads"), 2)()
    assert {"loss_semseg", "loss_depth", "loss_aux_heads_semseg"} <= set(losses)


def test_inference_is_timed_in_eval_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[torch.nn.Module] = []
    build = measure.build
    monkeypatch.setattr(measure, "build", lambda measured: built.append(build(measured)) or built[-1])
    predictions = inference(target(), 2)().predictions
    assert not built[0].model.training
    assert not predictions["depth"].requires_grad


def test_a_cost_is_the_median_over_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "alternating_seconds", lambda works, runs, device: [[3.0, 90.0, 4.0]])
    assert step_cost(target(), 2)["step_seconds"] == 4.0


def test_every_target_is_valid_and_in_range() -> None:
    tasks = target().tasks
    batch = random_batch(tasks, 2, (8, 12))
    assert all(task.valid(batch["targets"][name]).all() for name, task in tasks.items())
    assert batch["targets"]["semseg"].max() < tasks["semseg"].channels


def test_ratios_compare_with_the_same_method_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 3, 9 and 4 s with the regularizer, of 2, 1 and 9 s without: medians 4 and 2, ratio 2."""
    regularizers: list[str] = []

    def step(measured: CostTarget, batch: int) -> str:
        regularizers.append(measured.spec.regularizer)
        return measured.spec.regularizer

    monkeypatch.setattr(measure, "training_step", step)
    monkeypatch.setattr(measure, "alternating_seconds", lambda works, runs, device: [[3.0, 9.0, 4.0], [2.0, 1.0, 9.0]])
    assert step_time_ratio(target(regularizer="aux_heads"), 2) == {"step_time_ratio": 2.0}
    assert regularizers == ["aux_heads", "none"]
    assert target(regularizer="aux_heads").without_regularizer() == target()


def test_a_method_without_parameters_has_no_training_step() -> None:
    assert not trains(target("constant"))
    assert trains(target())


@pytest.mark.slow
def test_inference_and_steps_are_measured_in_a_separate_process() -> None:
    inference = in_own_process(inference_cost, target(), 2)
    assert set(inference) == {"latency_p50_seconds_batch2", "latency_p95_seconds_batch2", "inference_memory_mb_batch2"}
    step = all_step_costs(target(regularizer="aux_heads"), 2)
    assert set(step) == {"step_seconds", "step_memory_mb", "step_time_ratio", "step_memory_ratio"}
    assert min(value for value in [*inference.values(), *step.values()] if value is not None) > 0
    # A method without weights takes little memory. Its modules, about 200 MiB, were imported before.
    nothing = in_own_process(inference_cost, target("constant"), 2)["inference_memory_mb_batch2"]
    assert nothing is not None
    assert nothing < 32
    # Weights, gradients and the two moments of AdamW, 3.1 million numbers each.
    assert step["step_memory_mb"] > 4 * 3.1e6 * 4 / 2**20


@pytest.mark.parametrize("own_process", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_measurement_that_fails_is_named_in_one_line(own_process: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not own_process:
        monkeypatch.setattr("benchmark.cost.measure.map_in_processes", lambda work, jobs, workers: map(work, jobs))
    unknown = RunSpec("smoke", "hard_sharing", "none", "resnet1", ("depth",), 0)
    with pytest.raises(MeasurementError, match=r"hard_sharing\+none: inference cost at batch 2: .*'resnet1'") as caught:
        in_own_process(inference_cost, CostTarget(unknown, (32, 64)), 2)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        ("nyuv2_lite", (120, 160)),
        ("nyuv2_hrnet18", (425, 560)),
        ("nyuv2_vit_l", (448, 576)),
        ("pascal_hrnet48", (512, 512)),
    ],
)
def test_the_size_is_that_of_the_recipe(recipe: str, size: tuple[int, int]) -> None:
    assert image_size(load_recipe(recipe)) == size


def test_a_recipe_without_an_image_size_needs_the_option() -> None:
    settings = {f"{split}_dataloader.dataset.size": None for split in ("train", "test")}
    settings["train_dataloader.dataset.augmentation"] = {}
    with pytest.raises(ConfigError, match="give --size HxW"):
        image_size(load_recipe("smoke", settings))


def test_latencies_are_the_median_and_the_95th_percentile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 0, 1, ..., 100 s: 50 and 95 s."""
    monkeypatch.setattr(measure, "alternating_seconds", lambda works, runs, device: [[float(s) for s in range(101)]])
    found = inference_cost(target(), 3)
    assert (found["latency_p50_seconds_batch3"], found["latency_p95_seconds_batch3"]) == (50.0, 95.0)


def test_the_ratio_of_memories_is_with_over_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "in_own_process", lambda work, target, batch: {"step_memory_mb": 3.0})
    regularized = target(regularizer="aux_heads")
    assert all_step_costs(regularized, 2, {"step_memory_mb": 2.0})["step_memory_ratio"] == 1.5
    assert all_step_costs(regularized, 2, {"step_memory_mb": None})["step_memory_ratio"] is None


def test_a_dead_process_is_named_with_the_options_that_need_less_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*arguments: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr(measure, "map_in_processes", die)
    expected = r"step cost at batch 8: its process died, .*; try a smaller --batch, --step-batch or --size"
    with pytest.raises(MeasurementError, match=expected):
        in_own_process(step_cost, target(), 8)


def test_files_of_the_user_are_imported_before_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[object] = []
    monkeypatch.setattr(measure, "import_files", imported.append)
    monkeypatch.setattr(measure, "map_in_processes", lambda work, jobs, workers: map(work, jobs))
    own = replace(target(), imports=("own.py",))
    assert in_own_process(lambda target, batch: {"batch": float(batch)}, own, 4) == {"batch": 4.0}
    assert imported == [("own.py",)]
