"""Non-maximum suppression by its properties; the golden cases fix its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve1d, gaussian_filter

from benchmark.boundaries.suppression import fade, interpolated, smooth, suppress


def random_map(shape: tuple[int, int]) -> np.ndarray:
    """A soft random map in 0..1."""
    values = gaussian_filter(np.random.default_rng(0).random(shape), 2)
    return ((values - values.min()) / (values.max() - values.min())).astype(np.float32)


def test_smoothing_is_a_triangle_filter_with_mirrored_borders() -> None:
    strength = random_map((30, 41))
    triangle = np.array([1, 2, 3, 4, 5, 4, 3, 2, 1]) / 25
    expected = strength.astype(np.float64)
    for axis in (0, 1):
        expected = convolve1d(expected, triangle, axis=axis, mode="reflect")
    assert np.abs(smooth(strength) - expected).max() < 1e-5


def ridge(angle: float) -> np.ndarray:
    """A straight ridge through the middle of a map; its angle across, from right towards down, is given in degrees."""
    row, column = np.indices((41, 41)) - 20.0
    across = column * np.cos(np.radians(angle)) + row * np.sin(np.radians(angle))
    return np.exp(-0.1 * across**2).astype(np.float32)


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 89, 91, 135, 160])
def test_only_the_crest_of_a_straight_ridge_survives(angle: float) -> None:
    """Within 1.2 px of the line; a pixel as strong as its neighbour but for 1 % stays."""
    left = suppress(ridge(angle))[8:-8, 8:-8]
    assert np.count_nonzero(left) >= 25
    assert left[left > 0].min() > np.exp(-0.1 * 1.2**2)


def test_an_exactly_horizontal_ridge_has_the_angle_of_a_vertical_one() -> None:
    """A quirk of the published formula: its mixed derivative is 0 at this angle, so no pixel is suppressed."""
    assert np.array_equal(suppress(ridge(90))[8:-8, 8:-8], ridge(90)[8:-8, 8:-8])


def test_what_survives_keeps_its_strength_away_from_the_border() -> None:
    strength = random_map((40, 50))
    left = suppress(strength)
    kept = left > 0
    inner = np.zeros_like(kept)
    inner[5:-5, 5:-5] = True
    assert np.array_equal(left[kept & inner], strength[kept & inner])
    assert (left <= strength).all()


def test_the_border_fades_linearly_to_nothing() -> None:
    """x / 5 from each side, once more from the other axis in the corners."""
    faded = fade(np.ones((12, 14), np.float32))
    assert faded[6].tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2, 0])
    assert faded[1, 2] == pytest.approx(0.08)


def test_between_pixels_the_map_is_bilinear() -> None:
    strength = np.array([[0, 1], [2, 3]], np.float32)
    row, column = np.array([0.5, -3, 0.25]), np.array([0.5, 0, 0.5])
    assert interpolated(strength, row, column).tolist() == pytest.approx([1.5, 0, 1.0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (2, 3), (4, 4), (7, 300)])
def test_small_maps_are_suppressed_too(shape: tuple[int, int]) -> None:
    strength = np.random.default_rng(1).random(shape).astype(np.float32)
    left = suppress(strength)
    assert left.shape == shape
    assert np.isfinite(left).all()


def test_a_map_without_boundaries_stays_empty() -> None:
    assert not suppress(np.zeros((20, 30), np.float32)).any()
