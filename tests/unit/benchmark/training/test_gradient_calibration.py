"""Gradient ratios of losses with known gradients, the calibrated weight, and the measurements of a probe."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.records.result import RunSpec
from benchmark.training import gradient_calibration
from benchmark.training.builders import build_training_module
from benchmark.training.compose import check_spec
from benchmark.training.gradient_calibration import (
    Calibration,
    GradientProbe,
    calibrated_ratio,
    gradient_norm,
    gradient_ratio,
    task_of,
)
from benchmark.training.model import TrainingModule
from benchmark.training.random_batches import random_batch
from benchmark.training.recipe_keys import ConfigError


def features() -> Tensor:
    """Maps of four numbers."""
    return torch.zeros(1, 1, 2, 2, requires_grad=True)


def linear(maps: Tensor, slope: float) -> Tensor:
    """A loss whose gradient is `slope` everywhere: norm 2 * slope."""
    return slope * maps.sum()


def test_the_ratio_is_that_of_norms_over_all_maps_together() -> None:
    """Gradients 3 and 4 in one place each, against 10: 0.5."""
    first, second = features(), features()
    terms = [3 * first[0, 0, 0, 0], 4 * second[0, 0, 0, 0]]
    assert gradient_ratio(terms, [10 * first[0, 0, 1, 1]], [first, second]).item() == pytest.approx(0.5)


def test_the_ratio_of_small_gradients_is_that_of_large_ones() -> None:
    maps = features()
    assert gradient_ratio([linear(maps, 3e-8)], [linear(maps, 1e-8)], [maps]).item() == pytest.approx(3)


def test_gradients_of_half_precision_are_measured_beyond_its_range() -> None:
    """A norm of 2 * 40000 exceeds 65504, the largest number of 16 bits."""
    maps = torch.zeros(1, 1, 2, 2, dtype=torch.float16, requires_grad=True)
    assert gradient_ratio([linear(maps.float(), 4e4)], [linear(maps.float(), 2e4)], [maps]).item() == pytest.approx(2)


def test_norms_cover_the_parts_of_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A norm of 3 here and of 4 on another device are a norm of 5."""
    monkeypatch.setattr(gradient_calibration, "num_parts", lambda: 2)
    monkeypatch.setattr(gradient_calibration, "sum_over_parts", lambda squared: squared + 4**2)
    maps = features()
    assert gradient_norm([3 * maps[0, 0, 0, 0]], [maps]).item() == pytest.approx(5)


def test_a_term_that_reaches_no_feature_has_the_ratio_zero() -> None:
    maps, other = features(), features()
    assert gradient_ratio([linear(other, 1.0)], [linear(maps, 1.0)], [maps]) == 0
    assert gradient_ratio([torch.zeros(())], [linear(maps, 1.0)], [maps]) == 0
    assert gradient_ratio([linear(maps, 1.0)], [linear(other, 1.0)], [maps]) == 0
    assert gradient_ratio([linear(maps, 1.0)], [linear(maps, 1.0)], []) == 0


def test_calibration_gives_the_requested_ratio_and_then_stays() -> None:
    """Ratios 2 and 4 have the mean 3; 0.3 / 3 = 0.1 from the second step on, whatever follows."""
    maps, calibration = features(), Calibration(0.3, steps=2)
    factors = []
    for slope in (2.0, 4.0, 100.0):
        calibration.measure([linear(maps, slope)], [linear(maps, 1.0)], [maps])
        factors.append(calibration.factor())
    assert factors == pytest.approx([0.15, 0.1, 0.1])
    again = Calibration(0.3, steps=2)
    again.load_state_dict(calibration.state_dict())
    assert again.settled
    assert again.factor() == pytest.approx(0.1)


def test_a_hundred_steps_are_measured() -> None:
    calibration = Calibration(0.3)
    for tried, settled in ((99, False), (100, True)):
        calibration.tried.fill_(tried)
        assert calibration.settled == settled


def test_terms_without_a_graph_are_not_measured() -> None:
    """A regularizer without terms, or a step that it leaves out, costs no backward pass and is not counted."""
    maps, calibration = features(), Calibration(0.3, steps=2)
    losses = [linear(maps, 1.0)]
    for terms in ([], [torch.zeros(())]):
        with gradients_forbidden():
            calibration.measure(terms, losses, [maps])
    assert calibration.tried == 0
    assert calibration.factor() == 1.0


def test_a_regularizer_that_reaches_no_feature_is_not_measured_for_ever() -> None:
    maps, other, calibration = features(), features(), Calibration(0.3, steps=2)
    for _ in range(2):
        calibration.measure([linear(other, 1.0)], [linear(maps, 1.0)], [maps])
    assert calibration.settled
    assert calibration.factor() == 1.0
    with gradients_forbidden():
        calibration.measure([linear(other, 1.0)], [linear(maps, 1.0)], [maps])


