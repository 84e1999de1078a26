"""Model files and training states: exact round trips, and errors for wrong or damaged files."""

from __future__ import annotations

import hashlib
import io
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from benchmark.training import checkpoints
from benchmark.training.checkpoints import (
    PREVIOUS_FILE,
    STATE_FILE,
    STATE_KEYS,
    OtherDevicesError,
    ResumableStateHook,
    State,
    check_same_devices,
    misfit,
    random_states,
    remove_training_state,
    restore_random_states,
    restore_training_state,
    training_state,
    usable_states,
    write_state,
)
from benchmark.training.data_parallel import Devices
from benchmark.training.model_files import MODEL_FILE, CheckpointError, load_model, save_model


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


def state_at(iteration: int, run_id: str = "cell") -> State:
    """A training state of a linear layer."""
    module = nn.Linear(64, 64).state_dict()
    return dict.fromkeys(STATE_KEYS) | {"iteration": iteration, "run_id": run_id, "module": module}


def iterations(folder: Path) -> list[int]:
    """Iterations of the states that a cell may resume from, in the order of trying."""
    return [state["iteration"] for state in usable_states(folder, "cell")]


def test_the_newest_state_is_tried_before_the_previous_one(tmp_path: Path) -> None:
    assert iterations(tmp_path) == []
    write_state(tmp_path / PREVIOUS_FILE, state_at(2))
    write_state(tmp_path / STATE_FILE, state_at(4))
    assert iterations(tmp_path) == [4, 2]


def test_a_flipped_bit_anywhere_falls_back_on_the_previous_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """40 positions spread over digest, zip headers, pickle and tensor bytes."""
    write_state(tmp_path / PREVIOUS_FILE, state_at(2))
    write_state(tmp_path / STATE_FILE, state_at(4))
    whole = (tmp_path / STATE_FILE).read_bytes()
    for position in np.linspace(0, len(whole) - 1, 40, dtype=int):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(position) % 8
        (tmp_path / STATE_FILE).write_bytes(damaged)
        assert iterations(tmp_path) == [2], f"bit flip in byte {position}"
    assert capsys.readouterr().out.count("damaged, its digest does not fit its content") == 40


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"iteration": 4}, "not a training state of this version"),
        ([1, 2], "not a training state of this version"),
        (state_at(4) | {"iteration": "4"}, "not a training state of this version"),
        (state_at(4, run_id="another cell"), "belongs to the cell another cell"),
    ],
)
def test_a_loadable_file_of_a_wrong_kind_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: State, reason: str
) -> None:
    content = io.BytesIO()
    torch.save(state, content)
    digest = hashlib.sha256(content.getvalue()).digest()
    (tmp_path / STATE_FILE).write_bytes(digest + content.getvalue())
    assert iterations(tmp_path) == []
    assert reason in capsys.readouterr().out


def test_a_state_that_would_run_code_is_left_out_and_runs_nothing(tmp_path: Path) -> None:
    class Touch:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "touched",))

    content = io.BytesIO()
    torch.save(state_at(4) | {"data": Touch()}, content)
    (tmp_path / STATE_FILE).write_bytes(hashlib.sha256(content.getvalue()).digest() + content.getvalue())
    assert iterations(tmp_path) == []
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (state_at(4), ""),
        (state_at(10), ""),
        (state_at(11), "it is at iteration 11 of 10"),
        (state_at(4) | {"module": nn.Linear(3, 3).state_dict()}, "its tensors differ from the tensors of the model"),
        (state_at(4) | {"module": 7}, "its tensors differ from the tensors of the model"),
    ],
)
def test_a_state_of_another_network_or_a_longer_training_does_not_fit(state: State, reason: str) -> None:
    config = SimpleNamespace(train_cfg=SimpleNamespace(max_iters=10))
    runner = SimpleNamespace(model=nn.Linear(64, 64), cfg=config)
    assert misfit(runner, state) == reason  # type: ignore[arg-type]


def test_training_that_began_on_other_data_is_not_continued():
    """A result would otherwise name only the data of the last part."""

    class Runner:
        work_dir = "results/work/cell"
        train_dataloader = SimpleNamespace(dataset=SimpleNamespace(info=SimpleNamespace(fingerprint="b" * 64)))

    with pytest.raises(CheckpointError, match=r"aaaaaaaa.*bbbbbbbb.*delete results/work/cell"):
        restore_training_state(Runner(), {"data": "a" * 64})  # type: ignore[arg-type]


