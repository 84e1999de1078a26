"""Each control differs from the 3D-aware regularizer in one thing."""

from __future__ import annotations

from typing import Any

import direct
import pytest
import torch

from benchmark.contracts import FeatureSpec, MultiTaskOutput
from benchmark.records.result import RunSpec
from benchmark.registry import METHODS, REGULARIZERS
from benchmark.tasks import NYUV2_TASKS, PASCAL_TASKS, TaskSet
from benchmark.training.builders import build_training_module
from benchmark.training.compose import check_spec
from benchmark.training.model import TrainingModule
from benchmark.training.optim import PartsOptimWrapperConstructor
from benchmark.training.random_batches import random_batch
from benchmark.training.recipe_keys import ConfigError
from regularizers.three_d_aware.options import LossSchedule, MapOptions
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.supervision import SmallPredictions
from regularizers.three_d_aware.volume import composite, equal_weights, shuffled_composite

SPECS = (FeatureSpec(6, 4), FeatureSpec(10, 8))
SMALL: dict[str, Any] = {"samples": 6, "channels": 4, "hidden": 8}


def parameters(name: str, tasks: TaskSet, specs: tuple[FeatureSpec, ...], **options: Any) -> int:
    made = REGULARIZERS.create(name, tasks, specs, **options)
    return sum(parameter.numel() for parameter in made.parameters())


@pytest.mark.parametrize("tasks", [NYUV2_TASKS, PASCAL_TASKS, NYUV2_TASKS.select(["depth"])], ids=["4", "5", "depth"])
@pytest.mark.parametrize(
    ("method", "backbone"),
    [
        ("hard_sharing", "efficientnet_lite0"),
        ("single_task", "resnet18"),
        ("mti_net", "hrnet_w18_small_v2"),
        ("invpt", "vit_tiny"),
    ],
)
def test_the_2d_bottleneck_has_as_many_parameters(tasks: TaskSet, method: str, backbone: str) -> None:
    with torch.device("meta"):
        specs = METHODS.create(method, tasks, backbone).feature_specs
    matched, found = (parameters(name, tasks, specs) for name in ("three_d_aware", "bottleneck_2d"))
    assert found == pytest.approx(matched, rel=0.02)


def test_the_2d_bottleneck_has_no_third_dimension_and_predicts_at_the_rendered_size() -> None:
    made = REGULARIZERS.create("bottleneck_2d", NYUV2_TASKS, SPECS)
    batch = random_batch(NYUV2_TASKS, 2, (48, 60))
    features = [torch.randn(2, 6, 12, 15), torch.randn(2, 10, 6, 8)]
    predictions = made.predict(batch, features)
    assert {name: tuple(maps.shape) for name, maps in predictions.items()} == {
        name: (2, task.channels, 6, 8) for name, task in NYUV2_TASKS.items()
    }
    without_camera = {key: value for key, value in batch.items() if key != "intrinsics"}
    again = made.predict(without_camera, features)
    assert all(torch.equal(maps, again[name]) for name, maps in predictions.items())


def rendered(name: str, **options: Any) -> tuple[ThreeDAware, Any, Any, Any]:
    """A small regularizer, its triplane, its rays in the middle of their cells, and its rendering."""
    torch.manual_seed(3)
    made = REGULARIZERS.create(name, NYUV2_TASKS, SPECS, **{**SMALL, **options}).eval()
    batch = random_batch(NYUV2_TASKS, 2, (48, 64))
    features = [torch.randn(2, 6, 12, 16), torch.randn(2, 10, 6, 8)]
    planes = made.scenes[0].planes(features, (6, 8))
    rays, (rendering,) = made.source_view(batch, [planes], jittered=False)
    return made, planes, rays, rendering


@torch.no_grad()
def test_uniform_weights_give_the_mean_of_what_the_field_says_along_a_ray() -> None:
    made, planes, rays, rendering = rendered("uniform_weights")
    fields = made.scenes[0].fields
    points = direct.axis_points((6, 8), rays.z)
    features = direct.read(planes, points)
    assert set(rendering.predictions) == set(NYUV2_TASKS)
    for name, predicted in rendering.predictions.items():
        expected = direct.network(fields, f"task_{name}", features, points[..., 2]).mean(3).movedim(-1, 1)
        torch.testing.assert_close(predicted, expected, rtol=1e-5, atol=1e-6)
    assert not any("density" in name for name, _ in made.named_parameters())
    assert made.diagnostics() == {}


def test_equal_weights_are_flat() -> None:
    weights, left = equal_weights((1, 2, 3, 4), torch.zeros(()))
    assert weights.unique().tolist() == [0.25]
    assert torch.equal(left, torch.zeros(1, 2, 3))


def test_shuffled_samples_hide_each_other_in_a_random_order_of_each_image() -> None:
    """An opaque sample takes all light of a ray in the usual order only from those behind it."""
    density = torch.zeros(64, 1, 2, 3)
    density[..., 0], density[..., 2] = 1e4, 1e4
    torch.manual_seed(0)
    weights, _ = shuffled_composite(density, torch.ones(1), opaque_far=False)
    usual, _ = composite(density, torch.ones(1), opaque_far=False)
    assert usual[0, 0, 0].tolist() == [1.0, 0.0, 0.0]
    assert torch.equal(weights[:, :, 0], weights[:, :, 1]), "all rays of an image share the order"
    first = weights[:, 0, 0]
    assert set(map(tuple, first.tolist())) == {(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)}
    assert 16 <= first[:, 0].sum() <= 48


