"""A cell through the real Runner, on the embedded rooms: trained, evaluated, stored, resumed, scored again."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmark.records.result import RunResult, RunSpec
from benchmark.training.cell import evaluate_cell, peak_memory_mb, run_cell
from benchmark.training.checkpoints import (
    STATE_FILE,
    ResumableStateHook,
    read_state,
    remove_training_state,
    write_state,
)
from benchmark.training.details import DETAILS_FILE
from benchmark.training.model import TrainingModule
from benchmark.training.model_files import MODEL_FILE
from regularizers.aux_heads import AuxHeads

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
        backbone="timm:test_resnet",
        tasks=TASKS,
        seed=0,
        overrides={},
    )
    return RunSpec(**{**values, **changes})


@pytest.fixture(scope="module")
def trained(small_rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunResult]:
    """Folder and result of the cell `spec()`; tests only read them."""
    folder = tmp_path_factory.mktemp("cell") / "trained"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTL_DATA", str(small_rooms))
        return folder, run_cell(spec(), folder)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Saved weights of a cell."""
    return load_file(folder / MODEL_FILE)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """True if all tensors are bit-identical."""
    return sorted(first) == sorted(second) and all(torch.equal(first[name], second[name]) for name in first)


def details_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Lines of the details file of a cell that have a "step" or an "image"."""
    lines = gzip.decompress((folder / DETAILS_FILE).read_bytes()).decode().splitlines()
    return [values for values in map(json.loads, lines) if kind in values]


def curve_of(folder: Path) -> list[dict[str, Any]]:
    """Training curves of a cell without the times, which differ from run to run."""
    points = details_of(folder, "step")
    return [{name: value for name, value in point.items() if "time" not in name} for point in points]


def test_a_cell_is_measured_and_its_result_can_be_stored(tmp_path: Path) -> None:
    result = run_cell(spec(regularizer="aux_heads"), tmp_path)
    assert result.status == "done", result.error
    assert set(result.metrics) == set(TASKS)
    assert result.metrics["depth"]["rmse@pixel"]["unit"] == "m"
    assert result.cost["parameters_training"] > result.cost["parameters_inference"] > 4e5
    assert result.provenance["data"]["id"].startswith("synthetic-")
    assert RunResult.from_text(result.to_text()) == result
    curve, images = (details_of(tmp_path, kind) for kind in ("step", "image"))
    assert [point["step"] for point in curve] == [1, 2, 3, 4]
    assert {"loss", "loss_depth"} <= set(curve[0])
    assert len(images) == result.provenance["data"]["frames"]
    assert all(0 <= image["semseg/pixAcc"] <= 100 for image in images)
    (log,) = tmp_path.rglob("*.log")
    assert "ResumableStateHook" in log.read_text()
    assert "before_train_iter" not in log.read_text(), "the log lists every stage of every hook"


@pytest.mark.skipif(torch.cuda.is_available(), reason="measures the memory of the GPU instead")
def test_the_peak_of_memory_is_in_mib() -> None:
    """The peak in KiB from the system's own file, and not less than the memory in use now."""
    status = Path("/proc/self/status")
    if not status.exists():
        pytest.skip("needs /proc")
    sizes = {line.split(":")[0]: line.split()[1] for line in status.read_text().splitlines() if line.endswith("kB")}
    assert peak_memory_mb() == pytest.approx(int(sizes["VmHWM"]) / 1024, rel=0.01)
    assert peak_memory_mb() >= int(sizes["VmRSS"]) / 1024 - 1


def test_the_same_seed_gives_the_same_weights_and_numbers(tmp_path: Path, trained: tuple[Path, RunResult]) -> None:
    folder, first = trained
    second = run_cell(spec(), tmp_path)
    assert same(weights(folder), weights(tmp_path))
    assert first.metrics == second.metrics


@pytest.mark.parametrize(
    ("method", "regularizer", "overrides"),
    [
        # Dropout draws from the global random stream.
        ("atrc", "none", {"ema": {"decay": 0.9}, "method.dropout": 0.5}),
        # A save in the middle of an accumulation is delayed to its end, from iteration 1 to 2.
        ("hard_sharing", "aux_heads", {"optim_wrapper.accumulative_counts": 2, "checkpoint_interval": 1}),
        ("hard_sharing", "three_d_aware", {"regularizer.weight": "calibrated"}),
    ],
    ids=["dropout", "accumulation", "calibration"],
)
def test_an_interrupted_cell_continues_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, regularizer: str, overrides: dict[str, Any]
) -> None:
    """The state is saved after step 2; the run dies at step 3, and the second attempt does steps 3 and 4."""
    cell = spec(method=method, regularizer=regularizer, overrides=overrides)
    whole = run_cell(cell, tmp_path / "whole")
    save = ResumableStateHook.save

    def save_and_die(hook: ResumableStateHook, runner: Any, iteration: int) -> None:
        save(hook, runner, iteration)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ResumableStateHook, "save", save_and_die)
        with pytest.raises(KeyboardInterrupt):
            run_cell(cell, tmp_path / "broken")
    file = tmp_path / "broken" / STATE_FILE
    state = read_state(file)
    (part,) = state["parts"]
    assert part["until"] == 2
    assert part["seconds"] > 0
    parts = [
        {"until": until, "seconds": seconds, "commit": letter * 40, "dirty": False}
        for until, seconds, letter in ((1, 1000.0, "a"), (2, 500.0, "b"))
    ]
    write_state(file, {**state, "parts": parts})
    result = run_cell(cell, tmp_path / "broken")
    assert result.status == "done", result.error
    assert 1500 < result.cost["train_seconds"] < 1900, "the training before the interruptions counts"
    assert result.cost["seconds_per_step"] == result.cost["train_seconds"] / 4
    assert [earlier["commit"] for earlier in result.provenance["earlier_parts"]] == ["a" * 40, "b" * 40]
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    assert result.metrics == whole.metrics
    measured = {"seconds", "memory_mb"}
    assert {name: value for name, value in result.diagnostics.items() if name not in measured} == {
        name: value for name, value in whole.diagnostics.items() if name not in measured
    }
    assert curve_of(tmp_path / "whole") == curve_of(tmp_path / "broken")


