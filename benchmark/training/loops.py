"""Order of the training samples, and an iteration loop that resumes without replaying the data."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator, Sized
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.registry import DATA_SAMPLERS, HOOKS, LOOPS
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import Sampler

from benchmark.contracts import Regularizer
from benchmark.records.atomic import write_short_lived_text
from benchmark.training.data_parallel import devices_here


class DivergedError(RuntimeError):
    """The training loss or a metric is not a finite number."""


@DATA_SAMPLERS.register_module()
class PositionSampler(Sampler[int]):
    """Endless positions `epoch * len(dataset) + index`, with a new shuffled order in each epoch.

    The data set computes epoch and index from the position and seeds a sample's augmentation with (seed, epoch, index).
    So a sample does not depend on workers, prefetching or resuming.

    Args:
        dataset: the training data.
        seed: seed of the order.
        start: number of samples to skip, which an interrupted run has used.
        batch_size: samples of a step on all devices.
        rows: (first, number) of the samples of a step on this device; None for all.
    """

    def __init__(
        self, dataset: Sized, seed: int, start: int = 0, batch_size: int = 1, rows: tuple[int, int] | None = None
    ) -> None:
        self.length = len(dataset)
        self.seed = seed
        self.start = start
        self.batch_size = batch_size
        self.rows = rows or (0, batch_size)

    def __len__(self) -> int:
        """Samples of one epoch; the iterator is endless."""
        return self.length

    def __iter__(self) -> Iterator[int]:
        positions = self._positions()
        first, number = self.rows
        while True:
            yield from list(islice(positions, self.batch_size))[first : first + number]

    def _positions(self) -> Iterator[int]:
        """Positions of the samples of all devices."""
        epoch, skip = divmod(self.start, self.length)
        while True:
            order = np.random.default_rng((self.seed, epoch)).permutation(self.length)
            for index in order[skip:].tolist():
                yield epoch * self.length + index
            epoch, skip = epoch + 1, 0


@LOOPS.register_module()
class ExactIterLoop(IterBasedTrainLoop):
    """mmengine's iteration loop without the replay of skipped batches, since the sampler starts after them."""

    def run(self) -> nn.Module:
        """Train up to `max_iters`."""
        self.runner.call_hook("before_train")
        self.runner.call_hook("before_train_epoch")
        self.runner.model.train()
        with warnings.catch_warnings():
            # With gradient accumulation, the schedule intentionally steps before the optimizer.
            warnings.filterwarnings("ignore", message="Detected call of `scheduler.step")
            while self._iter < self._max_iters and not self.stop_training:
                tell_progress(self.runner.model, self._iter / self._max_iters)
                self.run_iter(next(self.dataloader_iterator))
        self.runner.call_hook("after_train_epoch")
        self.runner.call_hook("after_train")
        return self.runner.model


def tell_progress(module: nn.Module, progress: float) -> None:
    """Set the completed share of the training in all regularizers below a module."""
    for part in module.modules():
        if isinstance(part, Regularizer):
            part.progress = progress


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops a run whose loss is NaN or infinite; the result has the status `diverged`.

    Args:
        interval: iterations between two checks; a check waits for the GPU.
    """

    priority = "VERY_HIGH"

    def __init__(self, interval: int = 10) -> None:
        self.interval = interval

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Check the summed loss."""
        last = batch_idx + 1 == runner.train_loop.max_iters
        if (batch_idx + 1) % self.interval and not last:
            return
        if not outputs["loss"].detach().isfinite():
            terms = [name for name, value in outputs.items() if name != "loss" and not value.detach().isfinite()]
            raise DivergedError(f"the loss is not finite at iteration {batch_idx + 1}: {', '.join(terms)}")


@HOOKS.register_module()
class ProgressFileHook(Hook):
    """Writes the number of completed steps to a file for the launcher.

    Args:
        path: file to write, `{"step": ..., "steps": ...}`.
        seconds: shortest time between two writes.
    """

    def __init__(self, path: str, seconds: float = 2.0) -> None:
        self.path = Path(path)
        self.seconds = seconds
        self._last = 0.0

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Write the step count, if the last write is old enough or the training ends."""
        if not devices_here().writes:
            return
        now = time.monotonic()
        steps = runner.train_loop.max_iters
        if now - self._last >= self.seconds or batch_idx + 1 == steps:
            self._last = now
            write_short_lived_text(self.path, json.dumps({"step": batch_idx + 1, "steps": steps}))
