"""Gradient ratios of losses whose gradients are known, the weight that follows from them, and what a look measures."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmark.cost.batches import random_batch
from benchmark.records.result import RunSpec
from benchmark.training.builders import build_training_module
from benchmark.training.compose import ConfigError, check_spec
from benchmark.training.gradient_calibration import Calibration, Watch, calibrated_ratio, gradient_ratio
from benchmark.training.model import TrainingModule


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


def test_what_reaches_no_feature_has_the_ratio_zero() -> None:
    maps, other = features(), features()
    assert gradient_ratio([linear(other, 1.0)], [linear(maps, 1.0)], [maps]) == 0
    assert gradient_ratio([torch.zeros(())], [linear(maps, 1.0)], [maps]) == 0
    assert gradient_ratio([linear(maps, 1.0)], [linear(other, 1.0)], [maps]) == 0
    assert gradient_ratio([linear(maps, 1.0)], [linear(maps, 1.0)], []) == 0


def test_calibration_gives_the_asked_ratio_and_then_stays() -> None:
    """Ratios 2 and 4 have the mean 3; 0.3 / 3 = 0.1 from the second step on, whatever comes."""
    maps, calibration = features(), Calibration(0.3, steps=2)
    found = []
    for slope in (2.0, 4.0, 100.0):
        scaled = calibration({"x": linear(maps, slope)}, {"loss_a": linear(maps, 1.0)}, [maps], training=True)
        found.append(torch.autograd.grad(scaled["x"], maps)[0].max().item() / slope)
    assert found == pytest.approx([0.15, 0.1, 0.1])
    again = Calibration(0.3, steps=2)
    again.load_state_dict(calibration.state_dict())
    assert again.settled
    assert again.factor() == pytest.approx(0.1)


def test_calibration_leaves_out_steps_without_a_gradient_and_evaluation() -> None:
    maps, calibration = features(), Calibration(0.3, steps=2)
    calibration({"x": torch.zeros(())}, {"loss_a": linear(maps, 1.0)}, [maps], training=True)
    calibration({"x": linear(maps, 1.0)}, {"loss_a": linear(maps, 1.0)}, [maps], training=False)
    assert calibration.count == 0
    assert calibration.factor() == 1.0


@pytest.mark.parametrize(("weight", "ratio"), [("calibrated", 0.3), ("calibrated:0.1", 0.1), (0.5, None), (None, None)])
def test_a_weight_is_a_number_or_a_ratio(weight: object, ratio: float | None) -> None:
    assert calibrated_ratio(weight) == ratio


@pytest.mark.parametrize("weight", ["calibrate", "calibrated:", "calibrated:0", "calibrated:-1", "calibrated:inf"])
def test_other_weights_are_refused_before_anything_runs(weight: str) -> None:
    spec = RunSpec("smoke", "hard_sharing", "aux_heads", "resnet18", ("depth",), 0, {"regularizer.weight": weight})
    with pytest.raises(ConfigError, match="calibrated:0.1"):
        check_spec(spec)


def test_a_look_measures_each_task_time_and_memory_and_leaves_the_terms_alone() -> None:
    """The sigmoid keeps its own result for the backward pass: 64 x 64 numbers of four bytes, 1 / 64 MiB."""
    maps = torch.zeros(1, 1, 64, 64, requires_grad=True)
    weight = nn.Parameter(torch.ones(()))
    losses = {"loss_a": linear(maps, 1.0), "loss_initial_a": linear(maps, 1.0), "loss_b": linear(maps, 1.0)}
    watch = Watch(looks=2)

    def work() -> dict[str, Tensor]:
        return {"loss_extra_a": 4 * (weight + maps).sigmoid().sum(), "loss_other": linear(maps, 1.0)}

    def looked(progress: float) -> dict[str, Tensor]:
        return watch.terms(work, losses, [maps], [weight], ["a", "b"], progress)[1]

    assert watch.terms(dict, losses, [maps], [], ["a"], 1.0) == ({}, {}), "of no terms there is nothing to say"
    assert looked(0.0) == looked(0.4) == {}, "what grows at the beginning would be taken for too little"
    terms, found = watch.terms(work, losses, [maps], [weight], ["a", "b"], 0.5)
    slope = 4 * torch.tensor(1.0).sigmoid().item() * (1 - torch.tensor(1.0).sigmoid().item())
    assert found["gradient_ratio_a"].item() == pytest.approx(slope / 2, rel=1e-5)
    assert found["gradient_ratio"].item() == pytest.approx((slope + 1) / 3, rel=1e-5)
    assert "gradient_ratio_b" not in found
    assert found["memory_mb"].item() == pytest.approx(1 / 64)
    assert found["seconds"] > 0
    assert terms["loss_other"].requires_grad
    assert looked(0.6) == {}
    assert looked(1.0) != {}


def module(options: dict[str, object]) -> TrainingModule:
    torch.manual_seed(0)
    tasks = {"semseg": {}, "depth": {}}
    return build_training_module(
        "hard_sharing", {}, "three_d_aware", options, "synthetic", tasks, "resnet18", 0, "channels_last"
    )


SMALL = {"samples": 4, "channels": 4, "plane_depth": 4, "hidden": 4}


def train(made: TrainingModule, steps: int) -> list[Tensor]:
    optimizer = torch.optim.SGD(made.parameters(), lr=1e-3)
    data = random_batch(made.model.tasks, 2, (32, 64))
    for _ in range(steps):
        optimizer.zero_grad()
        torch.stack([term for name, term in made(**data, mode="loss").items() if "loss" in name]).sum().backward()
        optimizer.step()
    return list(made.state_dict().values())


def test_a_look_leaves_no_graph_behind() -> None:
    """The sigmoid keeps its own result, which would keep the sigmoid: a cycle that no collector sees."""
    maps = torch.zeros(1, 1, 8, 8, requires_grad=True)
    alive: list[weakref.ref[Tensor]] = []

    def work() -> dict[str, Tensor]:
        made = maps.sigmoid()
        alive.append(weakref.ref(made))
        return {"x": made.sum()}

    terms, found = Watch().terms(work, {"loss_a": linear(maps, 1.0)}, [maps], [], ["a"], 1.0)
    assert found
    del terms
    gc.collect()
    assert alive[0]() is None


class AlwaysWatch(Watch):
    """Looks at every step."""

    def terms(self, *arguments: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        self.done = 0
        return super().terms(*arguments)


def test_looking_changes_nothing_that_is_trained() -> None:
    seldom, always = module(dict(SMALL)).train(), module(dict(SMALL)).train()
    seldom.watch, always.watch = Watch(0), AlwaysWatch()
    assert all(torch.equal(a, b) for a, b in zip(train(seldom, 3), train(always, 3), strict=True))


def test_a_calibrated_regularizer_pulls_as_hard_as_asked_from_its_first_step() -> None:
    """There is no ramp meanwhile; of one step the mean is the step's own ratio."""
    made = module({**SMALL, "weight": "calibrated:0.2"}).train()
    made.regularizer.progress = 0.0
    made.watch = AlwaysWatch(10**6)
    assert "regularizer_gradient_ratio" not in made(**random_batch(made.model.tasks, 2, (32, 64)), mode="loss")
    made.regularizer.progress = 1e-5
    made.calibration.count.zero_()
    made.calibration.total.zero_()
    terms = made(**random_batch(made.model.tasks, 2, (32, 64)), mode="loss")
    assert terms["regularizer_gradient_ratio"].item() == pytest.approx(0.2, rel=1e-4)
    assert made.regularizer.progress == 1e-5