def test_a_cell_whose_result_was_not_stored_is_evaluated_and_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: tuple[Path, RunResult]
) -> None:
    """The training state of the last step remains after `run_cell`; the caller removes it after storing the result."""
    folder, first = trained
    copytree(folder, tmp_path, dirs_exist_ok=True)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a step was trained again")

    monkeypatch.setattr("benchmark.training.model.TrainingModule.train_step", refuse)
    assert run_cell(spec(), tmp_path).metrics == first.metrics
    remove_training_state(tmp_path)
    assert not (tmp_path / STATE_FILE).exists()


def test_a_state_that_does_not_fit_the_network_starts_the_training_anew(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], trained: tuple[Path, RunResult]
) -> None:
    run_cell(spec(method="mtan"), tmp_path / "other")
    foreign = read_state(tmp_path / "other" / STATE_FILE) | {"run_id": spec().run_id}
    (tmp_path / "cell").mkdir()
    write_state(tmp_path / "cell" / STATE_FILE, foreign)
    assert run_cell(spec(), tmp_path / "cell").status == "done"
    assert "its tensors differ from the tensors of the model" in capfd.readouterr().out
    assert same(weights(trained[0]), weights(tmp_path / "cell"))


def test_averaged_weights_are_scored_in_place_of_the_last_ones(tmp_path: Path, trained: tuple[Path, RunResult]) -> None:
    folder, _ = trained
    run_cell(spec(overrides={"ema": {"decay": 0.9}}), tmp_path)
    last, average = (read_state(place / STATE_FILE) for place in (folder, tmp_path))
    trained = [
        {name: value for name, value in state["module"].items() if isinstance(value, torch.Tensor)}
        for state in (last, average)
    ]
    assert same(*trained), "averaging must not change the training"
    assert same(
        {name: value for name, value in weights(tmp_path).items() if value.is_floating_point()},
        average["averaged"]["average"],
    )
    assert not same(weights(folder), weights(tmp_path))


def test_a_metric_that_is_not_a_number_is_a_diverged_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmark.metrics.depth.DepthMetric.metrics", lambda self, images: {"rmse@pixel": float("nan")}
    )
    result = run_cell(spec(), tmp_path)
    assert (result.status, result.error) == (
        "diverged",
        "depth/rmse@pixel is nan: the predictions are not finite numbers",
    )


def test_weight_zero_trains_as_if_there_were_no_regularizer(tmp_path: Path, trained: tuple[Path, RunResult]) -> None:
    run_cell(spec(regularizer="aux_heads", overrides={"regularizer.weight": 0.0}), tmp_path)
    assert same(weights(trained[0]), weights(tmp_path))


def test_a_regularizer_calibrates_without_random_numbers_of_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step finds the random stream as without a regularizer, so dropout is the same."""
    states: list[torch.Tensor] = []
    step = TrainingModule.train_step

    def train_step(module: TrainingModule, *arguments: Any, **options: Any) -> Any:
        states.append(torch.get_rng_state())
        return step(module, *arguments, **options)

    monkeypatch.setattr(TrainingModule, "train_step", train_step)
    monkeypatch.setattr(AuxHeads, "calibrate", lambda self, targets: torch.rand(sum(1 for _ in targets)))
    for name in ("none", "aux_heads"):
        cell = spec(regularizer=name, overrides={"train_cfg.max_iters": 1})
        assert run_cell(cell, tmp_path / name).status == "done"
    assert torch.equal(*states)


def test_saved_weights_score_the_same_again(tmp_path: Path, trained: tuple[Path, RunResult]) -> None:
    folder, result = trained
    metrics, data = evaluate_cell(spec(), folder / MODEL_FILE, tmp_path)
    assert metrics == result.metrics
    assert data == result.provenance["data"]


def test_a_loss_that_is_not_a_number_is_a_result(tmp_path: Path) -> None:
    result = run_cell(spec(overrides={"optim_wrapper.optimizer.lr": 1e30, "checkpoint_interval": 0}), tmp_path)
    assert result.status == "diverged"
    assert "not finite" in (result.error or "")


def test_a_failed_cell_has_its_error_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_result_has_the_diagnostics_of_the_regularizer(tmp_path: Path) -> None:
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
    # Four steps of a thin field: the weights are as in the first step, near flat over 64 samples.
    assert 2 < found["ray_entropy"] < 4.16
    assert found["gradient_ratio"] == pytest.approx(0.3, rel=0.5)
    assert RunResult.from_text(result.to_text()) == result


def test_labelled_frames_and_posed_pairs_train_together(tmp_path: Path) -> None:
    pairs = {"train_dataloader.dataset.pairs": "synthetic", "train_dataloader.batch_size": 4, "train_cfg.max_iters": 2}
    result = run_cell(spec(regularizer="three_d_aware_multiview", overrides=pairs), tmp_path)
    assert result.status == "done", result.error
    assert result.provenance["data"]["pairs"]["id"] == result.provenance["data"]["id"]
    assert 0 < (result.diagnostics["paired"] or 0) < 1
    assert 0 < (result.diagnostics["seen"] or 0) <= 1
