"""Contract of every registered method. Known exceptions are in the registry, strict and with a reason."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from unittest import mock

import pytest
import torch
from acceleration import assert_the_same_when_accelerated
from scenes import BACKBONE, TASK_SETS, build_method, predict, random_batch, total

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.registry import BACKBONES, METHODS, Registry
from benchmark.tasks import NYUV2_TASKS, TaskSet
from benchmark.training.model import MultiTaskModel

FAMILIES = ("hrnet_w18_small_v2", "vit_tiny")
"""Backbones with parallel branches or one scale, which some methods handle differently from a pyramid."""

CHECKS: dict[str, Callable[[str], None]] = {}


def check(function: Callable[[str], None]) -> Callable[[str], None]:
    """A check of one method; its name is the key of `expected_failures`."""
    CHECKS[function.__name__] = function
    return function


def cases() -> list[Any]:
    """Every method with every check. A search, which has no row in a table, is accelerated in the slow tests only."""
    found = []
    for name in METHODS.names():
        entry = METHODS.entry(name)
        failures = entry.expected_failures
        for key in CHECKS:
            marks = [pytest.mark.xfail(reason=failures[key], strict=True)] if key in failures else []
            if key == is_the_same_network_when_accelerated.__name__ and not entry.in_all:
                marks.append(pytest.mark.slow)
            found.append(pytest.param(name, key, id=f"{name}-{key}", marks=marks))
    return found


def losses_of(model: MultiTaskModel, tasks: TaskSet, seed: int = 0) -> dict[str, torch.Tensor]:
    """Loss terms on a random batch."""
    terms: dict[str, torch.Tensor] = model(**random_batch(tasks, seed=seed), mode="loss")
    return terms


def runs_on(name: str, backbone: str, device: str) -> None:
    """Assert that a method predicts two tasks on a backbone, on some device."""
    with torch.device(device), torch.no_grad():
        method = METHODS.create(name, TASK_SETS["two_tasks"], backbone).eval()
        predictions = method(torch.zeros(1, 3, 72, 104)).predictions
    assert predictions["depth"].shape == (1, 1, 72, 104), backbone


@check
def is_built_from_tasks_and_backbone_alone(name: str) -> None:
    """Construction for four tasks, for two, and for one."""
    for tasks in TASK_SETS.values():
        method = build_method(name, tasks)
        output = method.eval()(torch.randn(1, 3, 64, 96))
        assert list(output.predictions) == list(tasks)


@check
def predicts_each_task_at_input_size(name: str) -> None:
    """Predictions with the task's channels, also for sizes that are neither square nor multiples of 32."""
    method = build_method(name).eval()
    for size in ((64, 96), (75, 101)):
        with torch.no_grad():
            predictions = method(torch.randn(1, 3, *size)).predictions
        shapes = {task: tuple(prediction.shape) for task, prediction in predictions.items()}
        assert shapes == {task: (1, NYUV2_TASKS[task].channels, *size) for task in NYUV2_TASKS}


