"""Furnishing: items do not intersect, every room is lit, and the documented classes are visible."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmark.visualization.nyu40 import NAMES_40
from datasets.nyuv2.classes import CLASS_IDS_40
from datasets.synthetic.cameras import choose_views, is_open, preview_view
from datasets.synthetic.items import Item
from datasets.synthetic.placement import FloorPlan, walls_of
from datasets.synthetic.rooms import FURNISHERS, Room, furnish
from datasets.synthetic.scene import Scene

NUMBERS = range(16)


@pytest.fixture(scope="module")
def rooms() -> list[Room]:
    """Every kind of room under every kind of light."""
    return [furnish((0, 3, number), number) for number in NUMBERS]


def extents(item: Item) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner (P, 3) of each part, in the room."""
    meshes = [part.mesh.moved(part.pose).vertices for part in item.parts]
    return np.array([mesh.min(axis=0) for mesh in meshes]), np.array([mesh.max(axis=0) for mesh in meshes])


def test_every_class_name_is_one_of_the_forty(rooms, shared):
    """The names equal classes.csv of the NYU-v2 data, and no item has another label."""
    lines = (shared / "data" / "nyuv2" / "classes.csv").read_text().split("\n")[2:42]
    assert tuple(line.split(",")[1] for line in lines) == NAMES_40
    assert {part.label for room in rooms for item in room.items for part in item.parts} <= set(NAMES_40)


def test_parts_of_different_items_do_not_reach_into_each_other(rooms):
    """Boxes around parts overlap by more than 2 cm in all directions only where leaves touch something."""
    found: Counter[tuple[str, str]] = Counter()
    for room in rooms:
        boxes = [extents(item) for item in room.items[1:]]
        for first in range(len(boxes)):
            for second in range(first + 1, len(boxes)):
                low = np.maximum(boxes[first][0][:, None], boxes[second][0][None])
                high = np.minimum(boxes[first][1][:, None], boxes[second][1][None])
                for a, b in np.argwhere((high - low > 0.02).all(axis=2)):
                    labels = room.items[1 + first].parts[a].label, room.items[1 + second].parts[b].label
                    found[min(labels), max(labels)] += 1
    assert not {pair for pair in found if "otherprop" not in pair}, found


def test_all_items_are_inside_their_room(rooms):
    for room in rooms:
        for item in room.items[1:]:
            low, high = extents(item)
            assert low.min() > -0.01
            assert (high.max(axis=0) < (room.width + 0.01, room.depth + 0.01, room.height + 0.01)).all()


def test_sixteen_rooms_hold_every_kind_of_room_and_light(rooms):
    assert {room.kind for room in rooms} == set(FURNISHERS)
    assert len({room.setup.name for room in rooms}) == 4
    assert len({(room.kind, room.setup.name) for room in rooms}) == 16
    assert all(room.lights or room.setup.ambient > 0 for room in rooms)
    assert any(room.sun for room in rooms)


def test_rooms_differ_in_size_and_furniture(rooms):
    assert np.ptp([room.width * room.depth for room in rooms]) > 4
    assert len({tuple(len(item.parts) for item in room.items) for room in rooms}) == len(rooms)


def test_cameras_stand_in_the_open_and_see_many_classes(rooms):
    seen: set[int] = set()
    for number, room in enumerate(rooms):
        scene = Scene(room.items, CLASS_IDS_40)
        cameras = choose_views(room, scene, np.random.default_rng(number), (60, 80))
        assert 2 <= len(cameras) <= 4
        for camera in cameras:
            assert is_open(room, camera.pose[:3, 3], margin=0.05)
            view = preview_view(scene, camera)
            assert view.depth.min() > 0.15
            seen |= set(np.unique(view.classes).tolist())
    names = {NAMES_40[number - 1] for number in seen if number}
    assert len(names) >= 25
    assert {
        "wall",
        "floor",
        "ceiling",
        "cabinet",
        "bed",
        "chair",
        "sofa",
        "table",
        "door",
        "window",
        "bookshelf",
        "picture",
        "desk",
        "curtain",
        "pillow",
        "lamp",
        "books",
        "refridgerator",
    } <= names


def test_furniture_at_each_wall_turns_its_back_to_it():
    """Room of 4 x 3 m: an item 0.5 m in front of the middle of each wall, its +y pointing out of the room."""
    expected = [((2.0, 2.5), (0, 1)), ((3.5, 1.5), (1, 0)), ((2.0, 0.5), (0, -1)), ((0.5, 1.5), (-1, 0))]
    for wall, (place, back) in zip(walls_of(4.0, 3.0), expected, strict=True):
        pose = wall.pose(wall.length / 2, 0.5, 0.0)
        assert tuple(pose[:2, 3]) == place
        assert tuple(pose[:2, 1]) == back


def test_a_full_wall_accepts_no_further_item():
    """Two items of 1.4 m fit along a wall of 3 m, a third does not."""
    plan = FloorPlan(3.0, 3.0, 2.5, np.random.default_rng(0))
    assert plan.stand(Item(1.4, 0.5, 1.0), 0, 0.75)
    assert plan.stand(Item(1.4, 0.5, 1.0), 0, 2.25)
    assert plan.against_wall(Item(1.4, 0.5, 1.0), [0]) is None
    assert plan.hang(Item(1.0, 0.05, 0.5), [0], height=0.4) is None, "hidden behind the furniture"
    assert plan.hang(Item(1.0, 0.05, 0.5), [0], height=1.2) is not None, "free above it"
