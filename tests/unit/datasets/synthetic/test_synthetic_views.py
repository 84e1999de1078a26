"""Rendered rooms: depth, normals and poses must agree with each other, and views of a room must overlap."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from datasets.synthetic.render import Frame


def unproject(frame: Frame) -> np.ndarray:
    """(H, W, 3) points in the frame of the camera (z forward), from depth and intrinsics alone."""
    height, width = frame.depth.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([x, y, np.ones_like(x)], axis=-1)
    return frame.depth[..., None].astype(np.float64) * (pixels @ np.linalg.inv(frame.camera.intrinsics).T)


def plane_depths(frame: Frame, rows: np.ndarray, columns: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Depth at sub-pixel positions of the plane through the surface seen at pixels (rows, columns)."""
    normals = frame.normals[rows, columns] * (1, 1, -1)
    rays = np.c_[positions, np.ones(len(positions))] @ np.linalg.inv(frame.camera.intrinsics).T
    offset = (normals * unproject(frame)[rows, columns]).sum(1)
    slope = (normals * rays).sum(1)
    return offset / np.where(np.abs(slope) < 1e-9, 1e-9, slope)


def test_fitted_planes_have_the_stored_normals(rendered_rooms):
    """Independent of the renderer: the smallest singular vector of the points of a flat 3x3 patch."""
    checked = 0
    for frame in [frame for room in rendered_rooms for frame in room]:
        points = unproject(frame)
        for row in range(2, 58, 3):
            for column in range(2, 78, 3):
                patch = (slice(row - 1, row + 2), slice(column - 1, column + 2))
                flat = np.ptp(frame.normals[patch], axis=(0, 1)).max() < 1e-6 and np.ptp(frame.instances[patch]) == 0
                spread = points[patch].reshape(9, 3) - points[patch].mean(axis=(0, 1))
                singular, axes = np.linalg.svd(spread)[1:]
                if not flat or singular[2] > 1e-3 * singular[1]:
                    continue  # parallel boards behind each other have one normal and no common plane
                fitted = axes[2] * (1, 1, -1)
                cosine = abs(float(fitted @ frame.normals[row, column]))
                assert np.degrees(np.arccos(min(cosine, 1.0))) < 0.2, f"normal off at row {row}, column {column}"
                checked += 1
    assert checked > 1000


def test_normals_face_the_camera(rendered_rooms):
    for frame in [frame for room in rendered_rooms for frame in room]:
        towards = -unproject(frame)
        assert ((frame.normals * (1, 1, -1) * towards).sum(axis=2) > 0).all()
        np.testing.assert_allclose(np.linalg.norm(frame.normals, axis=2), 1, atol=1e-5)


def test_floor_lies_below_and_ceiling_above_the_camera(rendered_rooms):
    """Floor pixels have y < 0, in the camera frame with y down, and lie at height 0 in the room."""
    for frame in [frame for room in rendered_rooms for frame in room]:
        floor = frame.semseg == 2
        world = unproject(frame)[floor] @ frame.camera.pose[:3, :3].T + frame.camera.pose[:3, 3]
        assert (frame.normals[floor][:, 1] < 0).all()
        np.testing.assert_allclose(world[:, 2], 0, atol=1e-5)


def agreement(first: Frame, second: Frame) -> tuple[float, float, float]:
    """Reproject a view into another one.

    Returns:
        share of its pixels that land unoccluded on the same face (object and direction) of the other view; of those,
        the share whose depths agree within 1 cm; and the share of landed pixels that the other view sees through.
    """
    relative = np.linalg.inv(second.camera.pose) @ first.camera.pose
    points = unproject(first).reshape(-1, 3) @ relative[:3, :3].T + relative[:3, 3]
    positions = points @ second.camera.intrinsics.T
    ahead = points[:, 2] > 0.2
    positions = positions[:, :2] / np.where(ahead, points[:, 2], 1.0)[:, None]
    height, width = second.depth.shape
    landed = ahead & (positions >= 0).all(axis=1) & (positions < (width, height)).all(axis=1)
    columns, rows = np.floor(positions[landed]).astype(int).T
    predicted, found = points[landed, 2], plane_depths(second, rows, columns, positions[landed])
    rotated_normals = (first.normals * (1, 1, -1)).reshape(-1, 3)[landed] @ relative[:3, :3].T * (1, 1, -1)
    same = first.instances.ravel()[landed] == second.instances[rows, columns]
    same &= (rotated_normals * second.normals[rows, columns]).sum(axis=1) > 0.99
    unoccluded = same & (found > predicted - 0.01)
    agrees = np.abs(found - predicted) < 0.01
    return unoccluded.sum() / landed.size, agrees[unoccluded].mean(), (~agrees & (found > predicted + 0.05)).mean()


def test_views_of_a_room_agree_on_its_surface(rendered_rooms):
    for room in rendered_rooms:
        for first, second in pairwise(room):
            common, agreeing, seen_through = agreement(first, second)
            assert common > 0.3, "neighbouring views must overlap"
            assert agreeing > 0.97, f"only {agreeing:.1%} of the common surface agrees within 1 cm"
            # Pixels next to an edge may land on the surface behind it.
            assert seen_through < 0.05


def test_poses_are_rigid_and_cameras_stand_in_the_room(rendered_rooms):
    for frame in [frame for room in rendered_rooms for frame in room]:
        pose = frame.camera.pose
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
        assert 1.0 < pose[2, 3] < 2.0, "eye height"
        assert frame.depth.min() > 0.15, "the camera must not be inside an object"


def test_a_room_has_two_to_four_views_of_one_camera_and_rooms_have_different_ones(rendered_rooms):
    focal_lengths = []
    for room in rendered_rooms:
        assert 2 <= len(room) <= 4
        for frame in room[1:]:
            np.testing.assert_allclose(frame.camera.intrinsics, room[0].camera.intrinsics, rtol=1e-12)
        focal_lengths.append(room[0].camera.intrinsics[0, 0] / 80)
    assert all(0.75 < focal < 0.88 for focal in focal_lengths)
    assert np.ptp(focal_lengths) > 0.005


def test_images_are_exposed_and_textured(rendered_rooms):
    """Neither black nor white as a whole, and not flat: labels could not be learned from that."""
    for frame in [frame for room in rendered_rooms for frame in room]:
        assert 25 < frame.image.mean() < 235
        assert frame.image.std() > 20
        assert (frame.image == 255).all(axis=2).mean() < 0.25


def test_boundaries_are_at_object_borders(rendered_rooms):
    for frame in [frame for room in rendered_rooms for frame in room]:
        assert 0.01 < frame.boundary.mean() < 0.35
        class_change = frame.semseg[:, :-1] != frame.semseg[:, 1:]
        assert frame.boundary[:, :-1][class_change].all(), "where the class changes there is a boundary"
