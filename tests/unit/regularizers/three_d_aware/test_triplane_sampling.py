"""Reading the planes: the quick way along the axis is the general one, and the three planes are three pairs of axes."""

from __future__ import annotations

import direct
import pytest
import torch
from torch import Tensor

from regularizers.three_d_aware.sampler import AxisSamples, Triplane, sample_axis_aligned, sample_points

SIZES = [((5, 7), 6), ((8, 4), 9), ((6, 6), 6)]


def random_planes(grid: tuple[int, int], depth: int, dtype: torch.dtype = torch.float64, channels: int = 3) -> Triplane:
    torch.manual_seed(0)
    height, width = grid
    shapes = ((height, width), (depth, width), (depth, height))
    return Triplane(*(torch.randn(2, channels, *shape, dtype=dtype) for shape in shapes))


def jittered(samples: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """(2, samples) depths, other ones for each image."""
    torch.manual_seed(1)
    return (torch.arange(samples, dtype=dtype) + torch.rand(2, samples, dtype=dtype)) * 2 / samples - 1


def joined(samples: AxisSamples) -> Tensor:
    """(B, H, W, D, C) means of the three parts of axis-aligned reading."""
    xy = samples.xy.permute(0, 2, 3, 1)[:, :, :, None]
    xz = samples.xz.permute(0, 3, 2, 1)[:, None]
    yz = samples.yz.permute(0, 3, 2, 1)[:, :, None]
    return (xy + xz + yz) / 3


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("grid", "depth"), SIZES)
def test_reading_along_the_axis_equals_reading_every_point(
    grid: tuple[int, int], depth: int, dtype: torch.dtype, tolerance: float
) -> None:
    planes, z = random_planes(grid, depth, dtype), jittered(10, dtype)
    along = joined(sample_axis_aligned(planes, z))
    points = direct.axis_points(grid, z)
    assert (along - sample_points(planes, points)).abs().max() < tolerance
    assert (along - direct.read(planes, points)).abs().max() < tolerance


def test_gradients_along_the_axis_equal_those_of_every_point() -> None:
    planes, z = random_planes((5, 7), 6), jittered(10)
    leaves = [plane.requires_grad_() for plane in (planes.xy, planes.xz, planes.yz)]
    along = joined(sample_axis_aligned(planes, z))
    given = torch.randn_like(along)
    quick = torch.autograd.grad(along, leaves, given)
    slow = torch.autograd.grad(direct.read(planes, direct.axis_points((5, 7), z)), leaves, given)
    for first, second in zip(quick, slow, strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


@pytest.mark.parametrize("depth", [6, 64])
def test_texel_centres_map_to_pixels_and_samples(depth: int) -> None:
    """Depth samples in the middle of as many cells as there are texels read the planes as they are."""
    planes = random_planes((5, 7), depth)
    middle = ((torch.arange(depth, dtype=torch.float64) + 0.5) * 2 / depth - 1).expand(2, -1)
    samples = sample_axis_aligned(planes, middle)
    torch.testing.assert_close(samples.xz, planes.xz, rtol=0, atol=1e-12)
    torch.testing.assert_close(samples.yz, planes.yz, rtol=0, atol=1e-12)
    assert torch.equal(samples.xy, planes.xy)


def test_the_ends_are_constant_beyond_the_outermost_texels() -> None:
    planes = random_planes((5, 7), 6)
    samples = sample_axis_aligned(planes, torch.tensor([[-1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64))
    torch.testing.assert_close(samples.xz, planes.xz[:, :, [0, -1]])


@pytest.mark.parametrize(("plane", "axes"), [("xy", (0, 1)), ("xz", (0, 2)), ("yz", (1, 2))])
def test_an_impulse_lands_on_the_two_axes_of_its_plane(plane: str, axes: tuple[int, int]) -> None:
    """Texel (row 3, column 2) of a plane of 8 x 8: the third of the mean, on the line of points that it stands for."""
    empty = {name: torch.zeros(1, 1, 8, 8, dtype=torch.float64) for name in ("xy", "xz", "yz")}
    empty[plane][0, 0, 3, 2] = 1
    planes = Triplane(**empty)
    torch.manual_seed(0)
    points = torch.rand(1, 50, 3, dtype=torch.float64) * 2 - 1
    points[..., axes[0]], points[..., axes[1]] = 2 * 2.5 / 8 - 1, 2 * 3.5 / 8 - 1
    torch.testing.assert_close(sample_points(planes, points), torch.full((1, 50, 1), 1 / 3, dtype=torch.float64))
    moved = points.clone()
    moved[..., axes[1]] += 2 / 8
    assert sample_points(planes, moved).abs().max() < 1e-12


def test_a_product_of_y_and_z_can_be_represented() -> None:
    """y times z is not a sum of functions of (x, y) and of (x, z), so a third plane over (z, x) could not hold it."""
    y, z = torch.arange(4, dtype=torch.float64), torch.arange(4, dtype=torch.float64)
    wanted = torch.outer(z, y)
    empty = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    samples = sample_axis_aligned(Triplane(empty, empty, 3 * wanted[None, None]), ((z + 0.5) / 2 - 1)[None])
    found = joined(samples)[0, ..., 0]
    torch.testing.assert_close(found, wanted.T[:, None].expand(4, 4, 4))


def test_any_shape_of_points_is_kept() -> None:
    planes = random_planes((5, 7), 6)
    points = torch.rand(2, 3, 4, 5, 3, dtype=torch.float64) * 2 - 1
    assert sample_points(planes, points).shape == (2, 3, 4, 5, 3)
    torch.testing.assert_close(sample_points(planes, points.flatten(1, 3)), sample_points(planes, points).flatten(1, 3))