def test_a_state_that_cannot_be_opened_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_state(tmp_path / STATE_FILE, state_at(4))
    write_state(tmp_path / PREVIOUS_FILE, state_at(2))
    read = checkpoints.read_state

    def refuse(path: Path) -> State:
        if path.name == STATE_FILE:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(checkpoints, "read_state", refuse)
    assert iterations(tmp_path) == [2]
    assert "Permission denied" in capsys.readouterr().out


def runner_at(max_iters: int, accumulated: int = 1) -> Any:
    """The part of a Runner that a state is made of."""
    wrapper = SimpleNamespace(_accumulative_counts=accumulated, state_dict=dict)
    return SimpleNamespace(
        train_loop=SimpleNamespace(max_iters=max_iters),
        optim_wrapper=wrapper,
        model=nn.Linear(1, 1),
        hooks=[],
        param_schedulers=[],
        message_hub=SimpleNamespace(log_scalars={}),
        train_dataloader=SimpleNamespace(dataset=range(3)),
    )


@pytest.mark.parametrize(("interval", "accumulated", "saved"), [(5, 2, [6, 12, 13]), (0, 1, [13]), (5, 1, [5, 10, 13])])
def test_states_are_saved_at_whole_accumulations_and_at_the_end(
    interval: int, accumulated: int, saved: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []
    monkeypatch.setattr(ResumableStateHook, "save", lambda hook, runner, iteration: found.append(iteration))
    hook = ResumableStateHook(str(tmp_path), "cell", interval)
    for index in range(13):
        hook.after_train_iter(runner_at(13, accumulated), index)
    assert found == saved


def test_a_saved_state_counts_the_earlier_parts_and_the_time_since_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started at 100 s, saved at 130 s and 150 s; the two newest states are kept until they are removed."""
    earlier = {"until": 2, "seconds": 500.0, "commit": "a" * 40, "dirty": False}
    hook = ResumableStateHook(str(tmp_path), "cell", 5, state_at(2) | {"parts": [earlier]})
    monkeypatch.setattr(checkpoints, "restore_training_state", lambda runner, state: None)
    for now, call in ((100.0, hook.before_train), (130.0, None), (150.0, None)):
        monkeypatch.setattr(time, "perf_counter", lambda now=now: now)
        if call is not None:
            call(runner_at(9))
        else:
            hook.save(runner_at(9), int(now / 10) - 9)
    newest, previous = usable_states(tmp_path, "cell")
    assert (previous["iteration"], newest["iteration"]) == (4, 6)
    assert newest["parts"][0] == earlier
    assert [(part["until"], part["seconds"]) for part in newest["parts"]] == [(2, 500.0), (6, 50.0)]
    (tmp_path / "model.safetensors").touch()
    remove_training_state(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_the_first_of_several_devices_saves_and_their_number_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training on two devices continues on two; a state without a number comes from one."""
    for index in (1, 0):
        monkeypatch.setattr(checkpoints, "devices_here", lambda index=index: Devices(2, index))
        ResumableStateHook(str(tmp_path), "cell", 5).save(runner_at(9), 4)
        assert len(list(usable_states(tmp_path, "cell"))) == 1 - index
    (of_two,) = usable_states(tmp_path, "cell")
    check_same_devices(of_two, tmp_path)
    with pytest.raises(OtherDevicesError, match="began on 1 devices, found 2; continue it with --devices 1, or"):
        check_same_devices(state_at(4), tmp_path)
    monkeypatch.setattr(checkpoints, "devices_here", Devices)
    check_same_devices(state_at(4), tmp_path)
    with pytest.raises(OtherDevicesError, match="began on 2 devices, found 1"):
        check_same_devices(of_two, tmp_path)
    assert set(training_state(runner_at(9), 4, [], "cell")) == STATE_KEYS


def test_the_last_step_of_a_resumed_training_ends_an_incomplete_accumulation() -> None:
    """Five iterations in accumulations of two: resumed after the fourth, the fifth alone makes a step."""
    runner = runner_at(5)
    wrapper = OptimWrapper(torch.optim.SGD(runner.model.parameters(), lr=1.0), accumulative_counts=2)
    runner.optim_wrapper, runner.train_loop.iter = wrapper, 4
    state = training_state(runner, 4, [], "cell")
    restore_training_state(runner, state)
    before = runner.model.weight.item()
    wrapper.update_params(runner.model.weight.sum())
    assert runner.model.weight.item() != before
    assert runner.train_loop._iter == 4
