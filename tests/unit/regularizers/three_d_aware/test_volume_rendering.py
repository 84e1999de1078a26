"""Volume rendering: weights partition the ray, and known media and planes are rendered where they are."""

from __future__ import annotations

import math

import direct
import pytest
import torch
from torch import Tensor

from regularizers.three_d_aware.camera import Camera, DepthMap
from regularizers.three_d_aware.rays import RaySampler
from regularizers.three_d_aware.volume import composite, expected_depth


def random_ray(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Densities from thin to opaque, and lengths."""
    generator = torch.Generator().manual_seed(seed)
    density = torch.rand(shape, generator=generator, dtype=dtype).mul(12).sub(6).exp()
    return density, torch.rand(shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize("opaque_far", [False, True])
def test_weights_and_what_is_left_are_a_partition_of_one(opaque_far: bool) -> None:
    density, lengths = random_ray(500, 64)
    weights, left = composite(density, lengths, opaque_far)
    assert (weights >= 0).all()
    total = weights.sum(-1) if opaque_far else weights.sum(-1) + left
    assert (total - 1).abs().max() < 1e-6


def test_transmittance_never_rises() -> None:
    """Transmittance after the first i samples, for i = 0 .. D."""
    density, lengths = random_ray(500, 64, dtype=torch.float64)
    weights, left = composite(density, lengths, opaque_far=False)
    passed = 1 - weights.cumsum(-1)
    assert (passed.diff(dim=-1) <= 1e-15).all()
    torch.testing.assert_close(passed[:, -1], left, rtol=0, atol=1e-13)


@pytest.mark.parametrize("opaque_far", [False, True])
def test_weights_are_those_of_the_product_form(opaque_far: bool) -> None:
    density, lengths = random_ray(100, 32, dtype=torch.float64)
    weights, _ = composite(density, lengths, opaque_far)
    torch.testing.assert_close(weights, direct.weigh(density, lengths, opaque_far), rtol=0, atol=1e-14)


def test_a_constant_is_rendered_as_itself_where_the_far_end_is_opaque() -> None:
    density, lengths = random_ray(100, 32, dtype=torch.float64)
    depth = torch.full((1, 32), 2.5, dtype=torch.float64)
    weights, _ = composite(density.view(1, 10, 10, 32), lengths.view(1, 10, 10, 32), opaque_far=True)
    torch.testing.assert_close(expected_depth(weights, depth, True), torch.full_like(weights[..., 0], 2.5))
    thin, _ = composite(density.view(1, 10, 10, 32), lengths.view(1, 10, 10, 32), opaque_far=False)
    torch.testing.assert_close(expected_depth(thin, depth, False), torch.full_like(thin[..., 0], 2.5))


def test_an_empty_ray_weighs_nothing_but_its_opaque_end() -> None:
    empty, lengths = torch.zeros(3, 8), torch.ones(3, 8)
    weights, left = composite(empty, lengths, opaque_far=False)
    assert (weights == 0).all()
    assert (left == 1).all()
    ended, left = composite(empty, lengths, opaque_far=True)
    assert torch.equal(ended, torch.eye(8)[-1].expand(3, 8))
    assert (left == 1).all(), "transmittance of the ray with a finite last interval, for diagnostics"


@pytest.mark.parametrize("place", [0, 3, 7])
@pytest.mark.parametrize("opaque_far", [False, True])
def test_an_opaque_sample_takes_the_whole_ray(place: int, opaque_far: bool) -> None:
    density = torch.zeros(8)
    density[place] = 1e4
    weights, _ = composite(density, torch.ones(8), opaque_far)
    assert torch.equal(weights, torch.eye(8)[place])


@pytest.mark.parametrize("samples", [1, 7, 64])
def test_opacity_of_a_homogeneous_medium_does_not_depend_on_the_samples(samples: int) -> None:
    """1 - exp(-s L) with s = 3 and L = 2."""
    _, left = composite(torch.full((samples,), 3.0, dtype=torch.float64), torch.tensor(2.0 / samples), opaque_far=False)
    assert (1 - left).item() == pytest.approx(1 - math.exp(-6), abs=1e-7)


def test_mean_depth_of_a_homogeneous_medium_converges_with_the_square_of_the_samples() -> None:
    """Analytic: the integral of z s exp(-s z) over [0, 1] is (1 - (1 + s) exp(-s)) / s."""
    true, errors = (1 - 4 * math.exp(-3)) / 3, []
    for samples in (16, 64, 256):
        middle = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
        weights, _ = composite(torch.full_like(middle, 3.0), torch.full_like(middle, 1 / samples), opaque_far=False)
        errors.append(abs((weights * middle).sum().item() - true))
    assert errors[0] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(16, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(16, rel=0.05)


def test_order_matters() -> None:
    density, lengths = random_ray(64, dtype=torch.float64)
    values = torch.linspace(1, 2, 64, dtype=torch.float64)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    first, _ = composite(density, lengths, opaque_far=True)
    moved, _ = composite(density[order], lengths[order], opaque_far=True)
    assert abs(first @ values - moved @ values[order]) > 1e-3


def test_splitting_an_interval_of_one_density_changes_nothing() -> None:
    density, lengths = random_ray(20, 16, dtype=torch.float64)
    weights, left = composite(density, lengths, opaque_far=False)
    split = torch.cat([lengths[:, :5], lengths[:, 5:6] * 0.3, lengths[:, 5:6] * 0.7, lengths[:, 6:]], dim=1)
    finer, still_left = composite(density[:, [*range(6), *range(5, 16)]], split, opaque_far=False)
    torch.testing.assert_close(finer[:, 5] + finer[:, 6], weights[:, 5], rtol=0, atol=1e-14)
    torch.testing.assert_close(finer[:, 7:], weights[:, 6:], rtol=0, atol=1e-14)
    torch.testing.assert_close(still_left, left, rtol=0, atol=1e-14)


@pytest.mark.parametrize("opaque_far", [False, True])
def test_gradients_are_those_of_finite_differences(opaque_far: bool) -> None:
    density, lengths = (values.requires_grad_() for values in random_ray(4, 6, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda d, s: composite(d, s, opaque_far), (density, lengths))


def test_gradients_are_finite_where_an_interval_is_opaque() -> None:
    density = torch.tensor([0.0, 1e6, 1e6, 3.0], requires_grad=True)
    weights, left = composite(density, torch.ones(4), opaque_far=False)
    (weights @ torch.arange(4.0) + left).backward()
    assert density.grad is not None
    assert density.grad.isfinite().all()


DEPTHS = DepthMap("linear", near=0.5, far=10.0)
SAMPLER = RaySampler(samples=64, depth_map=DEPTHS, metric=True)
CAMERA = Camera(torch.tensor([[[60.0, 0.0, 50.0], [0.0, 70.0, 30.0], [0.0, 0.0, 1.0]]], dtype=torch.float64), (64, 96))
GRID = (8, 12)


def depth_behind(normal: list[float], offset: float) -> Tensor:
    """(1, h, w) expected depth of a scene that is opaque where normal . x >= offset."""
    rays = SAMPLER.source_view(torch.full((1, 64), 0.5, dtype=torch.float64), GRID, CAMERA)
    points = CAMERA.directions(GRID)[:, :, :, None] * rays.depth[:, None, None, :, None]
    density = 1e4 * (points @ torch.tensor(normal, dtype=torch.float64) >= offset)
    return expected_depth(composite(density, rays.lengths, opaque_far=True)[0], rays.depth, True)


def test_a_wall_is_rendered_at_its_distance_along_the_axis_within_one_bin() -> None:
    """For 200 distances; the depth is that along the optical axis, the same in all pixels of the image."""
    for distance in torch.linspace(0.6, 9.7, 200).tolist():
        rendered = depth_behind([0.0, 0.0, 1.0], distance)
        assert (rendered - distance).abs().max() <= 9.5 / 64
        assert rendered.max() - rendered.min() < 1e-12


def test_a_slanted_plane_is_rendered_where_rays_meet_it_within_one_bin() -> None:
    """n . x = b is met at z = b / (n . ray), rays scaled to z = 1."""
    normal, offset = [0.35, -0.2, 0.9], 3.0
    true = offset / (CAMERA.directions(GRID) @ torch.tensor(normal, dtype=torch.float64))
    assert true.max() - true.min() > 1
    assert (depth_behind(normal, offset) - true).abs().max() <= 9.5 / 64
