"""Order of samples, and stopping at a loss that is no number."""

from __future__ import annotations

import json
import time
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.runner import get_priority

from benchmark.contracts import Batch, MultiTaskOutput, Regularizer
from benchmark.tasks import NYUV2_TASKS
from benchmark.training import loops
from benchmark.training.averaging import AveragingHook
from benchmark.training.checkpoints import ResumableStateHook
from benchmark.training.data_parallel import Devices
from benchmark.training.loops import DivergedError, ExactIterLoop, FiniteLossHook, PositionSampler, ProgressFileHook
from benchmark.training.recipe_keys import ConfigError


def test_devices_together_draw_the_positions_of_one_device() -> None:
    """Three devices share steps of six samples; a resumed run skips two steps."""
    whole = list(islice(PositionSampler(range(5), seed=2, start=12), 24))
    parts = [
        list(islice(PositionSampler(range(5), seed=2, start=12, batch_size=6, rows=(first, 2)), 8))
        for first in (0, 2, 4)
    ]
    steps = [[position for rows in parts for position in rows[2 * step : 2 * step + 2]] for step in range(4)]
    assert [position for step in steps for position in step] == whole


def test_a_batch_that_cannot_be_split_equally_is_refused() -> None:
    assert [Devices(4, index).rows(8) for index in range(4)] == [2, 2, 2, 2]
    with pytest.raises(
        ConfigError, match="a batch of 8 cannot be split equally over 3 devices; devices for it: 1, 2, 4, 8"
    ):
        Devices(3).rows(8)


def positions(seed: int, number: int, start: int = 0) -> list[int]:
    """The first positions of a data set of five samples."""
    return list(islice(PositionSampler(range(5), seed=seed, start=start), number))


def test_the_order_of_an_epoch_is_numpys_permutation_of_seed_and_epoch() -> None:
    """Written down here, since published numbers depend on the order."""
    orders = [np.random.default_rng([3, epoch]).permutation(5) for epoch in range(2)]
    assert positions(seed=3, number=10) == [*orders[0].tolist(), *(orders[1] + 5).tolist()]
    assert len(PositionSampler(range(5), seed=3, batch_size=2)) == 5


def test_every_epoch_holds_every_sample_once() -> None:
    drawn = positions(seed=0, number=15)
    assert [sorted(p % 5 for p in drawn[i : i + 5]) for i in (0, 5, 10)] == [[0, 1, 2, 3, 4]] * 3
    assert [p // 5 for p in drawn] == [0] * 5 + [1] * 5 + [2] * 5


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = {tuple(p % 5 for p in positions(seed, 10)[epoch * 5 :][:5]) for seed in range(4) for epoch in range(2)}
    assert len(orders) > 4


@pytest.mark.parametrize("start", [0, 3, 5, 12])
def test_a_later_start_continues_the_same_order(start: int) -> None:
    assert positions(seed=1, number=6, start=start) == positions(seed=1, number=6 + start)[start:]


def runner(max_iters: int) -> SimpleNamespace:
    """The part of a Runner that the hooks read."""
    return SimpleNamespace(train_loop=SimpleNamespace(max_iters=max_iters))


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_term() -> None:
    bad, fine = torch.tensor(float("inf")), torch.ones(())
    outputs = {"loss": bad, "loss_depth": bad, "loss_semseg": fine}
    with pytest.raises(DivergedError, match="iteration 10: loss_depth"):
        FiniteLossHook(interval=10).after_train_iter(runner(100), 9, outputs=outputs)


def test_the_last_iteration_is_looked_at_whatever_the_interval() -> None:
    outputs = {"loss": torch.tensor(float("nan"))}
    FiniteLossHook(interval=10).after_train_iter(runner(100), 4, outputs=outputs)
    with pytest.raises(DivergedError):
        FiniteLossHook(interval=10).after_train_iter(runner(5), 4, outputs=outputs)


def test_a_loss_is_looked_at_every_ten_iterations_before_the_state_is_saved() -> None:
    hook, outputs = FiniteLossHook(), {"loss": torch.tensor(float("nan"))}
    for iteration in range(9):
        hook.after_train_iter(runner(100), iteration, outputs=outputs)
    with pytest.raises(DivergedError):
        hook.after_train_iter(runner(100), 9, outputs=outputs)
    assert (
        get_priority(hook.priority) < get_priority(AveragingHook.priority) < get_priority(ResumableStateHook.priority)
    )


def test_progress_is_written_every_two_seconds_by_the_first_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "progress.json"
    hook, steps = ProgressFileHook(str(path)), []
    for iteration, now in enumerate([1000.0, 1001.9, 1002.0, 1003.9, 1004.1]):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        hook.after_train_iter(runner(100), iteration)
        steps.append(json.loads(path.read_text())["step"])
    assert steps == [1, 1, 3, 3, 5]
    path.unlink()
    monkeypatch.setattr(loops, "devices_here", lambda: Devices(2, 1))
    ProgressFileHook(str(path)).after_train_iter(runner(1), 0)
    assert not path.exists()


def test_progress_is_written_at_the_end_at_the_latest(tmp_path: Path) -> None:
    hook = ProgressFileHook(str(tmp_path / "progress.json"), seconds=1e9)
    hook.after_train_iter(runner(3), 2)
    assert json.loads((tmp_path / "progress.json").read_text()) == {"step": 3, "steps": 3}


class Listener(Regularizer):
    """Records the progress of the training."""

    def __init__(self) -> None:
        super().__init__(NYUV2_TASKS, ())

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, torch.Tensor]:
        return {}


@pytest.mark.parametrize(("start", "heard"), [(0, [0.0, 0.25, 0.5, 0.75]), (2, [0.5, 0.75])])
def test_a_regularizer_receives_the_progress_of_the_training(start: int, heard: list[float]) -> None:
    """Progress in four iterations, from the start and resumed; 1 without a loop. The hooks of mmengine are called."""
    listener, shares, calls = Listener(), [], []
    assert listener.progress == 1

    class Recording(ExactIterLoop):
        def __init__(self) -> None:
            model = torch.nn.ModuleDict({"regularizer": listener})
            self._runner = SimpleNamespace(model=model.eval(), call_hook=calls.append)
            self._iter, self._max_iters, self.stop_training = start, 4, False
            self.dataloader_iterator = iter(range(4))

        def run_iter(self, data_batch: object) -> None:
            shares.append(listener.progress)
            self._iter += 1

    assert Recording().run().training
    assert shares == heard
    assert calls == ["before_train", "before_train_epoch", "after_train_epoch", "after_train"]
    stopped = Recording()
    stopped.stop_training = True
    stopped.run()
    assert shares == heard
