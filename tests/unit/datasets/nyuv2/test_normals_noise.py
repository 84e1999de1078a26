"""Normals from noisy depth (rooms, plane, step, sphere), compared with an eigenvector fit of 15 x 15 points.

The noise is that of a Kinect, 0.0012 + 0.0019 (z - 0.4)^2 metres (Nguyen et al., 3DIMPVT 2012), independent from pixel
to pixel, and the depth is then rounded to 255 steps, as the labelled set of NYU-v2 is stored here.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from datasets.nyuv2.normals import normals_from_depth

K = np.array([[518.0, 0, 320], [0, 518, 240], [0, 0, 1]])
SHAPE = (240, 320)


def rays(shape: tuple[int, int], matrix: np.ndarray) -> np.ndarray:
    """(H, W, 3) rays (x, y, 1) through the pixel centres, z forward."""
    v, u = np.mgrid[: shape[0], : shape[1]] + 0.5
    return np.stack([(u - matrix[0, 2]) / matrix[0, 0], (v - matrix[1, 2]) / matrix[1, 1], np.ones(shape)], -1)


def noisy(depth: np.ndarray, level: float, seed: int = 0) -> tuple[np.ndarray, float]:
    """Depth with `level` times the noise, rounded; and its step."""
    sigma = level * (0.0012 + 0.0019 * (depth - 0.4) ** 2)
    spoilt = depth + sigma * np.random.default_rng(seed).standard_normal(depth.shape)
    step = float(depth.max() / 255)
    return ((np.floor(spoilt / step) + 0.5) * step).astype(np.float32), step


def plain_fit(depth: np.ndarray, matrix: np.ndarray, window: int = 15) -> np.ndarray:
    """Normals by the smallest eigenvector of the points in a window, the usual method."""
    points = rays(depth.shape, matrix) * depth[..., None]
    known = (depth > 0).astype(float)

    def total(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (window, window), normalize=False, borderType=cv2.BORDER_CONSTANT)

    count = np.maximum(total(known), 1)
    mean = np.stack([total(points[..., i] * known) / count for i in range(3)], -1)
    scatter = np.empty((*depth.shape, 3, 3))
    for i in range(3):
        for j in range(3):
            scatter[..., i, j] = total(points[..., i] * points[..., j] * known) / count - mean[..., i] * mean[..., j]
    normal = np.linalg.eigh(scatter)[1][..., 0]
    away = np.where((normal * points).sum(-1) > 0, 1, -1)
    return normal * away[..., None] * (-1, -1, 1)


def errors(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Angles in degrees between normals (..., 3)."""
    expected = np.broadcast_to(expected, found.shape)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(found, expected), axis=-1), (found * expected).sum(-1)))


