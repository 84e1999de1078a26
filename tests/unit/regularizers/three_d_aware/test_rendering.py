"""Rendering of every task: the fast paths equal the direct formulation, in values and gradients."""

from __future__ import annotations

import math
from typing import Any

import direct
import pytest
import torch
from torch import Tensor

from regularizers.three_d_aware.camera import Camera, DepthMap
from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.rays import Rays, RaySampler
from regularizers.three_d_aware.renderer import Renderer, Rendering
from regularizers.three_d_aware.sampler import Triplane

GRID, SAMPLES, CHANNELS = (5, 7), 6, 4
OUTPUTS: dict[str, int | None] = {"semseg": 5, "depth": None, "normals": 3, "boundary": 1}
CAMERA = Camera(
    torch.tensor([[[60.0, 0.0, 50.0], [0.0, 70.0, 30.0], [0.0, 0.0, 1.0]]] * 2, dtype=torch.float64), (40, 56)
)
VARIANTS = [
    {},
    {"densities": "per_task"},
    {"shared_trunk": True},
    {"shared_trunk": True, "densities": "per_task"},
    {"read_z": True},
]


def random_field(outputs: dict[str, int | None] = OUTPUTS, **options: Any) -> TaskField:
    torch.manual_seed(3)
    return TaskField(CHANNELS, outputs, hidden=8, **options).double()


def random_planes(grid: tuple[int, int] = GRID, depth: int = 8) -> Triplane:
    torch.manual_seed(4)
    height, width = grid
    shapes = ((height, width), (depth, width), (depth, height))
    return Triplane(*(3 * torch.randn(2, CHANNELS, *shape, dtype=torch.float64) for shape in shapes))


def rays_of(metric: bool = True) -> Rays:
    torch.manual_seed(5)
    jitter = torch.rand(2, SAMPLES, dtype=torch.float64)
    return RaySampler(SAMPLES, DepthMap(), metric).source_view(jitter, GRID, CAMERA)


def leaves(fields: TaskField, planes: Triplane) -> list[Tensor]:
    """Parameters and planes, with gradients."""
    return [plane.requires_grad_() for plane in (planes.xy, planes.xz, planes.yz)] + list(fields.parameters())


def gradients(predictions: dict[str, Tensor], of: list[Tensor]) -> list[Tensor]:
    return list(torch.autograd.grad(sum(maps.square().sum() for maps in predictions.values()), of))


@pytest.mark.parametrize("opaque_far", [True, False])
@pytest.mark.parametrize("metric", [True, False])
@pytest.mark.parametrize("options", VARIANTS)
def test_values_and_gradients_equal_the_direct_formulation(
    options: dict[str, Any], metric: bool, opaque_far: bool
) -> None:
    """First layer before reading, last layer after compositing, axis-aligned reading: all at once."""
    fields, planes, rays = random_field(**options), random_planes(), rays_of(metric)
    of = leaves(fields, planes)
    quick = Renderer(opaque_far=opaque_far).source_view(fields, planes, rays)
    slow, weights = direct.render(
        fields, planes, direct.axis_points(GRID, rays.z), rays.lengths, rays.depth, opaque_far
    )
    assert list(quick.predictions) == list(OUTPUTS)
    for name, expected in slow.items():
        torch.testing.assert_close(quick.predictions[name], expected, rtol=1e-12, atol=1e-12)
    for name, expected in weights.items():
        torch.testing.assert_close(quick.weights[name], expected, rtol=1e-12, atol=1e-12)
    for first, second in zip(gradients(quick.predictions, of), gradients(slow, of), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-10, atol=1e-12)


def novel(fields: TaskField, planes: Triplane, row_chunk: int | None, camera: Camera = CAMERA) -> Rendering:
    torch.manual_seed(5)
    jitter = torch.rand(2, SAMPLES, dtype=torch.float64)
    rays = RaySampler(SAMPLES, DepthMap(), metric=True).novel_view(jitter, GRID, CAMERA, camera)
    return Renderer(row_chunk=row_chunk).novel_view(fields, planes, rays)


@pytest.mark.parametrize("options", VARIANTS)
def test_the_source_camera_as_another_view_gives_the_source_view(options: dict[str, Any]) -> None:
    fields, planes = random_field(**options), random_planes()
    along = Renderer().source_view(fields, planes, rays_of())
    general = novel(fields, planes, row_chunk=None)
    for name, expected in along.predictions.items():
        torch.testing.assert_close(general.predictions[name], expected, rtol=0, atol=1e-12)
    for name in along.left:
        torch.testing.assert_close(general.left[name], along.left[name], rtol=0, atol=1e-12)


def test_a_common_motion_of_both_cameras_renders_the_same() -> None:
    """The field is defined in the frame of the source camera, so it moves with the cameras."""
    turn = [[0.8, 0.0, 0.6, 3.0], [0.0, 1.0, 0.0, -1.0], [-0.6, 0.0, 0.8, 2.0], [0.0, 0.0, 0.0, 1.0]]
    motion = torch.tensor([turn, turn], dtype=torch.float64)
    aside = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    aside[:, 0, 3] = 0.2
    rays = RaySampler(SAMPLES, DepthMap(), metric=True)
    jitter = torch.full((2, SAMPLES), 0.5, dtype=torch.float64)
    rendered = []
    for poses in ((torch.eye(4, dtype=torch.float64).expand(2, 4, 4), aside), (motion, motion @ aside)):
        cameras = (Camera(CAMERA.intrinsics, CAMERA.size, pose) for pose in poses)
        view = rays.novel_view(jitter, GRID, *cameras)
        rendered.append(Renderer().novel_view(random_field(), random_planes(), view).predictions)
    for name, maps in rendered[0].items():
        torch.testing.assert_close(rendered[1][name], maps, rtol=0, atol=1e-12)


