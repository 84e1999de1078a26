"""Wrong axes of normals are detected from the depth, and the right axes are named."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.doctor.axes import ORDERS, agreement, best_order, mean_angle, spelled
from datasets.synthetic.render import Frame

RIGHT_ORDER = {
    # components in the file -> components to store
    "swapped x and y": ((1, 0, 2), (1, 1, 1), "(y, x, z)"),
    "z away from the camera": ((0, 1, 2), (1, 1, -1), "(x, y, -z)"),
    "y up": ((0, 1, 2), (1, -1, 1), "(x, -y, z)"),
    "x left": ((0, 1, 2), (-1, 1, 1), "(-x, y, z)"),
    "x, z, y as the reference picture of frame 0433": ((0, 2, 1), (1, 1, -1), "(x, -z, y)"),
}


@pytest.fixture(scope="module")
def views() -> list[Frame]:
    """One view of each kind of room, with exact depth and normals."""
    from datasets.synthetic.render import render_room

    return [render_room((0, 11), number, (60, 80))[0] for number in range(4)]


def test_there_are_48_orders_and_the_first_is_as_stored():
    assert len({matrix.tobytes() for matrix in ORDERS}) == 48
    assert (ORDERS[0] == np.eye(3)).all()
    assert spelled(0) == "(x, y, z)"
    assert {round(float(np.linalg.det(matrix))) for matrix in ORDERS} == {-1, 1}


def test_mean_angle_by_hand():
    """Right angle, the same direction at another length, and the opposite: 90, 0, 180."""
    first = np.array([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 1.0]])
    second = np.array([[0, 1.0, 0], [0, 1.0, 0], [0, 0, -3.0]])
    assert mean_angle(first, second) == pytest.approx(90)


def test_right_normals_of_rendered_rooms_agree(views):
    for view in views:
        result = agreement(view.depth, view.normals.astype(np.float16), view.camera.intrinsics)
        assert result is not None
        assert result.best == 0
        assert result.angle < 25


@pytest.mark.parametrize("case", RIGHT_ORDER)
def test_a_wrong_order_in_a_single_frame_is_detected(views, case):
    order, signs, expected = RIGHT_ORDER[case]
    for view in views:
        wrong = (view.normals[..., list(order)] * signs).astype(np.float16)
        result = agreement(view.depth, wrong, view.camera.intrinsics)
        assert result is not None
        assert spelled(result.best) == expected
        assert result.best_angle < 25
        assert result.best_angle < result.angle - 5


def test_a_single_wall_does_not_determine_the_sign_of_x():
    """All normals (0, 0, 1): x and y are undetermined, so no order is named."""
    assert best_order(np.diag([0.0, 0.0, 1.0])) == 0
    assert spelled(best_order(np.diag([0.0, 0.0, -1.0])))[-3:] == "-z)"


def test_too_few_pixels_give_no_result():
    depth = np.zeros((40, 40), np.float32)
    depth[:5, :5] = 1
    normals = np.zeros((40, 40, 3), np.float16)
    normals[..., 2] = 1
    assert agreement(depth, normals, np.array([[40.0, 0, 20], [0, 40, 20], [0, 0, 1]])) is None


def test_larger_frames_are_thinned_without_moving_the_camera():
    """A plane seen at 720x960: thinned by 3, its normal is still exact."""
    matrix = np.array([[700.0, 0, 480], [0, 700, 360], [0, 0, 1]])
    v, u = np.mgrid[:720, :960] + 0.5
    normal = np.array([0.3, 0.4, 0.866])
    rays = np.stack([(u - 480) / 700, (v - 360) / 700, np.ones_like(u)], -1)
    depth = (2.0 / (rays @ normal)).astype(np.float32)
    normals = np.broadcast_to(normal / np.linalg.norm(normal) * (-1, -1, 1), (720, 960, 3)).astype(np.float16)
    result = agreement(depth, normals, matrix)
    assert result is not None
    assert result.angle < 0.1
