"""Checkpoints that survive a crash, resume exactly, and load without running code.

mmengine 0.10 writes checkpoints in place, keeps no random state, replays the data loader to resume, and loads with
`torch.load` in a way that torch 2.6 and newer refuse. So this module saves and restores the state of a training run
itself, as a hook: weights of model and regularizer, optimiser, schedulers, iteration and random states.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from benchmark.records.atomic import replacing
from benchmark.records.provenance import code_state

STATE_FILE = "training_state.pt"
PREVIOUS_FILE = "training_state.previous.pt"
MODEL_FILE = "model.safetensors"
REGULARIZER_FILE = "regularizer.safetensors"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says which and why."""


def save_model(model: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the weights of a model alone, without regularizer or optimiser, as safetensors."""
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(tensors, str(temporary), metadata=dict(metadata))


def save_regularizer(regularizer: nn.Module | None, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the state of a regularizer, to be looked at later; no file where it has none."""
    state = regularizer.state_dict() if regularizer is not None else {}
    if not state:
        return
    # Cloned, since safetensors refuses tensors that share memory, as a regularizer's may.
    tensors = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    with replacing(path) as temporary:
        save_file(tensors, str(temporary), metadata=dict(metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """What `save_model` wrote beside the weights."""
    with safe_open(str(path), framework="pt") as file:
        return dict(file.metadata() or {})


def load_model(model: nn.Module, path: Path) -> None:
    """Load what `save_model` or `save_regularizer` wrote; every tensor must match.

    Raises:
        CheckpointError: if the file is missing or damaged, or its tensors are not those of the model.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; train the cell first")
    try:
        tensors = load_file(str(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a readable safetensors file ({error})") from error
    own = model.state_dict()
    problems = [f"missing {name}" for name in own if name not in tensors]
    problems += [f"unexpected {name}" for name in tensors if name not in own]
    problems += [
        f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if problems:
        raise CheckpointError(f"{path} does not fit the model: {'; '.join(problems[:3])} ({len(problems)} in all)")
    model.load_state_dict(tensors)


def random_states() -> dict[str, Any]:
    """States of the Python, NumPy and torch generators, as tensors and plain values."""
    version, keys, gauss = random.getstate()
    name, numbers, position, has_gauss, cached = np.random.get_state(legacy=True)
    words = torch.from_numpy(np.asarray(numbers, dtype=np.int64))
    return {
        "python": [version, list(keys), gauss],
        "numpy": [name, words, int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Put the generators back as `random_states` found them."""
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numbers, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, numbers.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])


def latest_state(folder: Path) -> dict[str, Any] | None:
    """The newest readable training state of a cell, None where there is none.

    A damaged newest file (the machine died while the disk was full, say) falls back on the one before it.
    """
    for name in (STATE_FILE, PREVIOUS_FILE):
        path = folder / name
        if path.is_file():
            try:
                state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # torch raises many types for a damaged file; each means "not usable"
                print(f"{path}: damaged checkpoint ignored ({type(error).__name__})")
                continue
            return state
    return None


def parts_before(state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The parts of an interrupted training, without what came after the last save and was lost.

    Args:
        state: from `latest_state`.

    Returns:
        of each part the iteration `until` which it led, the `seconds` that it took, and the `commit` with its `dirty`.
    """
    return list(state.get("parts", [])) if state else []


def training_state(runner: Runner, iteration: int, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Everything that the rest of the training depends on, and what `parts_before` reads."""
    return {
        "iteration": iteration,
        "parts": [dict(part) for part in parts],
        "data": trained_on(runner),
        "module": runner.model.state_dict(),
        "optimizer": runner.optim_wrapper.state_dict(),
        "schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
        "random": random_states(),
    }


def trained_on(runner: Runner) -> str:
    """Fingerprint of the training data; empty for a data set that has none."""
    info = getattr(runner.train_dataloader.dataset, "info", None)
    return str(getattr(info, "fingerprint", ""))


def restore_training_state(runner: Runner, state: Mapping[str, Any]) -> None:
    """Continue as if the run had not been interrupted; the data sampler is started at the right sample elsewhere.

    Raises:
        CheckpointError: if the training began on other data.
    """
    begun_on, here = state.get("data", ""), trained_on(runner)
    if begun_on != here:
        raise CheckpointError(
            f"the training began on data with fingerprint {begun_on[:8]}..., here is {here[:8]}...; prepare the same "
            f"data again, or delete {runner.work_dir} to start anew"
        )
    runner.model.load_state_dict(state["module"])
    runner.optim_wrapper.load_state_dict(state["optimizer"])
    for scheduler, saved in zip(runner.param_schedulers, state["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    loop = runner.train_loop
    loop._iter = state["iteration"]
    runner.optim_wrapper.initialize_count_status(runner.model, loop.iter, loop.max_iters)
    restore_random_states(state["random"])


@HOOKS.register_module()
class ResumableStateHook(Hook):
    """Saves the training state every `interval` iterations, keeping two, and restores it before training.

    Args:
        folder: folder of the cell.
        interval: iterations between two saves; 0 for none.
        state: the state to start from, from `latest_state`.
    """

    priority = "VERY_LOW"

    def __init__(self, folder: str, interval: int, state: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self.interval = interval
        self.state = state
        self.parts = parts_before(state)
        self.began = time.perf_counter()

    def before_train(self, runner: Runner) -> None:
        """Restore the state, once everything is built."""
        self.began = time.perf_counter()
        if self.state is not None:
            restore_training_state(runner, self.state)
            self.state = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save, after the schedulers have stepped (this hook has the lowest priority)."""
        iteration = batch_idx + 1
        if self.interval and iteration % self.interval == 0 and iteration < runner.train_loop.max_iters:
            self.save(runner, iteration)

    def save(self, runner: Runner, iteration: int) -> None:
        """Write the state beside the one before it."""
        newest, previous = self.folder / STATE_FILE, self.folder / PREVIOUS_FILE
        part = {"until": iteration, "seconds": time.perf_counter() - self.began, **code_state()}
        with replacing(newest) as temporary:
            torch.save(training_state(runner, iteration, [*self.parts, part]), temporary)
            if newest.exists():
                os.replace(newest, previous)


def remove_training_state(folder: Path) -> None:
    """Delete the resume files of a finished cell; its model file stays."""
    for name in (STATE_FILE, PREVIOUS_FILE):
        (folder / name).unlink(missing_ok=True)