def test_shuffling_keeps_a_partition_of_one_and_what_does_not_depend_on_order() -> None:
    torch.manual_seed(0)
    density, lengths = torch.rand(3, 2, 2, 7, dtype=torch.float64), torch.rand(3, 2, 2, 7, dtype=torch.float64)
    weights, left = shuffled_composite(density, lengths, opaque_far=False)
    _, usual = composite(density, lengths, opaque_far=False)
    torch.testing.assert_close(weights.sum(-1) + left, torch.ones_like(left))
    torch.testing.assert_close(left, usual)


@torch.no_grad()
def test_the_xy_plane_alone_is_read_and_z_is_a_number() -> None:
    made, planes, rays, rendering = rendered("xy_plane")
    assert planes.xz.abs().sum() == planes.yz.abs().sum() == 0
    fields = made.scenes[0].fields
    assert all(layer.in_features == SMALL["channels"] + 1 for layer in fields.first.values())
    predictions, _ = direct.render(fields, planes, direct.axis_points((6, 8), rays.z), rays.lengths, rays.depth)
    for name, predicted in rendering.predictions.items():
        torch.testing.assert_close(predicted, predictions[name], rtol=1e-4, atol=1e-5)
    weights = rendering.weights["density"]
    assert (weights.max(-1).values - weights.min(-1).values).min() > 1e-3, "z tells the samples of a ray apart"


def test_a_density_for_each_task_is_moved_by_its_task_alone() -> None:
    _, _, _, rendering = rendered("per_task_density")
    assert set(rendering.weights) == {f"density_{name}" for name in NYUV2_TASKS}
    made = REGULARIZERS.create("per_task_density", NYUV2_TASKS, SPECS, **SMALL)
    features = (torch.randn(2, 6, 12, 16), torch.randn(2, 10, 6, 8))
    terms = made(random_batch(NYUV2_TASKS, 2, (48, 64)), MultiTaskOutput({}, features))
    heads = made.scenes[0].fields.last
    for task in NYUV2_TASKS:
        weights = [heads[f"density_{other}"].weight for other in NYUV2_TASKS]
        found = torch.autograd.grad(
            terms[f"loss_per_task_density_{task}"], weights, retain_graph=True, allow_unused=True
        )
        moved = [other for other, grad in zip(NYUV2_TASKS, found, strict=True) if grad is not None and grad.any()]
        assert moved == [task]


def trained(regularizer: str, options: dict[str, Any]) -> TrainingModule:
    """A module with a regularizer, after three steps with Adam and clipping."""
    torch.manual_seed(0)
    tasks = {name: {} for name in NYUV2_TASKS}
    module = build_training_module(
        "hard_sharing", {}, regularizer, options, "synthetic", tasks, "resnet18", 0, "channels_last"
    ).train()
    config = dict(optimizer=dict(type="Adam", lr=1e-3), clip_grad=dict(max_norm=0.1))
    optimizer = PartsOptimWrapperConstructor(config, {})(module)
    for _ in range(3):
        module.train_step(random_batch(module.model.tasks, 2, (32, 64)), optimizer)
    return module


def test_frozen_planes_train_the_model_of_no_regularizer_bit_for_bit() -> None:
    frozen, bare = trained("frozen_planes", SMALL), trained("none", {})
    pairs = zip(frozen.model.state_dict().values(), bare.model.state_dict().values(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in pairs)
    fresh = REGULARIZERS.create("frozen_planes", NYUV2_TASKS, frozen.model.method.feature_specs, **SMALL)
    before, after = fresh.state_dict(), frozen.regularizer.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before), "it does learn to render"


@pytest.mark.parametrize(
    ("regularizer", "option"),
    [("uniform_weights", "depth"), ("per_task_density", "per_task_density"), ("xy_plane", "rows")],
)
def test_what_makes_a_control_is_no_option_of_it(regularizer: str, option: str) -> None:
    spec = RunSpec("smoke", "hard_sharing", regularizer, "resnet18", ("depth",), 0, {f"regularizer.{option}": "axis"})
    with pytest.raises(ConfigError, match=f"no option '{option}'"):
        check_spec(spec)
    check_spec(RunSpec("smoke", "hard_sharing", regularizer, "resnet18", ("depth",), 0, {"regularizer.samples": 8}))


CONTROLS_OF_SMALL_PREDICTIONS = [
    name
    for name in REGULARIZERS.names()
    if isinstance(REGULARIZERS.entry(name).factory, type)
    and issubclass(REGULARIZERS.entry(name).factory, SmallPredictions)
]


@pytest.mark.parametrize("name", CONTROLS_OF_SMALL_PREDICTIONS)
def test_controls_share_ramp_feature_maps_prediction_size_and_loss_weights(name: str) -> None:
    """At half of the ramp, terms are half of their full size; predictions have 1/8 of the image size."""
    torch.manual_seed(3)
    made = REGULARIZERS.create(name, NYUV2_TASKS, (*SPECS, FeatureSpec(4, 4, task="depth"))).eval()
    assert (made.weight, made.schedule, made.maps) == (0.5, LossSchedule(), MapOptions())
    batch = random_batch(NYUV2_TASKS, 2, (48, 64))
    features = tuple(torch.randn(2, *shape).requires_grad_() for shape in ((6, 12, 16), (10, 6, 8), (4, 12, 16)))
    torch.manual_seed(0)
    full = made(batch, MultiTaskOutput({}, features))
    made.progress = 0.025
    torch.manual_seed(0)
    half = made(batch, MultiTaskOutput({}, features))
    for term in full:
        assert half[term].item() == pytest.approx(full[term].item() / 2, rel=1e-5)
    shared, coarse, own = torch.autograd.grad(sum(full.values()), features, allow_unused=True)
    assert own is None, "only maps that all tasks share are read"
    if name != "frozen_planes":
        assert shared.any()
        assert coarse.any()
    predictions = made.predict(batch, features)
    assert {tuple(maps.shape[-2:]) for maps in predictions.values()} == {(6, 8)}
