"""Training states: saved atomically with a digest, resumed exactly, loaded without running code.

mmengine 0.10 writes checkpoints in place, keeps no random state, replays the data loader to resume, and loads with
`torch.load` in a way that torch 2.6 and newer refuse. This module therefore saves and restores the state of a training
itself, as a hook: weights of model and regularizer, averaged weights, optimizer, schedulers, iteration, random states
and the logged values.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import random
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from benchmark.records.atomic import replacing
from benchmark.records.failures import INFRASTRUCTURE, class_of_os_error
from benchmark.records.provenance import code_state
from benchmark.records.store import STATE_FILES, remove_files
from benchmark.training.averaging import AveragingHook
from benchmark.training.data_parallel import devices_here, unwrapped
from benchmark.training.interruption import CellInterruptedError, is_requested
from benchmark.training.model_files import CheckpointError
from benchmark.training.recipe_keys import ConfigError

STATE_FILE, PREVIOUS_FILE = STATE_FILES
RESERVE_BYTES = 64 << 20
"""Free space that a checkpoint leaves on the disk, for logs and results."""
DIGEST_BYTES = hashlib.sha256().digest_size
STATE_KEYS = frozenset(
    ("iteration", "parts", "run_id", "data", "module", "averaged", "optimizer", "schedulers", "random", "logged")
)
DEVICES = "devices"
"""Key of the number of devices of the training; missing in the state of a training on one device."""

State = dict[str, Any]


class OtherDevicesError(ConfigError):
    """A training cannot continue, since it began on another number of devices."""


def random_states() -> dict[str, Any]:
    """States of the Python, NumPy and torch generators, as tensors and plain values."""
    version, keys, gauss = random.getstate()
    name, numbers, position, has_gauss, cached = np.random.get_state(legacy=True)
    words = torch.from_numpy(np.asarray(numbers, dtype=np.int64))
    return {
        "python": [version, list(keys), gauss],
        "numpy": [name, words, int(position), int(has_gauss), float(cached)],
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Restore generator states from `random_states`."""
    version, keys, gauss = states["python"]
    random.setstate((version, tuple(keys), gauss))
    name, numbers, position, has_gauss, cached = states["numpy"]
    np.random.set_state((name, numbers.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.is_available():
        # Older states have a state for every GPU of the machine, of which a training used one.
        torch.cuda.set_rng_state(states["cuda"][torch.cuda.current_device() % len(states["cuda"])])


def write_state(path: Path, state: Mapping[str, Any], previous: Path | None = None) -> None:
    """Write the SHA-256 digest of a training state's bytes, then the bytes.

    Args:
        path: file to write.
        state: the training state.
        previous: new name of the present file; None to replace it.

    Raises:
        OSError: if the disk has no room for the file; the present files stay.
    """
    content = io.BytesIO()
    torch.save(dict(state), content)
    check_room(path.parent, len(content.getbuffer()))
    with replacing(path) as temporary:
        with open(temporary, "xb") as file:
            file.write(hashlib.sha256(content.getbuffer()).digest())
            file.write(content.getbuffer())
        if previous is not None and path.exists():
            os.replace(path, previous)


def check_room(folder: Path, size: int) -> None:
    """Check that a file of `size` bytes would not fill the disk.

    Raises:
        OSError: naming the free and the wanted space.
    """
    free = shutil.disk_usage(folder).free
    if free < size + RESERVE_BYTES:
        wanted = f"{free / 2**20:.0f} MiB are free, {(size + RESERVE_BYTES) / 2**20:.0f} MiB are wanted"
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {wanted}", str(folder))


def read_state(path: Path) -> State:
    """Read a file from `write_state`.

    Raises:
        CheckpointError: if the digest differs, or the content is not a training state.
    """
    content = path.read_bytes()
    if hashlib.sha256(memoryview(content)[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
        raise CheckpointError(f"{path}: damaged, its digest does not fit its content")
    try:
        state: State = torch.load(io.BytesIO(content[DIGEST_BYTES:]), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a foreign file; each means "not usable"
        raise CheckpointError(f"{path}: not readable as a training state ({type(error).__name__})") from None
    if not isinstance(state, dict) or set(state) - {DEVICES} != STATE_KEYS or not isinstance(state["iteration"], int):
        raise CheckpointError(f"{path}: not a training state of this version of the suite")
    return state


def usable_states(folder: Path, run_id: str) -> Iterator[State]:
    """Readable training states of a cell, the newest first; each ignored file is reported.

    Args:
        folder: folder of the cell.
        run_id: identity of the cell; states of other cells are ignored.
    """
    for path in (folder / STATE_FILE, folder / PREVIOUS_FILE):
        if path.is_file():
            try:
                state = read_state(path)
                if state["run_id"] != run_id:
                    raise CheckpointError(f"{path}: belongs to the cell {state['run_id']}")
                yield state
            except (CheckpointError, OSError) as error:
                print(f"checkpoint ignored: {error}")


def misfit(runner: Runner, state: Mapping[str, Any]) -> str:
    """Reason why a state does not belong to the training of a runner; empty if it fits."""
    if not isinstance(state["module"], Mapping) or shapes(state["module"]) != shapes(
        unwrapped(runner.model).state_dict()
    ):
        return "its tensors differ from the tensors of the model"
    if state["iteration"] > runner.cfg.train_cfg.max_iters:
        return f"it is at iteration {state['iteration']} of {runner.cfg.train_cfg.max_iters}"
    return ""


def check_same_devices(state: Mapping[str, Any], folder: Path) -> None:
    """Refuse to continue a training on another number of devices, since sums over devices are rounded differently.

    Raises:
        OtherDevicesError: with the number of devices of the training.
    """
    begun_on, here = state.get(DEVICES, 1), devices_here().count
    if begun_on != here:
        raise OtherDevicesError(
            f"the training in {folder} began on {begun_on} devices, found {here}; continue it with --devices "
            f"{begun_on}, or delete this folder to start anew"
        )


def shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...] | None]:
    """Shapes of the tensors of a module's state by name; None for the extra state of a module."""
    return {name: tuple(value.shape) if isinstance(value, torch.Tensor) else None for name, value in state.items()}


def parts_before(state: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Parts of an interrupted training up to a saved state.

    Args:
        state: the training state that the cell resumes from.

    Returns:
        For each part the last iteration `until`, `seconds`, `commit` and `dirty`.
    """
    return list(state["parts"]) if state else []


def training_state(runner: Runner, iteration: int, parts: Sequence[Mapping[str, Any]], run_id: str) -> State:
    """State of the training: everything that later iterations and `parts_before` need."""
    averaging = averaging_of(runner)
    devices = devices_here().count
    return ({DEVICES: devices} if devices > 1 else {}) | {
        "iteration": iteration,
        "parts": [dict(part) for part in parts],
        "run_id": run_id,
        "data": trained_on(runner),
        "module": unwrapped(runner.model).state_dict(),
        "averaged": averaging.state_dict() if averaging else {},
        "optimizer": runner.optim_wrapper.state_dict(),
        "schedulers": [scheduler.state_dict() for scheduler in runner.param_schedulers],
        "random": random_states(),
        "logged": logged_values(runner.message_hub),
    }


def averaging_of(runner: Runner) -> AveragingHook | None:
    """Hook that averages the weights; None if the recipe sets no `ema`."""
    return next((hook for hook in runner.hooks if isinstance(hook, AveragingHook)), None)


def trained_on(runner: Runner) -> str:
    """Fingerprint of the training data; empty for a data set without one."""
    info = getattr(runner.train_dataloader.dataset, "info", None)
    return str(getattr(info, "fingerprint", ""))


def logged_values(hub: MessageHub) -> dict[str, list[torch.Tensor]]:
    """Logged scalars by name, as the two tensors of their history: values and counts."""
    return {name: [torch.tensor(part) for part in buffer.data] for name, buffer in hub.log_scalars.items()}


def restore_logged_values(hub: MessageHub, logged: Mapping[str, Sequence[torch.Tensor]]) -> None:
    """Restore logged scalars from `logged_values`."""
    for name, (values, counts) in logged.items():
        hub.log_scalars[name] = HistoryBuffer(values.numpy(), counts.numpy())


def restore_training_state(runner: Runner, state: Mapping[str, Any]) -> None:
    """Restore a training exactly; `compose` sets the start of the sampler.

    Raises:
        CheckpointError: if the training started on other data.
    """
    begun_on, here = state["data"], trained_on(runner)
    if begun_on != here:
        raise CheckpointError(
            f"the training began on data with fingerprint {begun_on[:8]}..., found {here[:8]}...; prepare the same "
            f"data again, or delete {runner.work_dir} to start anew"
        )
    unwrapped(runner.model).load_state_dict(state["module"])
    averaging = averaging_of(runner)
    if averaging:
        averaging.load_state_dict(state["averaged"])
    runner.optim_wrapper.load_state_dict(state["optimizer"])
    for scheduler, saved in zip(runner.param_schedulers, state["schedulers"], strict=True):
        scheduler.load_state_dict(saved)
    loop = runner.train_loop
    loop._iter = state["iteration"]
    runner.optim_wrapper.initialize_count_status(runner.model, loop.iter, loop.max_iters)
    restore_logged_values(runner.message_hub, state["logged"])
    restore_random_states(state["random"])


@HOOKS.register_module()
class ResumableStateHook(Hook):
    """Saves the training state every `interval` iterations and at the last one, and keeps the last two states.

    If the training was asked to end, the hook saves the state and raises `CellInterruptedError`. With gradient
    accumulation, the interval is rounded up to whole accumulations, since accumulated gradients are not saved.

    Args:
        folder: folder of the cell.
        run_id: identity of the cell.
        interval: iterations between two saves; 0 for the last iteration alone.
        state: state to resume from, None for a new training.
    """

    priority = "VERY_LOW"

    def __init__(self, folder: str, run_id: str, interval: int, state: Mapping[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self.run_id = run_id
        self.interval = interval
        self.state = state
        self.parts = parts_before(state)
        self.began = time.perf_counter()

    def before_train(self, runner: Runner) -> None:
        """Restore the state, after everything is built."""
        self.began = time.perf_counter()
        if self.state is not None:
            restore_training_state(runner, self.state)
            self.state = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save, after the schedulers have stepped (this hook has a lower priority)."""
        iteration = batch_idx + 1
        accumulated = runner.optim_wrapper._accumulative_counts
        interval = -(-self.interval // accumulated) * accumulated
        interrupted = is_requested() and iteration % accumulated == 0
        if interrupted or iteration == runner.train_loop.max_iters or (interval and iteration % interval == 0):
            self.save(runner, iteration)
        if interrupted:
            raise CellInterruptedError(f"asked to end; the state after iteration {iteration} is saved")

    def save(self, runner: Runner, iteration: int) -> None:
        """Write the state, on the first of several devices; the previous file is kept under another name.

        After an error of the machine, such as a full disk, the training continues without this state.
        """
        if not devices_here().writes:
            return
        newest, previous = self.folder / STATE_FILE, self.folder / PREVIOUS_FILE
        part = {"until": iteration, "seconds": time.perf_counter() - self.began, **code_state()}
        state = training_state(runner, iteration, [*self.parts, part], self.run_id)
        try:
            write_state(newest, state, previous)
        except OSError as error:
            if class_of_os_error(error) != INFRASTRUCTURE:
                raise
            print(f"checkpoint left out at iteration {iteration}: {error}; the training goes on", flush=True)


def remove_training_state(folder: Path) -> None:
    """Delete the resume files of a cell whose result is stored; its model file stays."""
    remove_files(folder, STATE_FILES)