def test_a_step_without_a_gradient_on_the_features_does_not_count_in_the_mean() -> None:
    """Ratio 2 in one of two steps: 0.3 / 2, not 0.3 / 1."""
    maps, other, calibration = features(), features(), Calibration(0.3, steps=2)
    for term in (linear(other, 1.0), linear(maps, 2.0)):
        calibration.measure([term], [linear(maps, 1.0)], [maps])
    assert calibration.factor() == pytest.approx(0.15)


@contextmanager
def gradients_forbidden() -> Iterator[None]:
    """Fail on `torch.autograd.grad`."""

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a backward pass was computed")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.autograd, "grad", refuse)
        yield


@pytest.mark.parametrize(("weight", "ratio"), [("calibrated", 0.3), ("calibrated:0.1", 0.1), (0.5, None), (None, None)])
def test_a_weight_is_a_number_or_a_ratio(weight: object, ratio: float | None) -> None:
    assert calibrated_ratio(weight) == ratio


@pytest.mark.parametrize("weight", ["calibrate", "calibrated:", "calibrated:0", "calibrated:-1", "calibrated:inf"])
def test_other_weights_are_refused_before_anything_runs(weight: str) -> None:
    spec = RunSpec("smoke", "hard_sharing", "aux_heads", "resnet18", ("depth",), 0, {"regularizer.weight": weight})
    with pytest.raises(ConfigError, match="calibrated:0.1"):
        check_spec(spec)


def test_a_probe_measures_each_task_time_and_memory() -> None:
    """The sigmoid keeps its own result for the backward pass: 64 x 64 numbers of four bytes, 1 / 64 MiB.

    Products keep their factors: maps and weight, which exist without the regularizer, and the result of the sigmoid.
    """
    maps = torch.zeros(1, 1, 64, 64, requires_grad=True)
    weight = nn.Parameter(torch.ones(()))
    losses = {"loss_a": linear(maps, 1.0), "loss_initial_a": linear(maps, 1.0), "loss_b": linear(maps, 1.0)}
    task_losses = {"a": linear(maps, 2.0), "b": linear(maps, 1.0)}
    probe = GradientProbe()

    def work() -> dict[str, Tensor]:
        result = (weight + maps).sigmoid()
        extra = 4 * result.sum() + 0 * (weight * maps).sum() + 0 * (result * result).sum()
        return {"loss_extra_a": extra, "loss_other": linear(maps, 1.0)}

    assert probe.terms(dict, losses, task_losses, [maps], [], 1.0) == ({}, {}), "without terms, no measurement"
    with torch.no_grad():
        assert probe.terms(work, losses, task_losses, [maps], [weight], 0.5)[1] == {}
    terms, found = probe.terms(work, losses, task_losses, [maps], [weight], 0.5)
    slope = 4 * torch.tensor(1.0).sigmoid().item() * (1 - torch.tensor(1.0).sigmoid().item())
    assert found["gradient_ratio_a"].item() == pytest.approx(slope / 2, rel=1e-5)
    assert found["gradient_ratio"].item() == pytest.approx((slope + 1) / 3, rel=1e-5)
    assert "gradient_ratio_b" not in found
    assert found["memory_mb"].item() == pytest.approx(1 / 64)
    assert found["seconds"] > 0
    assert terms["loss_other"].requires_grad


class Clocked(torch.autograd.Function):
    """The sum of a map, on a clock that a forward pass moves by 2 s and a backward pass by 3 s."""

    now = 10.0

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        ctx.shape = maps.shape
        Clocked.now += 2
        return maps.sum()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        Clocked.now += 3
        return gradient.expand(ctx.shape)


def test_the_seconds_of_a_regularizer_are_those_of_both_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "perf_counter", lambda: Clocked.now)
    maps = features()
    _, found = GradientProbe().terms(lambda: {"x": Clocked.apply(maps)}, {"a": linear(maps, 1.0)}, {}, [maps], [], 0.5)
    assert found["seconds"].item() == 5


def probed_steps(probe: GradientProbe, steps: range, total: int) -> list[int]:
    """Steps of a training of `total` steps that a probe measures."""
    maps = features()
    loss = {"a": linear(maps, 1.0)}
    return [
        step for step in steps if probe.terms(lambda: {"x": linear(maps, 1.0)}, loss, loss, [maps], [], step / total)[1]
    ]


def test_a_training_is_probed_five_times_in_the_middle_of_its_fifths() -> None:
    assert probed_steps(GradientProbe(), range(1000), 1000) == [100, 300, 500, 700, 900]


def test_a_resumed_training_repeats_no_probe() -> None:
    probe, resumed = GradientProbe(), GradientProbe()
    assert probed_steps(probe, range(400), 1000) == [100, 300]
    resumed.load_state_dict(probe.state_dict())
    assert probed_steps(resumed, range(400, 1000), 1000) == [500, 700, 900]


