"""The camera frame of normals is determined from the depth of the same frame."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from benchmark.boundaries.formats.content import DataError
from datasets.layout.layout import FrameRecord
from datasets.nyuv2.sources.orientation import agreement, check_frame, coarse_normals, find_signs

SIZE, CAMERA = (120, 160), (130.0, 130.0, 80.0, 60.0)


def corner(tilt: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Depth and exact normals of a floor and two walls, seen by a camera 1 m above the floor, tilted down by `tilt`."""
    v, u = np.mgrid[: SIZE[0], : SIZE[1]]
    rays = np.stack([(u + 0.5 - 80) / 130, (v + 0.5 - 60) / 130, np.ones(SIZE)], -1)
    down, forward = np.array([0, np.cos(tilt), np.sin(tilt)]), np.array([0, -np.sin(tilt), np.cos(tilt)])
    planes = np.stack([down, forward, np.array([-1.0, 0, 0])])
    with np.errstate(divide="ignore"):
        along = np.array([1.0, 3.0, 1.2]) / (rays @ planes.T)
    along[along < 0] = np.inf
    part = along.argmin(-1)
    return along.min(-1).astype(np.float32), (-planes * (1, 1, -1))[part]


DEPTH, NORMALS = corner()
FRAMES = [FrameRecord(str(number), "train", CAMERA) for number in range(5)]


def test_coarse_normals_of_planes_are_exact():
    coarse, at = coarse_normals(DEPTH, CAMERA)
    valid = np.abs(coarse).sum(-1) > 0
    cosine = (coarse * NORMALS[at]).sum(-1)[valid]
    assert valid.mean() > 0.6
    assert np.median(cosine) > 0.999
    assert np.quantile(cosine, 0.2) > 0.99


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_any_signs_are_determined(signs):
    result, note = find_signs(FRAMES, lambda frame: agreement(DEPTH, NORMALS * signs, CAMERA), "R")
    assert result == signs
    assert ("as stored" in note) == (signs == (1, 1, 1)) or "was changed" in note


@pytest.mark.parametrize("order", [order for order in permutations(range(3)) if order != (0, 1, 2)])
def test_another_order_of_the_axes_is_refused(order):
    with pytest.raises(DataError, match=r"^R: the axes of the normals are swapped: they agree with the depth when"):
        find_signs(FRAMES, lambda frame: agreement(DEPTH, NORMALS[..., order], CAMERA), "R")
    with pytest.raises(DataError, match=r"^F: the axes of the normals are swapped"):
        check_frame(agreement(DEPTH, NORMALS[..., order], CAMERA), "F")


def test_two_of_five_frames_stored_otherwise_do_not_mislead():
    def compare(frame: FrameRecord):
        return agreement(DEPTH, NORMALS * ((1, -1, 1) if int(frame.name) < 2 else (1, 1, 1)), CAMERA)

    assert find_signs(FRAMES, compare, "R")[0] == (1, 1, 1)
    with pytest.raises(DataError, match=r"^F: the axes .* are read from x, -y, z of the file"):
        check_frame(compare(FRAMES[0]), "F")
    check_frame(compare(FRAMES[4]), "F")


def test_a_little_floor_is_enough():
    """The fronto-parallel wall determines no sign of x and y; 6 rows of floor at the bottom suffice."""
    normals = np.zeros((*SIZE, 3))
    depth = np.full(SIZE, 3, np.float32)
    normals[..., 2] = 1
    v = np.arange(110, 120)
    depth[110:] = (1 / ((v + 0.5 - 60) / 130))[:, None]
    normals[110:] = (0, -1, 0)
    assert find_signs(FRAMES, lambda frame: agreement(depth, normals * (1, -1, 1), CAMERA), "R")[0] == (1, -1, 1)


def test_a_fronto_parallel_wall_keeps_the_stored_signs():
    depth, normals = np.full(SIZE, 2, np.float32), np.zeros((*SIZE, 3))
    normals[..., 2] = 1
    assert find_signs(FRAMES, lambda frame: agreement(depth, normals, CAMERA), "R")[0] == (1, 1, 1)
    check_frame(agreement(depth, normals, CAMERA), "F")


def test_unrelated_normals_are_not_judged():
    vectors = np.random.default_rng(0).standard_normal((*SIZE, 3))
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    result, note = find_signs(FRAMES, lambda frame: agreement(DEPTH, vectors, CAMERA), "R")
    assert result == (1, 1, 1)
    assert "could not be verified" in note
    check_frame(agreement(DEPTH, vectors, CAMERA), "F")


def test_no_normals_at_all_are_not_judged():
    nothing = agreement(DEPTH, np.zeros((*SIZE, 3)), CAMERA)
    assert "could not be verified" in find_signs(FRAMES, lambda frame: nothing, "R")[1]
    check_frame(nothing, "F")
