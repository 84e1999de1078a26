"""Labels of scenes with hand-calculated results: empty rooms, single boxes, given cameras."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.boundaries.ground_truth import outlines
from datasets.nyuv2.classes import CLASS_IDS_40
from datasets.synthetic.cameras import Camera, looking_at
from datasets.synthetic.items import Item
from datasets.synthetic.materials import Palette, paint
from datasets.synthetic.meshes import box, rotation
from datasets.synthetic.placement import FloorPlan
from datasets.synthetic.render import Geometry, geometry
from datasets.synthetic.rooms import shell
from datasets.synthetic.scene import Scene


def empty_room(*furniture: Item) -> Scene:
    """Scene of a room of 4 m (x) by 3 m (y) by 2.5 m (z) with the given items."""
    rng = np.random.default_rng(0)
    return Scene([shell(Palette(rng), FloorPlan(4.0, 3.0, 2.5, rng)), *furniture], CLASS_IDS_40)


def level_camera(x: float, y: float, z: float) -> Camera:
    """Camera that looks along +y of the room; focal length 100, principal point (80, 60), 120x160."""
    pose = np.eye(4)
    pose[:3, :3] = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    pose[:3, 3] = (x, y, z)
    return Camera(np.array([[100.0, 0, 80], [0, 100, 60], [0, 0, 1]]), pose, (120, 160))


@pytest.fixture(scope="module")
def view() -> Geometry:
    """View from (1, 1, 1): back wall 2 m ahead, left wall 1 m to the left, floor 1 m below."""
    return geometry(empty_room(), level_camera(1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("row", "column", "label", "depth", "normal"),
    [
        (60, 80, "wall", 2.0, (0, 0, 1)),
        (10, 120, "wall", 2.0, (0, 0, 1)),  # z-depth: the same at every pixel of a fronto-parallel wall
        (60, 0, "wall", 100 / 79.5, (1, 0, 0)),  # the ray leaves to the left at 0.795 m per metre
        (60, 20, "wall", 100 / 59.5, (1, 0, 0)),
        (119, 80, "floor", 100 / 59.5, (0, -1, 0)),  # downwards at 0.595 m per metre
    ],
)
def test_empty_room_has_the_hand_calculated_depth_and_normals(view, row, column, label, depth, normal):
    assert view.semseg[row, column] == CLASS_IDS_40[label]
    assert view.depth[row, column] == pytest.approx(depth, rel=1e-6)
    assert view.normals[row, column].tolist() == list(normal)


def test_ceiling_looks_down():
    """From z = 2 the ceiling is 0.5 m above; at row 0 the ray climbs 0.595 m per metre."""
    seen = geometry(empty_room(), level_camera(1.0, 1.0, 2.0))
    assert seen.semseg[0, 80] == CLASS_IDS_40["ceiling"]
    assert seen.depth[0, 80] == pytest.approx(50 / 59.5, rel=1e-6)
    assert seen.normals[0, 80].tolist() == [0, 1, 0]


def test_every_ray_of_a_closed_room_meets_something(view):
    assert view.semseg.all()
    assert (view.depth > 0).all()
    np.testing.assert_allclose(np.linalg.norm(view.normals, axis=2), 1, atol=1e-6)


def test_missed_rays_are_unlabelled_and_without_depth_and_normal():
    block = Item(1.0, 1.0, 1.0)
    block.add("box", paint(np.random.default_rng(0), (0.5, 0.5, 0.5)), box((0.5, 0.5, 0.5), (1.0, 2.0, 1.0)))
    seen = geometry(Scene([block], CLASS_IDS_40), level_camera(1.0, 0.75, 1.0))
    assert seen.depth[60, 80] == pytest.approx(1.0)
    assert (seen.semseg[0, 0], seen.instances[0, 0], seen.depth[0, 0]) == (0, 0, 0)
    assert not seen.normals[0, 0].any()


def test_box_of_half_a_metre_covers_fifty_pixels_at_one_metre():
    """The front face at 1 m spans 0.5 m: columns 55..104 and rows 35..84 at 100 pixels per metre, centre (80, 60)."""
    block = Item(1.0, 1.0, 1.0)
    block.add("box", paint(np.random.default_rng(0), (0.5, 0.5, 0.5)), box((0.5, 0.5, 0.5), (1.0, 2.25, 1.0)))
    seen = geometry(empty_room(block), level_camera(1.0, 1.0, 1.0))
    rows, columns = np.nonzero(seen.semseg == CLASS_IDS_40["box"])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (35, 84, 55, 104)
    assert len(rows) == 50 * 50


def test_normals_do_not_depend_on_the_orientation_of_triangles():
    """A box turned inside out has the same normals: they face the camera."""
    material, solid = paint(np.random.default_rng(0), (0.5, 0.5, 0.5)), box((0.5, 0.5, 0.5), (1.0, 2.25, 1.0))
    inverted = type(solid)(solid.vertices, solid.faces[:, ::-1])
    views = []
    for mesh in (solid, inverted):
        block = Item(1.0, 1.0, 1.0)
        block.add("box", material, mesh)
        views.append(geometry(empty_room(block), level_camera(1.0, 1.0, 1.0)).normals)
    np.testing.assert_array_equal(*views)


def test_boundary_marks_the_pixel_left_above_and_diagonally_before_a_change():
    """Hand-drawn: object 2 fills the lower right 2x2 corner of a 4x4 map."""
    instances = np.ones((4, 4), dtype=np.int64)
    instances[2:, 2:] = 2
    expected = [[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 0, 0], [0, 1, 0, 0]]
    assert outlines(instances).astype(int).tolist() == expected


def test_two_boxes_of_one_class_have_a_boundary_between_them_and_two_walls_have_none(view):
    stack = Item(1.0, 1.0, 1.0)
    material = paint(np.random.default_rng(0), (0.5, 0.5, 0.5))
    stack.add("box", material, box((0.5, 0.5, 0.5), (0.75, 2.25, 1.0)), instance=0)
    stack.add("box", material, box((0.5, 0.5, 0.5), (1.25, 2.25, 1.0)), instance=1)
    edges = outlines(geometry(empty_room(stack), level_camera(1.0, 1.0, 1.0)).instances)
    assert edges[60, 79]
    assert not edges[60, 70:79].any()
    assert not edges[60, 80:90].any()
    corner = int(80 - 100 * 1.0 / 2.0)
    assert not outlines(view.instances)[40, corner - 5 : corner + 5].any()


def test_camera_looks_at_its_target_and_is_upright():
    """The target projects to the principal point; a point above it projects to a smaller row."""
    target = np.array([2.0, 2.5, 0.8])
    pose = looking_at(np.array([0.5, 0.5, 1.5]), target, roll=0.0)
    camera = Camera(level_camera(0, 0, 0).intrinsics, pose, (120, 160))
    positions, depth = camera.project(np.array([[2.0, 2.5, 0.8], [2.0, 2.5, 1.1]]))
    np.testing.assert_allclose(positions[0], (80, 60), atol=1e-9)
    assert depth[0] == pytest.approx(np.sqrt(1.5**2 + 2**2 + 0.7**2))
    assert positions[1, 0] == pytest.approx(80)
    assert positions[1, 1] < 59
    assert np.linalg.det(camera.pose[:3, :3]) == pytest.approx(1)


def test_rays_and_projection_are_inverse():
    pose = looking_at(np.array([0.5, 0.5, 1.5]), np.array([2.0, 2.5, 0.8]), roll=7.0)
    camera = Camera(np.array([[97.0, 0, 81], [0, 103, 58], [0, 0, 1]]), pose, (120, 160))
    pixels = camera.pixel_centres()
    origins, directions = camera.rays(pixels)
    positions, depth = camera.project(origins + 2.5 * directions)
    np.testing.assert_allclose(positions, pixels, atol=1e-9)
    np.testing.assert_allclose(depth, 2.5)


def test_quarter_turns_are_exact():
    for axis in "xyz":
        for degrees in (0, 90, 180, 270, 360, -90):
            assert set(np.abs(rotation(axis, degrees)).ravel()) <= {0.0, 1.0}
