"""Normals from depth: analytic planes and rooms, missing depth, and an external reference frame."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from datasets.nyuv2.normals import normals_from_depth

K = np.array([[260.0, 0, 118.0], [0, 250.0, 93.0], [0, 0, 1]])
SHAPE = (180, 240)


def rays() -> np.ndarray:
    """(H, W, 3) camera rays (x, y, 1), z forward, through pixel centres at integer + 0.5."""
    u, v = np.meshgrid(np.arange(SHAPE[1]) + 0.5, np.arange(SHAPE[0]) + 0.5)
    return np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T


def plane_depth(normal: np.ndarray, distance: float) -> np.ndarray:
    """Depth of the plane normal . X = distance, X with z forward."""
    return (distance / (rays() @ normal)).astype(np.float32)


def angle(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    expected = np.broadcast_to(expected, found.shape)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(found, expected), axis=-1), (found * expected).sum(-1)))


@pytest.mark.parametrize(
    ("normal", "expected"),
    [
        # Plane with z forward; normal with z towards the camera.
        ((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)),  # a wall straight ahead
        ((0.0, 1.0, 0.4), (0.0, -1.0, 0.4)),  # a floor: its normal points up, y < 0
        ((0.0, -1.0, 0.5), (0.0, 1.0, 0.5)),  # a ceiling
        ((1.0, 0.0, 0.7), (-1.0, 0.0, 0.7)),  # a wall on the right: its normal points left
        ((-0.3, 0.2, 0.9), (0.3, -0.2, 0.9)),
    ],
)
def test_a_plane_has_one_normal(normal, expected):
    normal, expected = (np.array(v) / np.linalg.norm(v) for v in (normal, expected))
    depth = plane_depth(normal, 1.5)
    depth[(depth <= 0.3) | (depth > 12)] = 0
    found = normals_from_depth(depth, K)
    seen = depth > 0
    assert np.linalg.norm(found[seen], axis=-1) == pytest.approx(1, abs=1e-5)
    assert angle(found, expected)[seen].max() < 0.1


def room() -> tuple[np.ndarray, np.ndarray]:
    """Depth and normals of a corner: floor, two walls, and a box face in front of them with a jump in depth."""
    planes = [(np.array([0.0, 0.94, 0.34]), 1.3), (np.array([0.8, 0.0, 0.6]), 2.0), (np.array([-0.5, 0.0, 0.866]), 2.5)]
    depths = np.stack([plane_depth(normal, distance) for normal, distance in planes])
    depths[depths <= 0] = np.inf
    nearest = depths.argmin(0)
    depth = depths.min(0)
    normals = np.stack([n * [-1, -1, 1] for n, _ in planes])[nearest]
    box = np.zeros(SHAPE, bool)
    box[60:130, 90:150] = True
    depth[box] = 0.9
    normals[box] = [0, 0, 1]
    return depth.astype(np.float32), normals / np.linalg.norm(normals, axis=-1, keepdims=True)


def test_a_furnished_corner_is_sharp_up_to_its_edges():
    depth, expected = room()
    found = normals_from_depth(depth, K)
    error = angle(found, expected)[(found != 0).any(-1)]
    assert (found != 0).any(-1).mean() > 0.98
    assert np.median(error) < 0.1
    assert error.mean() < 2.5
    assert (error < 5).mean() > 0.9


def test_pixels_near_a_depth_jump_keep_their_surface():
    """Two pixels from the box, a centred window of 21 would mix both surfaces."""
    depth, expected = room()
    error = angle(normals_from_depth(depth, K), expected)
    assert np.median(error[65:125, 88]) < 3
    assert np.median(error[65:125, 91]) < 3
    assert np.median(error[62, 95:145]) < 3


def test_rounded_depth_is_smoothed_over():
    """8-bit depth in steps of 14 mm, as in NYU-v2: a wall at 30 degrees."""
    normal = np.array([0.5, 0.0, 0.866])
    depth = plane_depth(normal, 2.0)
    step = depth.max() / 255
    rounded = ((np.floor(depth / step) + 0.5) * step).astype(np.float32)
    error = angle(normals_from_depth(rounded, K, quantisation=float(step)), normal * [-1, 1, 1])
    assert error.mean() < 3


def test_missing_depth_has_no_normal_and_does_not_disturb_its_neighbours():
    depth = plane_depth(np.array([0.0, 0.8, 0.6]), 1.5)
    depth[depth < 0] = 0
    seen = depth > 0
    rng = np.random.default_rng(0)
    depth[rng.random(SHAPE) < 0.3] = 0
    found = normals_from_depth(depth, K)
    assert (found[depth == 0] == 0).all()
    assert angle(found, np.array([0.0, -0.8, 0.6]))[seen & (depth > 0) & (found != 0).any(-1)].max() < 0.1


def test_no_depth_at_all_gives_no_normals():
    assert (normals_from_depth(np.zeros(SHAPE, np.float32), K) == 0).all()


def test_noise_without_a_surface_has_no_normal():
    rng = np.random.default_rng(1)
    found = normals_from_depth(rng.uniform(1, 8, SHAPE).astype(np.float32), K)
    assert (found == 0).all(-1).mean() > 0.9


def test_normals_of_frame_0433_agree_with_a_reference(shared):
    """The picture stores x, z, y as v / 127.5 - 1, z forward, y up; a plain 15 x 15 fit is 15.2 / 8.4 degrees off.

    Masks: pixels where the reference is no zero vector (78 % of the frame, it leaves out a border), which all have a
    depth in the in-painted map; of those, the 99.5 % where ours says something.
    """
    reference = cv2.imread(str(shared / "data" / "extra" / "nyu_reference" / "0433_normals.png"))[..., ::-1]
    reference = (reference / 127.5 - 1)[..., [0, 2, 1]] * [1, -1, -1]
    valid = np.linalg.norm(reference, axis=-1) > 0.5
    with open(shared / "data" / "nyuv2" / "INDEX.csv", encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["id"] == "nyuv2/0433")
    step = float(row["depth_max_m"]) / 255
    codes = cv2.imread(str(shared / "data" / row["path_depth"]), cv2.IMREAD_UNCHANGED)
    fx, fy, cx, cy = map(float, row["intrinsics"].split())
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    found = normals_from_depth(((codes + 0.5) * step).astype(np.float32), matrix, quantisation=step)
    known = valid & (found != 0).any(-1)
    error = angle(found, reference)[known]
    assert 0.77 < valid.mean() < 0.79
    assert known.sum() > 0.99 * valid.sum()
    assert error.mean() < 7.5
    assert np.median(error) < 3.2