@check
def features_are_what_feature_specs_say(name: str) -> None:
    """Number, channels and stride of the maps that a regularizer reads."""
    method = build_method(name)
    images = torch.randn(2, 3, 64, 96)
    features = method(images).features
    described = [(spec.channels, -(-64 // spec.stride), -(-96 // spec.stride)) for spec in method.feature_specs]
    assert [tuple(feature.shape[1:]) for feature in features] == described


@check
def has_shared_features(name: str) -> None:
    """A method that takes regularizers gives them a map, with a graph behind it in training."""
    features = build_method(name).train()(torch.randn(2, 3, 64, 96)).features
    assert features
    assert all(feature.requires_grad for feature in features)


@check
def sends_gradients_into_the_features_that_it_shares(name: str) -> None:
    """Gradients from the prediction of every task to every map that the task reads, in training mode."""
    method = build_method(name).train()
    output = method(torch.randn(2, 3, 64, 96))
    for task, prediction in output.predictions.items():
        read = [
            feature
            for feature, spec in zip(output.features, method.feature_specs, strict=True)
            if spec.task in (None, task)
        ]
        gradients = (
            torch.autograd.grad(prediction.square().sum(), read, retain_graph=True, allow_unused=True) if read else ()
        )
        assert all(gradient is not None for gradient in gradients), task


@check
def predicts_from_the_features_that_it_shares(name: str) -> None:
    """A change of a map changes the predictions of the tasks that read it, no others, and no later prediction."""
    for backbone in (BACKBONE, *FAMILIES):
        method, images = built_on(name, backbone)[0].eval(), torch.randn(1, 3, 40, 52)
        with torch.no_grad():
            before = method(images)
            for task, prediction in before.predictions.items():
                assert prediction.shape == (1, NYUV2_TASKS[task].channels, 40, 52), backbone
            for position, spec in enumerate(method.feature_specs):
                changed = changed_predictions(method, images, position, before)
                assert changed == ([spec.task] if spec.task else list(NYUV2_TASKS)), f"map {position} on {backbone}"
            after = method(images).predictions
        assert all(torch.equal(after[task], before.predictions[task]) for task in after)


def changed_predictions(method: Method, images: torch.Tensor, position: int, before: MultiTaskOutput) -> list[str]:
    """Tasks whose predictions change with the shared map at a position."""
    noise = torch.Generator().manual_seed(5)

    def change(place: int, features: torch.Tensor) -> torch.Tensor:
        return features + torch.randn(features.shape, generator=noise) if place == position else features

    with method.changing_features(change):
        within = method(images)
    assert not torch.equal(within.features[position], before.features[position])
    return [task for task in before.predictions if not torch.equal(within.predictions[task], before.predictions[task])]


@lru_cache(maxsize=8)
def built_on(name: str, backbone: str) -> tuple[Method, set[int]]:
    """A method for checks that leave it as it is, and the identities of the parameters that its backbones came with."""
    made: list[torch.nn.Module] = []

    def create(self: Registry, entry: str, /, *args: Any, **options: Any) -> Any:
        built = self.entry(entry).factory(*args, **options)
        made.extend([built] if self is BACKBONES else [])
        return built

    with mock.patch.object(Registry, "create", create):
        method = build_method(name, backbone=backbone)
    return method, {id(parameter) for encoder in made for parameter in encoder.parameters()}


@check
def reports_the_parameters_of_its_backbones(name: str) -> None:
    """All parameters in the method that came from a registered backbone, and no others."""
    for backbone in (BACKBONE, *FAMILIES):
        method, from_backbones = built_on(name, backbone)
        expected = [key for key, parameter in method.named_parameters() if id(parameter) in from_backbones]
        reported = {id(parameter) for parameter in method.backbone_parameters()}
        assert [key for key, parameter in method.named_parameters() if id(parameter) in reported] == expected
        assert len(reported) == len(method.backbone_parameters()) == len(expected)
        assert bool(expected) == ("has_parameters" not in METHODS.entry(name).expected_failures), backbone


@check
def every_parameter_gets_a_gradient(name: str) -> None:
    """Sum of all losses. A parameter without a gradient would count but have no use."""
    model = MultiTaskModel(build_method(name), NYUV2_TASKS).train()
    total(losses_of(model, NYUV2_TASKS)).backward()
    untouched = [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert not untouched


@check
def has_parameters(name: str) -> None:
    """At least one parameter to train."""
    assert any(parameter.requires_grad for parameter in build_method(name).parameters())


@check
def stays_finite_for_three_steps(name: str) -> None:
    """Three steps of SGD on one batch."""
    model = MultiTaskModel(build_method(name), NYUV2_TASKS).train()
    optimizer = torch.optim.SGD([*model.parameters(), torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
    for _ in range(3):
        loss = total(losses_of(model, NYUV2_TASKS))
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        optimizer.step()
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values() if tensor.is_floating_point())


@check
def an_image_is_predicted_independently_of_its_batch(name: str) -> None:
    """Predictions in eval mode."""
    model = MultiTaskModel(build_method(name), NYUV2_TASKS)
    images = torch.randn(3, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    together, alone = predict(model, images), predict(model, images[1:2])
    for task, prediction in alone.items():
        torch.testing.assert_close(together[task][1:2], prediction, rtol=1e-4, atol=1e-4)


@check
def the_same_seed_gives_the_same_output(name: str) -> None:
    """Bit-identical for equal seeds; weights, if any, differ for another seed."""
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    first, second = (predict(MultiTaskModel(build_method(name), NYUV2_TASKS), images) for _ in range(2))
    assert all(torch.equal(first[task], second[task]) for task in first)


@check
def a_saved_state_dict_gives_the_same_output(name: str) -> None:
    """Written, read into a model of another seed, compared bit for bit."""
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(3))
    model, other = (MultiTaskModel(build_method(name, seed=seed), NYUV2_TASKS) for seed in (0, 1))
    written = io.BytesIO()
    torch.save(model.state_dict(), written)
    written.seek(0)
    other.load_state_dict(torch.load(written, weights_only=True))
    before, after = predict(model, images), predict(other, images)
    assert all(torch.equal(before[task], after[task]) for task in before)


@check
def leaves_its_input_alone(name: str) -> None:
    """No operation in place on the images."""
    images = torch.randn(2, 3, 64, 96)
    copy = images.clone()
    build_method(name).train()(images)
    assert torch.equal(images, copy)


@check
def is_the_same_network_when_accelerated(name: str) -> None:
    """See `assert_the_same_when_accelerated`; on a backbone of few layers."""
    assert_the_same_when_accelerated(name, "timm:test_efficientnet")


@check
def its_card_is_complete(name: str) -> None:
    """Title, paper link, year, and the Source and Differs lines at the head of its file."""
    entry = METHODS.entry(name)
    header = inspect.getmodule(entry.factory).__doc__ or ""
    assert entry.title
    assert entry.paper.startswith("https://")
    assert 1950 < entry.year < 2100
    assert "Source:" in header
    assert "Differs" in header


@pytest.mark.parametrize(("name", "key"), cases())
def test_method_keeps_its_contract(name: str, key: str) -> None:
    CHECKS[key](name)


def test_a_backbone_whose_depthwise_convolutions_are_replaced_is_the_same_when_accelerated() -> None:
    assert_the_same_when_accelerated("hard_sharing", "efficientnet_lite0")


def with_every_backbone() -> list[Any]:
    """A method that reads one map and one that reads four; the second with a large backbone is slow."""
    return [
        pytest.param(name, backbone, marks=[pytest.mark.slow] if all_scales and BACKBONES.entry(backbone).large else [])
        for name, all_scales in (("hard_sharing", False), ("mti_net", True))
        for backbone in BACKBONES.names()
    ]


@pytest.mark.parametrize(("name", "backbone"), with_every_backbone())
def test_every_backbone_serves_a_method_with_one_map_and_one_with_four(name: str, backbone: str) -> None:
    """Large backbones on the meta device."""
    runs_on(name, backbone, device="meta" if BACKBONES.entry(backbone).large else "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("backbone", BACKBONES.names())
@pytest.mark.parametrize("name", METHODS.names())
def test_every_method_computes_on_every_backbone(name: str, backbone: str) -> None:
    runs_on(name, backbone, device="cpu")


@pytest.mark.parametrize("name", METHODS.names())
def test_expected_failures_name_checks_that_exist(name: str) -> None:
    from test_regularizer_contract import PAIR_CHECKS

    assert set(METHODS.entry(name).expected_failures) <= {*CHECKS, *PAIR_CHECKS}
