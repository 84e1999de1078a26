"""Recipes of the papers, at a reduced size and with random weights: one training step, one prediction."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from benchmark.cost.measure import optimizer_of, training_step
from benchmark.cost.target import CostTarget, build
from benchmark.records.result import RunSpec
from benchmark.training.random_batches import random_batch
from benchmark.training.recipe_files import load_recipe, recipe_names

SIZE = (64, 96)
OF_PAPERS = ("nyuv2_hrnet18", "nyuv2_resnet50", "pascal_hrnet18", "pascal_resnet50")
LARGE = ("nyuv2_hrnet48", "nyuv2_vit_l", "pascal_hrnet48", "pascal_vit_l")


def steps_once(recipe: str, method: str, **options: Any) -> None:
    """One training step changes the weights and shows finite losses of every task."""
    settings = load_recipe(recipe)
    overrides = {f"method.{name}": value for name, value in options.items()}
    spec = RunSpec(recipe, method, "none", settings.backbone, tuple(settings.tasks), 0, overrides)
    losses = training_step(CostTarget(spec, SIZE), 2)()
    assert {f"loss_{task}" for task in settings.tasks} <= set(losses)
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())


@pytest.mark.parametrize("recipe", OF_PAPERS)
def test_a_step_of_a_recipe_trains_every_task(recipe: str) -> None:
    steps_once(recipe, "hard_sharing")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", LARGE)
def test_a_step_of_a_large_recipe_trains_every_task(recipe: str) -> None:
    steps_once(recipe, "hard_sharing")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "method", "options"),
    [
        ("nyuv2_vit_l", "invpt", {"image_size": [64, 96]}),
        ("nyuv2_hrnet48", "atrc", {}),
        ("nyuv2_resnet50", "hard_sharing", {"head": "deeplab"}),
        ("nyuv2_resnet50", "mtan", {}),
    ],
)
def test_the_method_that_a_recipe_is_for_takes_a_step(recipe: str, method: str, options: dict[str, Any]) -> None:
    steps_once(recipe, method, **options)


def compiled_and_not(method: str, backbone: str, options: dict[str, Any]) -> tuple[Any, Any]:
    """The same network twice, from the same seed."""
    pair = []
    for value in (None, options):
        torch.manual_seed(0)
        overrides = {} if value is None else {"compile": value}
        spec = RunSpec("smoke", method, "aux_heads", backbone, ("semseg", "depth"), 0, overrides)
        pair.append(build(CostTarget(spec, SIZE)))
    return pair[0], pair[1]


def assert_same_predictions(plain: Any, compiled: Any) -> None:
    """To 1e-4 of the standard deviation, in eval mode."""
    images = random_batch(plain.model.tasks, 2, SIZE)["images"]
    with torch.no_grad():
        ours, theirs = (module.model.eval()(images).predictions for module in (plain, compiled))
    for name, prediction in ours.items():
        assert float((theirs[name] - prediction).abs().max()) <= 1e-4 * float(prediction.std()), name


def test_compiling_keeps_every_name() -> None:
    plain, compiled = compiled_and_not("hard_sharing", "resnet18", {"backend": "eager"})
    assert compiled.model.method._compiled_call_impl is not None
    assert plain.model.method._compiled_call_impl is None
    assert list(plain.state_dict()) == list(compiled.state_dict())
    assert [name for name, _ in plain.named_modules()] == [name for name, _ in compiled.named_modules()]


@pytest.mark.slow
def test_compiling_keeps_gradients_and_predictions() -> None:
    """The backend "eager" runs what torch.compile has traced, without generating code."""
    plain, compiled = compiled_and_not("hard_sharing", "resnet18", {"backend": "eager"})
    batch = random_batch(plain.model.tasks, 2, SIZE)
    for module in (plain, compiled):
        module.train()
        torch.stack([loss.reshape(()) for loss in module(**batch, mode="loss").values()]).sum().backward()
    for (name, one), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        assert one.grad is not None
        assert other.grad is not None
        torch.testing.assert_close(other.grad, one.grad, rtol=0, atol=float(1e-4 * one.grad.norm() + 1e-7), msg=name)
    compiled.load_state_dict(plain.state_dict())
    assert_same_predictions(plain, compiled)


@pytest.mark.slow
def test_generated_code_predicts_the_same() -> None:
    """Predictions alone: generating the code of the gradients takes several minutes on a busy machine."""
    assert_same_predictions(*compiled_and_not("hard_sharing", "resnet18", {"backend": "inductor"}))


BACKBONE_RATES = {
    "folder_lite": (2.5e-3, 1.0),
    "nyuv2_hrnet18": (0.01, 1.0),
    "nyuv2_hrnet48": (0.01, 1.0),
    "nyuv2_lite": (8e-3, 0.4),
    "nyuv2_resnet50": (1e-4, 1.0),
    "nyuv2_vit_l": (2e-5, 1.0),
    "pascal_hrnet18": (0.005, 1.0),
    "pascal_hrnet48": (0.005, 1.0),
    "pascal_resnet50": (1e-4, 1.0),
    "pascal_vit_l": (2e-5, 1.0),
    "smoke": (2.5e-3, 1.0),
    "synthetic_demo": (2.5e-3, 1.0),
    "synthetic_rooms": (4e-3, 0.4),
}
"""Learning rate of the recipe and the factor of the backbone's, as the docstrings of the recipes state them."""


def test_every_recipe_has_a_stated_rate_of_the_backbone() -> None:
    assert sorted(recipe_names()) == sorted(BACKBONE_RATES)


@pytest.mark.parametrize(("recipe", "rates"), BACKBONE_RATES.items())
def test_the_backbone_is_trained_at_the_rate_of_the_recipe(recipe: str, rates: tuple[float, float]) -> None:
    """Of hard sharing with a small backbone: every parameter has the rate of its part."""
    rate, factor = rates
    settings = load_recipe(recipe)
    spec = RunSpec(recipe, "hard_sharing", "none", "efficientnet_lite0", tuple(settings.tasks), 0)
    target = CostTarget(spec, SIZE)
    module = build(target)
    groups = optimizer_of(target, module).optimizer.param_groups
    rate_of = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    for name, parameter in module.model.method.named_parameters():
        expected = rate * factor if name.startswith("backbone.") else rate
        assert rate_of[id(parameter)] == pytest.approx(expected), name
