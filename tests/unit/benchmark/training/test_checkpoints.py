"""Model files and training states: exact, whole, and refused where they do not fit."""

from __future__ import annotations

import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.training.checkpoints import (
    MODEL_FILE,
    PREVIOUS_FILE,
    STATE_FILE,
    CheckpointError,
    latest_state,
    load_model,
    random_states,
    restore_random_states,
    restore_training_state,
    save_model,
)


def test_a_saved_model_comes_back_bit_for_bit(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    save_model(model, tmp_path / MODEL_FILE, {"run_id": "x"})
    load_model(other, tmp_path / MODEL_FILE)
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), "missing 1.weight"),
        (nn.Sequential(nn.Linear(2, 3)), r"0.weight has shape \(2, 2\), expected \(3, 2\)"),
        (nn.Sequential(), "unexpected 0.weight"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_by_tensor_name(tmp_path: Path, other: nn.Module, message: str) -> None:
    save_model(nn.Sequential(nn.Linear(2, 2)), tmp_path / MODEL_FILE, {})
    with pytest.raises(CheckpointError, match=message):
        load_model(other, tmp_path / MODEL_FILE)


def test_a_missing_or_damaged_model_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        load_model(nn.Linear(1, 1), tmp_path / MODEL_FILE)
    (tmp_path / MODEL_FILE).write_bytes(b"not a checkpoint")
    with pytest.raises(CheckpointError, match="not a readable safetensors file"):
        load_model(nn.Linear(1, 1), tmp_path / MODEL_FILE)


def test_random_states_survive_a_file_loaded_without_running_code(tmp_path: Path) -> None:
    torch.save({"random": random_states()}, tmp_path / "state.pt")
    drawn = (random.random(), np.random.rand(), torch.rand(3))
    restore_random_states(torch.load(tmp_path / "state.pt", weights_only=True)["random"])
    again = (random.random(), np.random.rand(), torch.rand(3))
    assert drawn[:2] == again[:2]
    assert torch.equal(drawn[2], again[2])


def test_a_damaged_newest_state_falls_back_on_the_one_before(tmp_path: Path) -> None:
    torch.save({"iteration": 4}, tmp_path / PREVIOUS_FILE)
    (tmp_path / STATE_FILE).write_bytes(b"half a file")
    state = latest_state(tmp_path)
    assert state is not None
    assert state["iteration"] == 4


def test_there_is_no_state_before_the_first_is_saved(tmp_path: Path) -> None:
    assert latest_state(tmp_path) is None


def test_training_that_began_on_other_data_is_not_continued():
    """Else a result would name only the data it ended on."""

    class Runner:
        work_dir = "results/work/cell"
        train_dataloader = SimpleNamespace(dataset=SimpleNamespace(info=SimpleNamespace(fingerprint="b" * 64)))

    with pytest.raises(CheckpointError, match=r"aaaaaaaa.*bbbbbbbb.*delete results/work/cell"):
        restore_training_state(Runner(), {"data": "a" * 64})  # type: ignore[arg-type]