def test_terms_belong_to_the_task_with_the_longest_name() -> None:
    tasks = ["depth", "sensor_depth", "semseg"]
    names = ["loss_depth", "loss_aux_heads_sensor_depth", "loss_initial_depth", "loss_geometry", "loss_mydepth"]
    assert [task_of(name, tasks) for name in names] == ["depth", "sensor_depth", "depth", None, None]


def module(options: dict[str, object]) -> TrainingModule:
    torch.manual_seed(0)
    tasks = {"semseg": {}, "depth": {}}
    return build_training_module(
        "hard_sharing", {}, "three_d_aware", options, "synthetic", tasks, "resnet18", 0, "channels_last"
    )


SMALL = {"samples": 4, "channels": 4, "plane_depth": 4, "hidden": 4}


def train(made: TrainingModule, steps: int) -> None:
    """Steps of SGD on one batch."""
    optimizer = torch.optim.SGD(made.parameters(), lr=1e-3)
    data = random_batch(made.model.tasks, 2, (32, 64))
    for _ in range(steps):
        optimizer.zero_grad()
        torch.stack(
            [term for name, term in made(**data, mode="loss").items() if name.startswith("loss_")]
        ).sum().backward()
        optimizer.step()


def test_a_probe_leaves_no_graph_behind() -> None:
    """The sigmoid keeps its own result, which would keep the sigmoid: a cycle that no collector sees."""
    maps = torch.zeros(1, 1, 8, 8, requires_grad=True)
    alive: list[weakref.ref[Tensor]] = []

    def work() -> dict[str, Tensor]:
        made = maps.sigmoid()
        alive.append(weakref.ref(made))
        return {"x": made.sum()}

    terms, found = GradientProbe().terms(work, {"loss_a": linear(maps, 1.0)}, {}, [maps], [], 1.0)
    assert found
    del terms
    gc.collect()
    assert alive[0]() is None


class ProbeOfEveryStep(GradientProbe):
    """Measures every step."""

    def terms(self, *arguments: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        self.done = 0
        return super().terms(*arguments)


def tensors(made: TrainingModule) -> list[Tensor]:
    """Parameters and buffers."""
    return [*made.parameters(), *made.buffers()]


def test_probes_change_nothing_that_is_trained() -> None:
    seldom, always = module(dict(SMALL)).train(), module(dict(SMALL)).train()
    seldom.probe, always.probe = GradientProbe(0), ProbeOfEveryStep()
    for made in (seldom, always):
        train(made, 3)
    assert all(torch.equal(a, b) for a, b in zip(tensors(seldom), tensors(always), strict=True))


def step_terms(made: TrainingModule, progress: float) -> dict[str, Tensor]:
    """Terms of one step of the training."""
    made.regularizer.progress = progress
    made.random_stream.states.clear()
    terms: dict[str, Tensor] = made(**random_batch(made.model.tasks, 2, (32, 64)), mode="loss")
    return terms


def test_calibration_measures_at_full_strength_and_trains_with_the_ramp() -> None:
    """Of one step, the mean ratio is the step's own. At half of the ramp, terms have half of the requested ratio."""
    made = module({**SMALL, "weight": "calibrated:0.2", "ramp": 0.5}).train()
    made.probe = ProbeOfEveryStep(10**6)
    first = step_terms(made, 0.0)
    assert all(term == 0 for name, term in first.items() if name.startswith("loss_three_d_aware"))
    full_ratio = made.calibration.total.item()
    assert full_ratio > 0, "measured at full strength in the first step of the ramp"
    made.calibration.total.zero_()
    made.calibration.count.zero_()
    half = step_terms(made, 0.25)
    assert made.calibration.total.item() == pytest.approx(full_ratio, rel=1e-5)
    assert half["regularizer_gradient_ratio"].item() == pytest.approx(0.1, rel=1e-4)
    assert half["regularizer_calibrated_factor"].item() == pytest.approx(0.2 / full_ratio, rel=1e-5)
    assert made.regularizer.progress == 0.25
    made.calibration.ratio = 0.4
    doubled = step_terms(made, 0.25)
    assert doubled["regularizer_gradient_ratio"] > half["regularizer_gradient_ratio"]
    assert doubled["regularizer_memory_mb"] == half["regularizer_memory_mb"] > 0, "only ratios have the factor"


def test_the_ramp_does_not_start_again_after_calibration() -> None:
    """The same batch and progress: terms during and after calibration are equal."""
    made = module({**SMALL, "weight": "calibrated", "ramp": 0.5}).train()
    made.calibration.steps = 2
    step_terms(made, 0.1)
    during = step_terms(made, 0.1)
    assert made.calibration.settled
    after = step_terms(made, 0.1)
    for name, term in during.items():
        if name.startswith("loss_three_d_aware"):
            assert after[name].item() == pytest.approx(term.item(), rel=1e-4)
            assert term > 0