@pytest.mark.parametrize("row_chunk", [1, 2, 4])
def test_chunks_of_rows_of_another_view_change_nothing(row_chunk: int) -> None:
    fields, planes = random_field(), random_planes()
    of = leaves(fields, planes)
    whole, parts = (novel(fields, planes, rows) for rows in (None, row_chunk))
    for name, expected in whole.predictions.items():
        torch.testing.assert_close(parts.predictions[name], expected, rtol=0, atol=1e-13)
    for first, second in zip(gradients(whole.predictions, of), gradients(parts.predictions, of), strict=True):
        torch.testing.assert_close(first, second, rtol=1e-12, atol=1e-12)


def test_nothing_is_seen_where_another_view_leaves_the_frustum() -> None:
    """A camera that looks back: every sample is outside, so all weights, predictions and gradients are zero."""
    back = torch.diag(torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64)).expand(2, 4, 4)
    fields, planes = random_field(), random_planes()
    of = leaves(fields, planes)
    away = novel(fields, planes, None, Camera(CAMERA.intrinsics, CAMERA.size, back))
    assert (away.left["density"] == 1).all()
    assert (away.weights["density"] == 0).all()
    assert all((maps == 0).all() for maps in away.predictions.values())
    assert not any(gradient.any() for gradient in gradients(away.predictions, of))


def leaving_rays() -> Rays:
    """Rays of a camera 2 m further in the scene, turned by 60 degrees to the left: they begin in the frustum."""
    sine, cosine = math.sin(math.radians(60)), math.cos(math.radians(60))
    turned = [[cosine, 0.0, -sine, 0.0], [0.0, 1.0, 0.0, 0.0], [sine, 0.0, cosine, 2.0], [0.0, 0.0, 0.0, 1.0]]
    aside = torch.tensor([turned, turned], dtype=torch.float64)
    jitter = torch.full((2, SAMPLES), 0.5, dtype=torch.float64)
    target = Camera(CAMERA.intrinsics, CAMERA.size, aside)
    return RaySampler(SAMPLES, DepthMap(), metric=True).novel_view(jitter, GRID, CAMERA, target)


def test_light_that_leaves_the_frustum_is_not_attributed_to_a_point_of_it() -> None:
    """Weights outside are 0, weights inside are scaled to sum to 1, on rays whose last sample lies outside."""
    rays = leaving_rays()
    inside = rays.located()[1]
    crossing = inside.any(-1) & ~inside[..., -1]
    assert crossing.float().mean() > 0.5
    fields, planes = random_field(), random_planes()
    weights = Renderer().novel_view(fields, planes, rays).weights["density"]
    open_end = Renderer(opaque_far=False).novel_view(fields, planes, rays).weights["density"]
    assert (weights[~inside] == 0).all()
    torch.testing.assert_close(weights[crossing].sum(-1), torch.ones_like(weights[crossing][:, 0]))
    expected = open_end[crossing] / open_end[crossing].sum(-1, keepdim=True)
    torch.testing.assert_close(weights[crossing], expected)
    torch.testing.assert_close(weights[inside[..., -1]].sum(-1), torch.ones(int(inside[..., -1].sum())).double())


def flipped(planes: Triplane) -> Triplane:
    return Triplane(planes.xy.flip(3), planes.xz.flip(3), planes.yz)


def test_mirrored_planes_give_the_mirrored_image() -> None:
    fields, planes, rays = random_field(), random_planes(), rays_of(metric=False)
    straight = Renderer().source_view(fields, planes, rays).predictions
    mirrored = Renderer().source_view(fields, flipped(planes), rays).predictions
    for name, maps in straight.items():
        torch.testing.assert_close(mirrored[name], maps.flip(3), rtol=0, atol=1e-13)


def test_transposed_planes_give_the_transposed_image() -> None:
    fields, planes, rays = random_field(), random_planes(), rays_of(metric=False)
    straight = Renderer().source_view(fields, planes, rays).predictions
    turned = Renderer().source_view(fields, Triplane(planes.xy.mT, planes.yz, planes.xz), rays).predictions
    for name, maps in straight.items():
        torch.testing.assert_close(turned[name], maps.mT, rtol=0, atol=1e-13)


def test_a_detached_task_sends_no_gradient_into_the_density() -> None:
    fields, planes, rays = random_field(), random_planes(), rays_of()
    density = list(fields.first["density"].parameters()) + list(fields.last["density"].parameters())
    for task in ("semseg", "normals"):
        rendered = Renderer(detached={"semseg"}).source_view(fields, planes, rays).predictions[task]
        found = torch.autograd.grad(rendered.sum(), density, allow_unused=True)
        assert all((gradient is None) == (task == "semseg") for gradient in found)


def test_a_shared_trunk_has_one_hidden_layer() -> None:
    assert len(random_field(shared_trunk=True).first) == 1
    assert len(random_field().first) == 4, "density, and the tasks that are no expected depth"


def test_rays_without_points_are_refused() -> None:
    with pytest.raises(ValueError, match="source view"):
        Renderer().novel_view(random_field(), random_planes(), rays_of())
