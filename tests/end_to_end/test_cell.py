"""A cell through the real Runner, on the embedded rooms: trained, evaluated, stored, resumed, scored again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmark.records.result import RunResult, RunSpec
from benchmark.training.cell import evaluate_cell, run_cell
from benchmark.training.checkpoints import MODEL_FILE, STATE_FILE, ResumableStateHook

TASKS = ("semseg", "depth", "normals", "boundary")


@pytest.fixture(autouse=True)
def data(small_rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded data set, small."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))


def spec(**changes: Any) -> RunSpec:
    """A cell of the smoke recipe: four steps of two images."""
    values: dict[str, Any] = dict(
        recipe="smoke",
        method="hard_sharing",
        regularizer="none",
        backbone="resnet18",
        tasks=TASKS,
        seed=0,
        overrides={},
    )
    return RunSpec(**{**values, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights that a cell left behind."""
    return load_file(folder / MODEL_FILE)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """Bit for bit."""
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def test_a_cell_is_measured_and_its_result_can_be_stored(tmp_path: Path) -> None:
    result = run_cell(spec(regularizer="aux_heads"), tmp_path)
    assert result.status == "done", result.error
    assert set(result.metrics) == set(TASKS)
    assert result.metrics["depth"]["rmse@pixel"]["unit"] == "m"
    assert result.cost["parameters_training"] > result.cost["parameters_inference"] > 1e6
    assert result.provenance["data"]["id"].startswith("synthetic-")
    assert RunResult.from_text(result.to_text()) == result
    assert not (tmp_path / STATE_FILE).exists()


def test_the_same_seed_gives_the_same_weights_and_numbers(tmp_path: Path) -> None:
    first, second = (run_cell(spec(), tmp_path / name) for name in ("a", "b"))
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert first.metrics == second.metrics


@pytest.mark.parametrize("regularizer", ["none", "aux_heads"])
def test_an_interrupted_cell_continues_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, regularizer: str
) -> None:
    """The state is saved after step 2; the run dies at step 3, and the second attempt does steps 3 and 4."""
    cell = spec(regularizer=regularizer)
    run_cell(cell, tmp_path / "whole")
    save = ResumableStateHook.save

    def save_and_die(hook: ResumableStateHook, runner: Any, iteration: int) -> None:
        save(hook, runner, iteration)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumableStateHook, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            run_cell(cell, tmp_path / "broken")
    file = tmp_path / "broken" / STATE_FILE
    state = torch.load(file, weights_only=True)
    (part,) = state["parts"]
    assert part["until"] == 2
    assert part["seconds"] > 0
    torch.save({**state, "parts": [{"until": 2, "seconds": 1000.0, "commit": "a" * 40, "dirty": False}]}, file)
    result = run_cell(cell, tmp_path / "broken")
    assert result.status == "done", result.error
    assert result.cost["train_seconds"] > 1000, "the training before the interruption counts"
    assert result.cost["seconds_per_step"] == result.cost["train_seconds"] / 4
    assert [earlier["commit"] for earlier in result.provenance["earlier_parts"]] == ["a" * 40]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


def test_weight_zero_trains_as_if_there_were_no_regularizer(tmp_path: Path) -> None:
    run_cell(spec(), tmp_path / "without")
    run_cell(spec(regularizer="aux_heads", overrides={"regularizer.weight": 0.0}), tmp_path / "zero")
    assert same(weights(tmp_path / "without"), weights(tmp_path / "zero"))


def test_saved_weights_score_the_same_again(tmp_path: Path) -> None:
    result = run_cell(spec(), tmp_path)
    metrics, data = evaluate_cell(spec(), tmp_path / MODEL_FILE, tmp_path / "again")
    assert metrics == result.metrics
    assert data == result.provenance["data"]


def test_a_loss_that_is_not_a_number_is_a_result(tmp_path: Path) -> None:
    result = run_cell(spec(overrides={"optim_wrapper.optimizer.lr": 1e30, "checkpoint_interval": 0}), tmp_path)
    assert result.status == "diverged"
    assert "not finite" in (result.error or "")


def test_a_cell_that_fails_says_why_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTL_DATA", str(tmp_path / "nowhere"))
    result = run_cell(spec(recipe="nyuv2_lite"), tmp_path)
    assert result.status == "failed"
    assert "prepare_nyuv2.py" in (result.error or "")
    assert "\n" not in (result.error or "")


def test_constant_counts_instead_of_training(tmp_path: Path) -> None:
    result = run_cell(spec(method="constant"), tmp_path)
    assert result.status == "done", result.error
    assert result.cost["parameters_inference"] == 0
    assert json.loads(result.to_text())["metrics"]["normals"]["mean@pixel"]["value"] < 90


def test_mixed_precision_trains_on_a_cpu(tmp_path: Path) -> None:
    result = run_cell(spec(overrides={"optim_wrapper.precision": "bf16"}), tmp_path)
    assert result.status == "done", result.error


def test_a_result_keeps_what_the_regularizer_measured_of_itself(tmp_path: Path) -> None:
    result = run_cell(spec(regularizer="three_d_aware", overrides={"regularizer.weight": "calibrated"}), tmp_path)
    assert result.status == "done", result.error
    found = result.diagnostics
    assert {
        "ray_entropy",
        "depth_correlation",
        "gradient_ratio",
        "gradient_ratio_depth",
        "seconds",
        "calibrated_factor",
    } <= set(found)
    # Four steps of a thin field: the weights are those of the first step, near flat over 64 samples.
    assert 2 < found["ray_entropy"] < 4.16
    assert found["gradient_ratio"] == pytest.approx(0.3, rel=0.5)
    assert RunResult.from_text(result.to_text()) == result


def test_labelled_frames_and_posed_pairs_train_together(tmp_path: Path) -> None:
    pairs = {"train_dataloader.dataset.pairs": "synthetic", "train_dataloader.batch_size": 8}
    result = run_cell(spec(regularizer="three_d_aware_multiview", overrides=pairs), tmp_path)
    assert result.status == "done", result.error
    assert result.provenance["data"]["pairs"]["id"] == result.provenance["data"]["id"]
    assert 0 < (result.diagnostics["paired"] or 0) < 1
    assert 0 < (result.diagnostics["seen"] or 0) <= 1
