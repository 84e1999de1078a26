"""The complete regularizer: feature maps, gradients, options, diagnostics."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput
from benchmark.tasks import NYUV2_TASKS, PASCAL_TASKS, TaskSet
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.single_task import SingleTask
from regularizers.three_d_aware.diagnostics import correlation, depth_correlation, ray_entropy
from regularizers.three_d_aware.regularizer import ThreeDAware

SIZE = (48, 64)
SPECS = (FeatureSpec(6, 4), FeatureSpec(10, 8))
SMALL: dict[str, Any] = {"samples": 8, "channels": 4, "plane_depth": 6, "hidden": 8}
TASK_WITHOUT_DEPTH = NYUV2_TASKS.select(["semseg", "normals"])


def random_batch(tasks: TaskSet = NYUV2_TASKS, size: tuple[int, int] = SIZE, images: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def uniform(channels: int) -> Tensor:
        return torch.rand(images, channels, *size, generator=generator)

    targets = {
        "semseg": torch.randint(0, 40, (images, *size), generator=generator),
        "depth": uniform(1) * 3 + 1,
        "normals": uniform(3) - 0.5,
        "boundary": (uniform(1) < 0.1).float(),
    }
    matrix = torch.tensor([[60.0, 0.0, size[1] / 2], [0.0, 60.0, size[0] / 2], [0.0, 0.0, 1.0]])
    return Batch(
        images=uniform(3), targets={name: targets[name] for name in tasks}, intrinsics=matrix.expand(images, 3, 3)
    )


def random_features(size: tuple[int, int] = SIZE, images: int = 2) -> MultiTaskOutput:
    torch.manual_seed(2)
    maps = (
        torch.randn(images, spec.channels, -(-size[0] // spec.stride), -(-size[1] // spec.stride)) for spec in SPECS
    )
    return MultiTaskOutput({}, features=tuple(level.requires_grad_() for level in maps))


def regularizer(tasks: TaskSet = NYUV2_TASKS, **options: Any) -> ThreeDAware:
    torch.manual_seed(3)
    return ThreeDAware(tasks, SPECS, **{**SMALL, **options})


VARIANTS: list[dict[str, Any]] = [
    {},
    {"metric_rays": True},
    {"depth": "expected"},
    {"metric_rays": True, "depth": "feature", "opaque_far": False},
    {"rows": "reshape", "shared_trunk": True},
    {"rows": "lift", "per_task_density": True, "read_z": True},
    {"label_stride": 4, "depth_map": "disparity"},
]


@pytest.mark.parametrize("options", VARIANTS)
def test_every_task_sends_a_finite_gradient_into_every_shared_map_and_every_weight(options: dict[str, Any]) -> None:
    made, output = regularizer(**options), random_features()
    terms = made(random_batch(), output)
    assert list(terms) == [f"loss_three_d_aware_{name}" for name in NYUV2_TASKS]
    for term in terms.values():
        for gradient in torch.autograd.grad(term, output.features, retain_graph=True):
            assert gradient.isfinite().all()
            assert gradient.abs().sum() > 0
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in made.parameters())


def test_heads_of_the_method_get_no_gradient() -> None:
    torch.manual_seed(0)
    method = HardSharing(NYUV2_TASKS, "resnet18")
    batch = random_batch(size=(64, 64))
    terms = ThreeDAware(NYUV2_TASKS, method.feature_specs, **SMALL)(batch, method(batch["images"]))
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is None for parameter in method.heads.parameters())
    assert all(parameter.grad is not None for parameter in method.backbone.parameters())


def test_separate_networks_are_each_regularized_by_their_own_task() -> None:
    torch.manual_seed(0)
    tasks = NYUV2_TASKS.select(["semseg", "depth"])
    method = SingleTask(tasks, "resnet18")
    batch = random_batch(tasks, (64, 64))
    output = method(batch["images"])
    made = ThreeDAware(tasks, method.feature_specs, **SMALL)
    depth = made(batch, output)["loss_three_d_aware_depth"]
    of_semseg, of_depth = torch.autograd.grad(depth, output.features, allow_unused=True)
    assert of_semseg is None
    assert of_depth.abs().sum() > 0
    assert len(made.scenes) == 2


@pytest.mark.parametrize("size", [(32, 32), (37, 53), (48, 96)])
def test_any_image_size_is_rendered_at_an_eighth(size: tuple[int, int]) -> None:
    made = regularizer().eval()
    batch = random_batch(size=size)
    planes = made.triplanes(batch, random_features(size).features)
    _, (rendering,) = made.source_view(batch, planes, jittered=False)
    assert rendering.predictions["semseg"].shape == (2, 40, -(-size[0] // 8), -(-size[1] // 8))
    assert all(term.isfinite() for term in made(random_batch(size=size), random_features(size)).values())


def test_a_term_is_linear_in_its_weights() -> None:
    terms = [
        regularizer(weight=weight, task_weights={"depth": factor}).eval()(random_batch(), random_features())
        for weight, factor in ((0.5, 1.0), (1.0, 1.0), (0.5, 3.0))
    ]
    usual, twice, thrice = (term["loss_three_d_aware_depth"].item() for term in terms)
    assert twice == pytest.approx(2 * usual)
    assert thrice == pytest.approx(3 * usual)


def test_a_step_before_the_ramp_begins_costs_nothing_and_changes_nothing() -> None:
    made, output = regularizer(), random_features()
    made.progress = 0.0
    state = torch.get_rng_state()
    terms = made(random_batch(), output)
    assert all(term.item() == 0 and not term.requires_grad for term in terms.values())
    assert torch.equal(state, torch.get_rng_state()), "not even a random number is drawn"
    assert made.diagnostics() == {}


def test_jitter_is_drawn_in_training_only() -> None:
    made, batch, output = regularizer(), random_batch(), random_features()

    def loss() -> float:
        return float(made(batch, output)["loss_three_d_aware_depth"].item())

    assert loss() != loss()
    made.eval()
    assert loss() == loss()


def test_autocast_leaves_rendering_in_single_precision() -> None:
    """Weights composited in bfloat16 are wrong by 2e-3."""
    made = regularizer().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        planes = made.triplanes(random_batch(), random_features().features)
        _, (rendering,) = made.source_view(random_batch(), planes, jittered=False)
        assert all(term.isfinite() for term in made(random_batch(), random_features()).values())
    assert all(maps.dtype == torch.float32 for maps in rendering.predictions.values())
    total = rendering.weights["density"].sum(-1)
    assert (total - 1).abs().max() < 1e-6


def test_depth_is_expected_unless_it_is_to_be_a_feature() -> None:
    assert regularizer().scenes[0].fields.outputs["depth"] is None
    assert regularizer(depth="expected", metric_rays=False).scenes[0].fields.outputs["depth"] is None
    assert regularizer(depth="feature").scenes[0].fields.outputs["depth"] == 1


def test_rays_are_metric_where_the_camera_is_known_and_depth_is_a_task() -> None:
    known, unknown = random_batch(), random_batch()
    del unknown["intrinsics"]
    made = regularizer().eval()
    for batch, same in ((known, regularizer(metric_rays=True)), (unknown, regularizer(metric_rays=False))):
        assert made(batch, random_features()) == same.eval()(batch, random_features())
    flat = regularizer(TASK_WITHOUT_DEPTH).eval()
    known["targets"] = {name: known["targets"][name] for name in TASK_WITHOUT_DEPTH}
    assert flat(known, random_features()) == regularizer(TASK_WITHOUT_DEPTH, metric_rays=False).eval()(
        known, random_features()
    )


def test_depths_are_logarithmic_where_depth_is_labelled_and_linear_elsewhere() -> None:
    assert regularizer().sampler.depth_map.kind == "log"
    assert regularizer(TASK_WITHOUT_DEPTH).sampler.depth_map.kind == "linear"
    assert ThreeDAware(PASCAL_TASKS, SPECS, metric_rays=True).scenes[0].fields.outputs["normals"] == 3


@pytest.mark.parametrize(
    ("tasks", "options", "message"),
    [
        (NYUV2_TASKS, {"depth": "metric"}, "'feature' or 'expected'"),
        (TASK_WITHOUT_DEPTH, {"depth": "expected"}, "task of depth in metres"),
        (NYUV2_TASKS, {"detach_weights_for": ["dept"]}, "'dept'"),
        (NYUV2_TASKS, {"depth": "expected", "detach_weights_for": ["depth"]}, "no gradient"),
        (NYUV2_TASKS, {"near": 3.0, "far": 2.0}, "near 3.0"),
        (NYUV2_TASKS, {"rows": "columns"}, "axis, reshape, lift"),
    ],
)
def test_options_that_mean_nothing_are_refused(tasks: TaskSet, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regularizer(tasks, **options)


def test_metric_rays_without_intrinsics_are_refused() -> None:
    batch = random_batch()
    del batch["intrinsics"]
    with pytest.raises(ValueError, match="no intrinsics"):
        regularizer(metric_rays=True)(batch, random_features())


def test_metric_rays_know_the_camera_and_parallel_ones_do_not() -> None:
    near, far = random_batch(), random_batch()
    far["intrinsics"] = far["intrinsics"] * torch.tensor([[0.2], [0.2], [1.0]])
    for metric in (False, True):
        made = regularizer(metric_rays=metric).eval()
        first, second = (made(batch, random_features())["loss_three_d_aware_semseg"] for batch in (near, far))
        assert (first != second) == metric


def test_flat_weights_have_the_entropy_of_the_samples_and_peaked_ones_none() -> None:
    flat = torch.full((1, 2, 3, 64), 1 / 64)
    assert ray_entropy(flat).item() == pytest.approx(math.log(64))
    assert ray_entropy(flat * 0.3).item() == pytest.approx(math.log(64)), "each ray is scaled to one"
    assert ray_entropy(torch.eye(64)[:6].reshape(1, 2, 3, 64)).item() == 0


def test_depth_correlation_is_one_for_weights_at_the_true_depth_and_counts_valid_pixels() -> None:
    depth = torch.arange(1.0, 9.0)[None]
    weights = torch.eye(8)[torch.tensor([[0, 3], [5, 7]])][None]
    target = torch.tensor([[1.0, 4.0], [6.0, 8.0]]).repeat_interleave(8, 0).repeat_interleave(8, 1)[None, None]
    task = NYUV2_TASKS["depth"]
    assert depth_correlation(weights, depth, task, target).item() == pytest.approx(1)
    target[..., :8, :8] = 0
    assert depth_correlation(weights, depth, task, 2 * target).item() == pytest.approx(1)
    assert depth_correlation(weights, depth, task, torch.zeros_like(target)).item() == 0
    assert correlation(torch.ones(5), torch.arange(5.0), torch.ones(5, dtype=torch.bool)).item() == 0


def test_diagnostics_say_how_flat_opaque_and_true_the_density_is() -> None:
    made = regularizer()
    made(random_batch(), random_features())
    found = made.diagnostics()
    assert set(found) == {"ray_entropy", "ray_opacity", "depth_correlation"}
    assert 0 < found["ray_entropy"] <= math.log(8)
    assert 0 < found["ray_opacity"] < 1
    assert -1 <= found["depth_correlation"] <= 1
    assert not any(value.requires_grad for value in found.values())
    without = regularizer(TASK_WITHOUT_DEPTH)
    without(random_batch(TASK_WITHOUT_DEPTH), random_features())
    assert set(without.diagnostics()) == {"ray_entropy", "ray_opacity"}
