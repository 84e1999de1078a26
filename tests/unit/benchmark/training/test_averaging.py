"""Exponential moving average of weights."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmark.training.averaging import AveragingHook


def runner_of(model: nn.Module, accumulated: int = 1) -> SimpleNamespace:
    """The part of a Runner that the hook reads."""
    count = iter(range(1, 1000))
    wrapper = SimpleNamespace(should_update=lambda: next(count) % accumulated == 0)
    return SimpleNamespace(model=SimpleNamespace(model=model), optim_wrapper=wrapper)


def train(hook: AveragingHook, runner: SimpleNamespace, values: list[float]) -> None:
    """One iteration per value: every weight becomes that value."""
    for iteration, value in enumerate(values):
        with torch.no_grad():
            runner.model.model.weight.fill_(value)
        hook.after_train_iter(runner, iteration)  # type: ignore[arg-type]


def test_the_average_follows_its_recursion_by_hand() -> None:
    """Decay 0.5, not reached in the first steps: (1 + t) / (10 + t) is 2/11, 3/12 and 4/13 for t = 1, 2, 3."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 1.0)
    hook, runner = AveragingHook(decay=0.5), runner_of(model)
    hook.before_train(runner)  # type: ignore[arg-type]
    train(hook, runner, [2.0, 4.0, 8.0])
    first = 2 / 11 * 1 + 9 / 11 * 2
    second = 3 / 12 * first + 9 / 12 * 4
    third = 4 / 13 * second + 9 / 13 * 8
    hook.after_train(runner)  # type: ignore[arg-type]
    assert model.weight.item() == pytest.approx(third, rel=1e-6)


def test_the_decay_holds_after_the_first_steps() -> None:
    """(1 + t) / (10 + t) passes 0.5 at t = 8; 20 steps at 0, then one at 1 with decay 0.5 give 0.5."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    hook, runner = AveragingHook(decay=0.5), runner_of(model)
    hook.before_train(runner)  # type: ignore[arg-type]
    train(hook, runner, [0.0] * 20 + [1.0])
    assert hook.average["weight"].item() == pytest.approx(0.5)


def test_an_accumulation_moves_the_average_once() -> None:
    model = nn.Linear(1, 1, bias=False)
    hook, runner = AveragingHook(decay=0.5), runner_of(model, accumulated=4)
    hook.before_train(runner)  # type: ignore[arg-type]
    train(hook, runner, [1.0] * 8)
    assert hook.steps == 2


def test_running_statistics_are_averaged_and_counters_are_not() -> None:
    model = nn.BatchNorm2d(2)
    model.register_buffer("images", torch.tensor(3))
    hook, runner = AveragingHook(decay=0.9), runner_of(model)
    hook.before_train(runner)  # type: ignore[arg-type]
    assert set(hook.average) == {"weight", "bias", "running_mean", "running_var"}
    model.images.fill_(5)
    hook.after_train(runner)  # type: ignore[arg-type]
    assert model.images == 5


@pytest.mark.parametrize("decay", [-0.1, 1.0, float("nan")])
def test_a_decay_outside_its_range_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=r"ema\.decay must be at least 0 and below 1"):
        AveragingHook(decay)
