"""Furnishing of a bedroom, a living room, an office and a kitchen, with small objects on tables and shelves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from datasets.synthetic import furniture, props, storage, wall_items
from datasets.synthetic.furniture import chance, uniform
from datasets.synthetic.items import Item, Support
from datasets.synthetic.lights import LightSetup
from datasets.synthetic.materials import Palette
from datasets.synthetic.meshes import rotation, translation
from datasets.synthetic.placement import FloorPlan

QUARTERS = (0.0, 90.0, 180.0, 270.0)


@dataclass(frozen=True)
class Furnishing:
    """State of a room while it is being furnished.

    Args:
        palette: colours and random choices of the room.
        plan: placed items and free space.
        setup: lamps and daylight.
        far: numbers of the walls opposite the cameras, which get most of the furniture.
        near: numbers of the walls behind the cameras.
    """

    palette: Palette
    plan: FloorPlan
    setup: LightSetup
    far: Sequence[int]
    near: Sequence[int]

    @property
    def walls(self) -> list[int]:
        """All walls, far ones first."""
        return [*self.far, *self.near]

    def lamp(self) -> Item:
        """Build a table lamp, switched on if the light set-up says so."""
        return props.table_lamp(self.palette, self.setup.colour, self.setup.lamps)

    def standing_lamp(self) -> Item:
        """Build a floor lamp, switched on if the light set-up says so."""
        return props.standing_lamp(self.palette, self.setup.colour, self.setup.lamps)

    def hang(self, item: Item, height: float, walls: Sequence[int] | None = None) -> None:
        """Hang an item at a free position of the walls, far walls first; `height` in metres."""
        self.plan.hang(item, walls or self.walls, height)

    def decorate(self, pictures: int) -> None:
        """Hang pictures, and perhaps add a plant and cartons."""
        for _ in range(pictures):
            self.hang(wall_items.picture(self.palette), uniform(self.palette, 1.3, 1.5))
        if chance(self.palette, 0.4):
            self.plan.against_wall(props.plant(self.palette, uniform(self.palette, 0.7, 1.3)), self.walls)
        if chance(self.palette, 0.5):
            self.plan.against_wall(props.carton_stack(self.palette), self.walls)


def dress(item: Item, palette: Palette, makers: Sequence[Callable[[], Item]], density: float) -> Item:
    """Put small objects in a row on the supports of an item.

    Args:
        item: the item, changed in place and returned.
        palette: palette of the room.
        makers: builders of the possible objects.
        density: probability that a position is used.
    """
    for support in item.supports:
        left = -support.width / 2
        while left < support.width / 2:
            thing = makers[int(palette.rng.integers(len(makers)))]()
            fits = left + thing.width < support.width / 2 and thing.depth <= support.depth + 0.02
            if fits and thing.height < support.headroom and chance(palette, density):
                _put_on(item, palette, support, thing, left)
            left += thing.width + uniform(palette, 0.04, 0.2)
    return item


def _put_on(item: Item, palette: Palette, support: Support, thing: Item, left: float) -> None:
    x, y, z = support.centre
    slack = max(0.0, support.depth - thing.depth)
    shift = (float(palette.rng.random()) - 0.5) * slack
    item.attach(thing, x + left + thing.width / 2, y + shift, z + 0.001)


def _small_things(palette: Palette) -> list[Callable[[], Item]]:
    return [
        lambda: props.vase(palette),
        lambda: storage.book_pile(palette),
        lambda: props.plant(palette, uniform(palette, 0.22, 0.4)),
        lambda: props.carton(palette),
    ]


def _table_things(palette: Palette) -> list[Callable[[], Item]]:
    return [lambda: storage.book_pile(palette), lambda: props.vase(palette), lambda: props.sheets(palette)]


def bedroom(room: Furnishing) -> None:
    """Bed with night stands, wardrobe, dresser with a mirror, rug."""
    palette, plan = room.palette, room.plan
    sleep = furniture.bed(palette, uniform(palette, 1.0, 1.8))
    placed = plan.against_wall(sleep, room.walls, clearance=0.3)
    if placed:
        _furnish_bed_side(room, sleep, *placed)
    plan.against_wall(storage.wardrobe(palette, uniform(palette, 0.9, 1.5)), room.walls, clearance=0.3)
    chest = storage.chest(palette, "dresser", uniform(palette, 0.9, 1.3), 0.46, uniform(palette, 0.75, 0.95), 3, 2)
    dresser = plan.against_wall(dress(chest, palette, _small_things(palette), 0.6), room.walls, clearance=0.2)
    if dresser:
        plan.hang(wall_items.mirror(palette), [dresser[0]], chest.height + 0.12, dresser[1])
    if chance(palette, 0.6):
        plan.against_wall(furniture.chair(palette), room.walls)
    if chance(palette, 0.35):
        shelf = storage.bookshelf(palette, uniform(palette, 0.6, 0.9), uniform(palette, 0.9, 1.8))
        plan.against_wall(dress(shelf, palette, _small_things(palette), 0.4), room.walls)
    if chance(palette, 0.5):
        plan.in_the_open(props.bag(palette), QUARTERS)
    room.decorate(pictures=3)


def _furnish_bed_side(room: Furnishing, sleep: Item, wall: int, position: float) -> None:
    """Night stands with lamps left and right, a picture above, a rug in front."""
    palette, plan = room.palette, room.plan
    for side in (-1, 1):
        stand = storage.chest(palette, "night stand", 0.44, 0.4, uniform(palette, 0.48, 0.6), 2, 1)
        things = [room.lamp, lambda: storage.book_pile(palette), room.lamp]
        dress(stand, palette, things, 0.95)
        plan.stand(stand, wall, position + side * (sleep.width / 2 + 0.06 + stand.width / 2))
    if chance(palette, 0.75):
        mat = props.floor_mat(palette, sleep.width + 1.0, uniform(palette, 1.2, 1.6))
        _lay(room, mat, wall, position, sleep.depth + 0.2)
    plan.hang(wall_items.picture(palette), [wall], 1.45, position)


def _lay(room: Furnishing, mat: Item, wall: int, position: float, distance: float) -> None:
    """Lay a mat on the floor, moved inside the room if necessary; furniture may stand on it."""
    plan = room.plan
    pose = plan.walls[wall].pose(position, distance, 0.0)
    block, margin, extent = plan.block(mat, pose), 0.08, (plan.width, plan.depth)
    shift = [
        max(margin - low, 0.0) - max(high - length + margin, 0.0)
        for low, high, length in zip(block.low, block.high, extent, strict=False)
    ]
    if all(high - low < length - 2 * margin for low, high, length in zip(block.low, block.high, extent, strict=False)):
        plan.placed.append(mat.placed(translation(shift[0], shift[1], 0.0) @ pose))


def living_room(room: Furnishing) -> None:
    """Sofa with a low table on a rug, armchair, television, bookshelf, floor lamp."""
    palette, plan = room.palette, room.plan
    couch = furniture.sofa(palette, int(palette.rng.integers(2, 4)))
    placed = plan.against_wall(couch, room.walls, clearance=1.1)
    if placed:
        _around_sofa(room, couch, *placed)
    board = storage.chest(palette, "cabinet", uniform(palette, 1.1, 1.7), 0.42, uniform(palette, 0.42, 0.6), 1, 3)
    screen = wall_items.television(palette, wall_mounted=False)
    board.attach(screen, 0.0, 0.05, board.height + 0.001)
    plan.against_wall(board, [*room.far[::-1], *room.near], clearance=0.4)
    shelf = storage.bookshelf(palette, uniform(palette, 0.8, 1.3), uniform(palette, 1.4, 2.1))
    plan.against_wall(dress(shelf, palette, _small_things(palette), 0.5), room.walls)
    plan.against_wall(room.standing_lamp(), room.walls)
    plan.in_the_open(furniture.sofa(palette, 1, label="chair"), QUARTERS)
    if chance(palette, 0.5):
        boards = storage.wall_shelves(palette, uniform(palette, 0.7, 1.1))
        room.hang(dress(boards, palette, [lambda: props.vase(palette)], 0.7), 1.35)
    room.decorate(pictures=4)


def _around_sofa(room: Furnishing, couch: Item, wall: int, position: float) -> None:
    """Low table and rug in front of a sofa, picture above it."""
    palette, plan = room.palette, room.plan
    size = uniform(palette, 0.8, 1.2), uniform(palette, 0.45, 0.6)
    low = furniture.table(palette, "table", *size, uniform(palette, 0.38, 0.46))
    dress(low, palette, _table_things(palette), 0.7)
    distance = couch.depth + uniform(palette, 0.3, 0.45) + low.depth / 2
    plan.put(low, plan.walls[wall].pose(position, distance, 0.0156))
    _lay(room, props.floor_mat(palette, couch.width * 0.9 + 0.2, uniform(palette, 1.3, 1.8)), wall, position, distance)
    plan.hang(wall_items.picture(palette), [wall], 1.3, position)


def office(room: Furnishing) -> None:
    """One or two desks with swivel chairs, bookshelves, whiteboard, cartons."""
    palette, plan = room.palette, room.plan
    room.hang(wall_items.whiteboard(palette), uniform(palette, 0.95, 1.1), room.far)
    for _ in range(2 if chance(palette, 0.55) else 1):
        _work_place(room)
    for _ in range(2):
        shelf = storage.bookshelf(palette, uniform(palette, 0.7, 1.1), uniform(palette, 1.0, 2.1))
        plan.against_wall(dress(shelf, palette, _small_things(palette), 0.5), room.walls)
    boards = storage.wall_shelves(palette, uniform(palette, 0.7, 1.2))
    dress(boards, palette, [lambda: props.vase(palette), lambda: props.carton(palette)], 0.6)
    room.hang(boards, uniform(palette, 1.3, 1.45))
    if chance(palette, 0.5):
        plan.against_wall(storage.wardrobe(palette, uniform(palette, 0.8, 1.1)), room.walls)
    plan.against_wall(props.carton_stack(palette), room.walls)
    for maker in (props.bin_, props.bag, props.carton_stack):
        if chance(palette, 0.6):
            plan.in_the_open(maker(palette), QUARTERS, margin=0.05)
    plan.against_wall(room.standing_lamp(), room.walls)
    room.decorate(pictures=1)


def _work_place(room: Furnishing) -> None:
    """Desk with a screen and other objects, and a swivel chair in front."""
    palette, plan = room.palette, room.plan
    work = furniture.desk(palette, uniform(palette, 1.2, 1.7))
    screen = wall_items.television(palette, wall_mounted=False, label="otherprop", size=0.52)
    work.attach(screen, 0.0, 0.12, work.height)
    width, depth = 0.33 * work.width, work.depth - 0.05
    work.supports = [Support((side * 0.32 * work.width, 0.0, work.height), width, depth) for side in (-1, 1)]
    things = [room.lamp, *_table_things(palette)]
    placed = plan.against_wall(dress(work, palette, things, 0.8), room.walls, clearance=0.75)
    if placed:
        seat = furniture.office_chair(palette)
        pose = plan.walls[placed[0]].pose(placed[1] + uniform(palette, -0.2, 0.2), work.depth + 0.3, 0.0)
        plan.put(seat, pose @ rotation("z", 180.0 + float(palette.rng.normal(scale=25))))


def kitchen(room: Furnishing) -> None:
    """Kitchen unit, refrigerator, dining table with chairs."""
    palette, plan = room.palette, room.plan
    unit = storage.kitchen_unit(palette, uniform(palette, 1.8, 2.7))
    jars = [lambda: props.vase(palette), lambda: props.carton(palette), lambda: props.vase(palette)]
    placed = plan.against_wall(dress(unit, palette, jars, 0.55), room.walls, clearance=0.5)
    cold = storage.refrigerator(palette)
    sides = [side * (unit.width / 2 + 0.04 + cold.width / 2) for side in (-1, 1)]
    if not placed or not any(plan.stand(cold, placed[0], placed[1] + side) for side in sides):
        plan.against_wall(cold, room.walls)
    for _ in range(4):
        if plan.in_the_open(_dining_group(palette), QUARTERS[:2], margin=0.02, centre=True) is not None:
            break
    if chance(palette, 0.4):
        shelf = storage.wardrobe(palette, uniform(palette, 0.8, 1.0))
        plan.against_wall(shelf, room.walls)
    if chance(palette, 0.5):
        boards = storage.wall_shelves(palette, uniform(palette, 0.6, 0.9))
        room.hang(dress(boards, palette, jars, 0.7), 1.4)
    for maker in (props.bin_, props.bag):
        if chance(palette, 0.5):
            plan.in_the_open(maker(palette), QUARTERS, margin=0.05)
    extra = room.standing_lamp() if room.setup.lamps > 1 else props.carton_stack(palette)
    plan.against_wall(extra, room.walls)
    room.decorate(pictures=3)


def _dining_group(palette: Palette) -> Item:
    """Table with two to six chairs, some pulled out or turned a little."""
    if chance(palette, 0.35):
        board = furniture.round_table(palette, uniform(palette, 0.95, 1.15), 0.75)
        places = [(np.sin(a) * 0.62, -np.cos(a) * 0.62, np.degrees(a) + 180) for a in np.radians((20, 140, 260))]
    else:
        length, depth = uniform(palette, 1.35, 1.7), uniform(palette, 0.75, 0.9)
        board = furniture.table(palette, "table", length, depth, uniform(palette, 0.73, 0.77))
        rows, columns = ((depth / 2 + 0.12, 0.0), (-depth / 2 - 0.12, 180.0)), (-0.23 * length, 0.23 * length)
        places = [(x, y, turn) for x in columns for y, turn in rows]
    dress(board, palette, _table_things(palette), 0.6)
    group = Item(board.width, board.depth, board.height)
    group.merge(board)
    wood, cloth = palette.any_wood(swap_uv=True), palette.plain_cloth()
    for x, y, turn in places:
        if chance(palette, 0.9):
            seat = furniture.chair(palette, wood, cloth)
            wobble = float(palette.rng.normal(scale=5))
            out = uniform(palette, 0.05, 0.25)
            group.attach(seat, float(x) * (1 + 0.2 * out), float(y) * (1 + out), 0.0, turn=float(turn) + wobble)
    group.width, group.depth = (board.width + 0.04, board.depth + 0.9) if len(places) == 4 else (1.75, 1.75)
    group.height = 0.95
    return group
