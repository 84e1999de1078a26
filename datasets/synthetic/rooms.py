"""Furnished rooms: bedrooms, living rooms, offices and kitchens, drawn from a seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from datasets.synthetic import furnishing
from datasets.synthetic.furniture import chance, uniform
from datasets.synthetic.items import Item, Light
from datasets.synthetic.lights import LightSetup, Sun, draw_setup, draw_sun
from datasets.synthetic.materials import Material, Palette, paint
from datasets.synthetic.meshes import rectangle, span, translation
from datasets.synthetic.openings import door, window
from datasets.synthetic.placement import Block, FloorPlan, Wall
from datasets.synthetic.props import ceiling_lamp

OVERHANG = 0.3
"""Extension of walls, floor and ceiling beyond the corners, metres; it closes gaps at the edges."""


@dataclass(frozen=True)
class Room:
    """A furnished room with a corner at the origin; z is up, the floor at 0.

    Args:
        kind: key of `FURNISHERS`.
        width: extent along x, metres.
        depth: extent along y.
        height: extent along z.
        items: shell and furniture.
        lights: lamps and windows.
        sun: direct sunlight, or None.
        setup: strength of the lights.
        obstacles: boxes above, below or in which no camera may be.
    """

    kind: str
    width: float
    depth: float
    height: float
    items: list[Item]
    lights: list[Light]
    sun: Sun | None
    setup: LightSetup
    obstacles: list[Block]


def _wall_surface(wall: Wall, height: float, covering: Material, skirting: Material, shell: Item) -> None:
    """Add a wall and its skirting board, in the frame of an item at the wall."""
    pose = wall.pose(0.0, 0.0, 0.0)
    along = (wall.length + 2 * OVERHANG, 0.0, 0.0)
    surface = rectangle((-OVERHANG, 0.0, -OVERHANG), along, (0.0, 0.0, height + 2 * OVERHANG))
    shell.add("wall", covering, surface, pose=pose)
    shell.add("wall", skirting, span((0.0, -0.013, 0.0), (wall.length, OVERHANG, 0.08)), pose=pose)


def shell(palette: Palette, plan: FloorPlan) -> Item:
    """Walls (one of them perhaps with wallpaper), floor and ceiling."""
    item = Item(plan.width, plan.depth, plan.height)
    common, skirting = palette.wall_paint(), paint(palette.rng, palette.neutral(0.8, 0.93))
    papered = int(palette.rng.integers(4)) if chance(palette, 0.65) else -1
    covering = palette.wall_covering()
    for number, wall in enumerate(plan.walls):
        _wall_surface(wall, plan.height, covering if number == papered else common, skirting, item)
    corner, edges = (-OVERHANG, -OVERHANG, 0.0), ((plan.width + 2 * OVERHANG, 0, 0), (0, plan.depth + 2 * OVERHANG, 0))
    item.add("floor", palette.floor(), rectangle(corner, *edges), instance=1)
    white = paint(palette.rng, palette.neutral(0.86, 0.95))
    item.add("ceiling", white, rectangle(corner, *edges), instance=2, pose=translation(0.0, 0.0, plan.height))
    return item


def _open_walls(palette: Palette, plan: FloorPlan, setup: LightSetup, far: Sequence[int], near: Sequence[int]) -> None:
    """Add a door to a near or far wall, and one or two windows to the far walls."""
    for side in far if chance(palette, 0.45) else far[:1]:
        plan.hang(window(palette, night=setup.night, radiance=setup.windows), [side], 0.0)
    entrance = door(palette)
    placed = plan.hang(entrance, [*far[1:], *near] if chance(palette, 0.6) else [*near, *far], 0.0)
    if placed:
        plan.keep_free(entrance, *placed, reach=0.9)


FURNISHERS: dict[str, Callable[[furnishing.Furnishing], None]] = {
    "bedroom": furnishing.bedroom,
    "living room": furnishing.living_room,
    "office": furnishing.office,
    "kitchen": furnishing.kitchen,
}
"""Furnishing function of each kind of room."""


def furnish(seed: Sequence[int], number: int) -> Room:
    """Draw a furnished room.

    Args:
        seed: numbers that determine the room.
        number: number of the room in its split; it selects the kind of room and of light, so that 16 rooms have all
            pairs.
    """
    rng = np.random.default_rng(list(seed))
    palette = Palette(rng)
    kind = list(FURNISHERS)[number % len(FURNISHERS)]
    # Over the first 16 rooms every kind of room meets every kind of light.
    setup = draw_setup(rng, number + number // len(FURNISHERS))
    width, depth = uniform(palette, 3.6, 5.4), uniform(palette, 3.4, 4.8)
    plan = FloorPlan(width, depth, uniform(palette, 2.45, 2.95), rng)
    far = [int(side) for side in rng.permutation(2)] if chance(palette, 0.5) else [0, 3]
    near = [side for side in range(4) if side not in far]
    room_shell = shell(palette, plan)
    _open_walls(palette, plan, setup, far, near)
    FURNISHERS[kind](furnishing.Furnishing(palette, plan, setup, far, near))
    lamp = ceiling_lamp(palette, setup.colour, setup.ceiling)
    hook = translation(
        width / 2 + uniform(palette, -0.3, 0.3), depth / 2 + uniform(palette, -0.3, 0.3), plan.height - lamp.height
    )
    plan.put(lamp, hook)
    lights = [light for item in plan.placed for light in item.lights]
    obstacles = [block for block in plan.taken if block.solid]
    sun = draw_sun(rng, setup, lights)
    return Room(kind, width, depth, plan.height, [room_shell, *plan.placed], lights, sun, setup, obstacles)