def compared(
    depth: np.ndarray, expected: np.ndarray, matrix: np.ndarray, level: float, mask: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Errors of both methods at pixels of the mask with a normal, and the share of such pixels."""
    spoilt, step = noisy(depth, level)
    ours = normals_from_depth(spoilt, matrix, quantisation=step)
    said = mask & (ours != 0).any(-1)
    plain = plain_fit(spoilt, matrix)
    return errors(ours, expected)[said], errors(plain, expected)[said], float(said.sum() / mask.sum())


@pytest.fixture(scope="module")
def rooms() -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Exact depth and normals, and intrinsics, of one view of a bedroom and of an office at 480x640."""
    from datasets.nyuv2.classes import CLASS_IDS_40
    from datasets.synthetic.cameras import choose_views
    from datasets.synthetic.render import geometry
    from datasets.synthetic.rooms import furnish
    from datasets.synthetic.scene import Scene

    views = []
    for number in (0, 2):
        room = furnish([0, 11, number], number)
        scene = Scene(room.items, CLASS_IDS_40)
        camera = choose_views(room, scene, np.random.default_rng([0, 11, number, 1]), (480, 640))[0]
        exact = geometry(scene, camera)
        views.append((exact.depth, exact.normals, camera.intrinsics))
    return views


@pytest.mark.parametrize(
    ("level", "most_mean", "most_median"),
    [(0.5, 9.5, 1.5), pytest.param(1.0, 10.0, 2.2, marks=pytest.mark.slow), (2.0, 11.5, 4.0)],
)
def test_rooms_with_the_noise_of_a_sensor(rooms, level, most_mean, most_median):
    """Mask: every pixel with a depth.

    Over 20 rooms the means are 9.8, 10.0 and 11.3 degrees, those of the plain fit 16.6, 22.2 and 41.1; the medians 1.2,
    1.9, 3.3 and 3.9, 10.9, 37.5.
    """
    found = [compared(depth, normals, matrix, level, depth > 0) for depth, normals, matrix in rooms]
    ours, plain = (np.concatenate([entry[side] for entry in found]) for side in (0, 1))
    assert min(coverage for _, _, coverage in found) > 0.97
    assert ours.mean() < most_mean
    assert np.median(ours) < most_median
    assert ours.mean() < 0.65 * plain.mean()
    assert np.median(ours) < 0.4 * np.median(plain)
    assert (ours < 11.25).mean() > (plain < 11.25).mean() + 0.05


@pytest.mark.parametrize("normal", [(0.0, 0.0, 1.0), (0.5, 0.0, 0.866), (0.1, 0.8, 0.6)])
def test_a_noisy_plane_two_metres_away(normal):
    """Mask: everything. A window of 21 at 2 m spans 81 mm with a noise of 6 mm, so about 1.5 degrees remain."""
    direction = np.array(normal) / np.linalg.norm(normal)
    # Shifted so that the middle of the picture is 2 m away, and in front of the camera everywhere.
    matrix = K - np.array([[0, 0, 160], [0, 0, 120], [0, 0, 0]])
    depth = 2.0 * direction[2] / (rays(SHAPE, matrix) @ direction)
    ours, plain, coverage = compared(depth, direction * (-1, -1, 1), matrix, 1.0, np.ones(SHAPE, bool))
    assert coverage == 1
    assert ours.mean() < 3
    assert ours.mean() < 0.7 * plain.mean()


def test_both_sides_of_a_noisy_step_keep_their_surface():
    """A wall at 2.4 m behind one at 1.5 m. Mask: the 16 columns around the step, where windows of 15 mix both.

    The two columns at the step itself lie in no window of one surface, and stay without a normal.
    """
    depth = np.full(SHAPE, 2.4)
    depth[:, :160] = 1.5
    mask = np.zeros(SHAPE, bool)
    mask[:, 152:168] = True
    matrix = K - np.array([[0, 0, 160], [0, 0, 120], [0, 0, 0]])
    ours, plain, coverage = compared(depth, np.array([0.0, 0, 1]), matrix, 1.0, mask)
    assert coverage >= 14 / 16
    assert ours.mean() < 5
    assert plain.mean() > 30, "or the step is no test"


def test_a_noisy_sphere_stays_round():
    """Radius 0.4 m, its centre at 1.4 m, a wall at 2 m. Mask: where the surface is seen at less than 60 degrees.

    A window of 21 spans 1 m / 518 * 21 = 41 mm or 6 degrees of the sphere, which a plane cannot follow but averages.
    """
    matrix = K - np.array([[0, 0, 160], [0, 0, 120], [0, 0, 0]])
    directions = rays(SHAPE, matrix)
    centre, radius = np.array([0.0, 0.0, 1.4]), 0.4
    squared, along = (directions**2).sum(-1), directions @ centre
    inside = along**2 - squared * (centre @ centre - radius**2)
    on_sphere = inside > 0
    depth = np.where(on_sphere, (along - np.sqrt(np.maximum(inside, 0))) / squared, 2.0)
    outward = (directions * depth[..., None] - centre) / radius
    towards = -directions / np.sqrt(squared)[..., None]
    mask = on_sphere & ((outward * towards).sum(-1) > 0.5)
    ours, plain, coverage = compared(depth, outward * (1, 1, -1), matrix, 1.0, mask)
    assert coverage > 0.99
    assert ours.mean() < 4
    assert ours.mean() < plain.mean()
