"""Cameras: points in the cube, poses, and intrinsics that follow the image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from datasets.loading.transforms import Frame, crop, flip, resize
from regularizers.three_d_aware.camera import Camera, DepthMap
from regularizers.three_d_aware.rays import RaySampler
from regularizers.three_d_aware.volume import composite, expected_depth

KINDS = ("linear", "log", "disparity")
SIZE, GRID = (48, 64), (12, 16)


def intrinsics(skew: float = 0.0) -> Tensor:
    return torch.tensor([[[60.0, skew, 30.0], [0.0, 55.0, 25.0], [0.0, 0.0, 1.0]]], dtype=torch.float64)


def rigid(x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: float = 0.0, tilt: float = 0.0) -> Tensor:
    """(1, 4, 4) camera to world: turned about y, then tilted about x, then moved."""
    turned = torch.eye(4, dtype=torch.float64)
    turned[0, 0] = turned[2, 2] = math.cos(turn)
    turned[0, 2], turned[2, 0] = math.sin(turn), -math.sin(turn)
    tilted = torch.eye(4, dtype=torch.float64)
    tilted[1, 1] = tilted[2, 2] = math.cos(tilt)
    tilted[1, 2], tilted[2, 1] = -math.sin(tilt), math.sin(tilt)
    pose = turned @ tilted
    pose[:3, 3] = torch.tensor([x, y, z], dtype=torch.float64)
    return pose[None]


@pytest.mark.parametrize("kind", KINDS)
def test_depth_map_runs_from_near_to_far_and_back(kind: str) -> None:
    depth_map = DepthMap(kind, near=0.5, far=10.0)
    z = torch.linspace(-1, 1, 41, dtype=torch.float64)
    depth = depth_map.depth(z)
    assert depth[0].item() == pytest.approx(0.5)
    assert depth[-1].item() == pytest.approx(10.0)
    assert (depth.diff() > 0).all()
    torch.testing.assert_close(depth_map.z(depth), z, rtol=0, atol=1e-13)


def test_middle_of_the_depth_maps_is_that_of_what_they_are_linear_in() -> None:
    """Arithmetic, geometric and harmonic mean of 1 m and 4 m: 2.5, 2, 1.6."""
    middle = torch.zeros(1, dtype=torch.float64)
    found = [DepthMap(kind, near=1.0, far=4.0).depth(middle).item() for kind in KINDS]
    assert found == pytest.approx([2.5, 2.0, 1.6])


@pytest.mark.parametrize(("kind", "near", "far"), [("cubic", 0.5, 10.0), ("log", 0.0, 10.0), ("log", 2.0, 1.0)])
def test_a_depth_map_that_means_nothing_is_refused(kind: str, near: float, far: float) -> None:
    with pytest.raises(ValueError, match="depth"):
        DepthMap(kind, near, far)


def test_directions_go_through_the_centres_of_cells() -> None:
    """By hand: the first of 12 x 16 cells of 48 x 64 pixels is centred at (2, 2): ((2 - 30) / 60, (2 - 25) / 55, 1)."""
    directions = Camera(intrinsics(), SIZE).directions(GRID)
    assert directions.shape == (1, *GRID, 3)
    assert directions[0, 0, 0].tolist() == pytest.approx([-28 / 60, -23 / 55, 1.0])
    assert directions[0, -1, -1].tolist() == pytest.approx([(62 - 30) / 60, (46 - 25) / 55, 1.0])


@pytest.mark.parametrize("skew", [0.0, 3.0])
def test_directions_are_the_inverse_of_the_intrinsics(skew: float) -> None:
    matrix = intrinsics(skew)
    pixels = Camera(matrix, SIZE).directions(SIZE) @ matrix[0].T
    torch.testing.assert_close(pixels[0, 7, 9], torch.tensor([9.5, 7.5, 1.0], dtype=torch.float64))


@pytest.mark.parametrize(("kind", "z"), [("linear", -1 + 2 * 1.5 / 9.5), ("log", -1 + 2 * math.log(4) / math.log(20))])
def test_a_point_of_the_world_has_known_coordinates_in_the_cube(kind: str, z: float) -> None:
    """By hand: (0.2, -0.4, 2) m in the camera is column 60 * 0.1 + 30 = 36 of 64, row 55 * -0.2 + 25 = 14 of 48."""
    camera = Camera(intrinsics(), SIZE, rigid(0.3, -0.2, 0.5, turn=0.4, tilt=-0.3))
    point = torch.tensor([[[0.2, -0.4, 2.0]]], dtype=torch.float64)
    cube = camera.to_cube(camera.to_world(point), DepthMap(kind, near=0.5, far=10.0))
    assert cube.flatten().tolist() == pytest.approx([2 * 36 / 64 - 1, 2 * 14 / 48 - 1, z])


def test_pixels_of_the_source_camera_are_the_axis_of_the_cube() -> None:
    """Target and source camera are equal: points have x and y of the cells and z of the samples."""
    camera = Camera(intrinsics(), SIZE, rigid(1.0, 2.0, 3.0, turn=0.7))
    sampler = RaySampler(5, DepthMap(), metric=True)
    jitter = torch.rand(1, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rays, axis = sampler.novel_view(jitter, GRID, camera, camera), sampler.source_view(jitter, GRID, camera)
    assert rays.points is not None
    assert rays.inside is not None
    x = (torch.arange(16, dtype=torch.float64) + 0.5) / 8 - 1
    y = (torch.arange(12, dtype=torch.float64) + 0.5) / 6 - 1
    expected = torch.stack(torch.broadcast_tensors(x[:, None], y[:, None, None], axis.z[0]), dim=-1)
    torch.testing.assert_close(rays.points[0], expected, rtol=0, atol=1e-12)
    assert rays.inside.all()
    torch.testing.assert_close(rays.lengths, axis.lengths)
    torch.testing.assert_close(rays.depth, axis.depth)


def test_a_common_motion_of_both_cameras_changes_nothing() -> None:
    """The field is defined in the frame of the source camera, so it moves with the cameras."""
    motion = rigid(3.0, -1.0, 2.0, turn=2.0, tilt=0.8)
    poses = rigid(0.1, 0.0, 0.0, turn=0.1), rigid(-0.3, 0.1, 0.2, turn=-0.1, tilt=0.05)
    sampler, jitter = RaySampler(8, DepthMap(), metric=True), torch.full((1, 8), 0.5, dtype=torch.float64)
    still, moved = (
        sampler.novel_view(jitter, GRID, *(Camera(intrinsics(), SIZE, by @ pose) for pose in poses))
        for by in (torch.eye(4, dtype=torch.float64), motion)
    )
    assert still.points is not None
    assert moved.points is not None
    torch.testing.assert_close(moved.points, still.points, rtol=0, atol=1e-12)
    assert torch.equal(moved.inside, still.inside)


def ball_depth(camera: Camera, grid: tuple[int, int], centre: Tensor, samples: int = 256) -> Tensor:
    """(h, w) rendered depth of an opaque ball of radius 1 around a point of the world, in front of nothing."""
    sampler = RaySampler(samples, DepthMap("linear", 0.5, 10.0), metric=True)
    rays = sampler.source_view(torch.full((1, samples), 0.5, dtype=torch.float64), grid, camera)
    points = camera.to_world(camera.directions(grid)[:, :, :, None] * rays.depth[:, None, None, :, None])
    density = 1e4 * ((points - centre).norm(dim=-1) < 1)
    return expected_depth(composite(density, rays.lengths, opaque_far=True)[0], rays.depth, True)[0]


def test_two_views_of_a_known_scene_agree_on_the_points_they_share() -> None:
    """Points that one view sees on the ball lie on the ball as the other sees it, at the depth that it renders."""
    centre = torch.tensor([0.2, -0.1, 4.0], dtype=torch.float64)
    first = Camera(intrinsics(), SIZE)
    second = Camera(intrinsics(), SIZE, rigid(0.5, 0.2, 0.1, turn=-0.1))
    depth = ball_depth(first, SIZE, centre)
    seen = depth < 5
    points = (first.directions(SIZE)[0] * depth[..., None])[seen][None]
    cube = second.to_cube(points, DepthMap("linear", 0.5, 10.0))
    assert ((points - centre).norm(dim=-1) - 1).abs().max() < 0.1
    columns, rows = ((cube[0, :, 0] + 1) * 32).long(), ((cube[0, :, 1] + 1) * 24).long()
    other_depth = ball_depth(second, SIZE, centre)[rows, columns]
    error = (other_depth - second.from_world(points)[0, :, 2]).abs()
    # The silhouettes differ: points at the rim of one view are occluded in the other.
    assert error.median() < 0.02
    assert (error < 0.15).double().mean() > 0.9


@pytest.mark.parametrize("change", ["resize", "crop", "mirror"])
def test_intrinsics_of_the_batch_follow_the_image(change: str) -> None:
    """The pixel that shows a point moves with the image: this camera and the transforms of the data agree."""
    matrix = intrinsics()[0].numpy()
    frame = Frame(np.zeros((*SIZE, 3), np.uint8), matrix, {})
    changed = {
        "resize": lambda: resize(frame, (96, 64)),
        "crop": lambda: crop(frame, 5, 9, (30, 40)),
        "mirror": lambda: flip(frame),
    }[change]()
    camera = Camera(torch.from_numpy(changed.intrinsics)[None], changed.size)
    point = torch.tensor([[0.2, 0.3, 2.0]], dtype=torch.float64)
    column, row = 60 * 0.1 + 30, 55 * 0.15 + 25
    x, y = {"resize": (column, row * 2), "crop": (column - 9, row - 5), "mirror": (64 - column, row)}[change]
    shown = point * torch.tensor([-1.0, 1.0, 1.0]) if change == "mirror" else point
    cube = camera.to_cube(shown[None], DepthMap())[0, 0]
    height, width = changed.size
    assert ((cube[:2] + 1) * torch.tensor([width / 2, height / 2])).tolist() == pytest.approx([x, y])


def test_metric_rays_need_a_camera_and_other_views_metric_rays() -> None:
    jitter = torch.full((1, 4), 0.5)
    with pytest.raises(ValueError, match="intrinsics"):
        RaySampler(4, DepthMap(), metric=True).source_view(jitter, GRID, None)
    camera = Camera(intrinsics(), SIZE)
    with pytest.raises(ValueError, match="metric_rays=True"):
        RaySampler(4, DepthMap(), metric=False).novel_view(jitter, GRID, camera, camera)


def test_lengths_fill_the_ray_from_near_to_far_wherever_samples_lie() -> None:
    """9.5 m along the axis, longer by the ray's slant; 2 in the cube."""
    camera, jitter = Camera(intrinsics(), SIZE), torch.rand(1, 16, dtype=torch.float64)
    metric = RaySampler(16, DepthMap(), metric=True).source_view(jitter, GRID, camera)
    expected = 9.5 * camera.directions(GRID).norm(dim=-1)
    torch.testing.assert_close(metric.lengths.sum(-1), expected)
    cube = RaySampler(16, DepthMap(), metric=False).source_view(jitter, GRID, None)
    torch.testing.assert_close(cube.lengths.sum(-1), torch.full((1, 1, 1), 2.0, dtype=torch.float64))


def test_samples_are_stratified_and_rising() -> None:
    jitter = torch.rand(3, 16, generator=torch.Generator().manual_seed(0))
    z = RaySampler(16, DepthMap(), metric=False).source_view(jitter, GRID, None).z
    assert torch.equal(((z + 1) * 8).floor(), torch.arange(16.0).expand(3, 16))
    assert not torch.equal(z[0], z[1])
