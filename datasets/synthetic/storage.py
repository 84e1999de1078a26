"""Storage furniture: bookshelves, wall shelves, cabinets, dressers, night stands, kitchen units."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.furniture import chance, uniform
from datasets.synthetic.items import Item, Support
from datasets.synthetic.materials import BOOK_COLOURS, Material, Palette, make, paint
from datasets.synthetic.meshes import Mesh, bevelled, box, cylinder, rotation, span, translation


def books(palette: Palette, width: float, depth: float, headroom: float) -> Item:
    """A row of upright books along x, spines to the front, sometimes the last one leaning."""
    item = Item(width, depth, headroom)
    x = -width / 2
    covers = [make(palette.rng, "plain", [BOOK_COLOURS[int(k)]], scale=0.1) for k in palette.rng.integers(10, size=5)]
    while True:
        thickness, height = uniform(palette, 0.018, 0.045), headroom * uniform(palette, 0.66, 0.95)
        reach = min(depth, uniform(palette, 0.15, 0.21))
        if x + thickness > width / 2:
            return item
        cover = covers[int(palette.rng.integers(len(covers)))]
        volume = span((x, -depth / 2, 0.002), (x + thickness - 0.001, -depth / 2 + reach, height))
        item.add("books", cover, volume)
        if chance(palette, 0.5):
            label = paint(palette.rng, BOOK_COLOURS[3])
            y = -depth / 2 - 0.0015
            item.add(
                "books", label, span((x + 0.003, y, 0.6 * height), (x + thickness - 0.004, y + 0.02, 0.78 * height))
            )
        x += thickness


def book_pile(palette: Palette) -> Item:
    """Pile of two to five books."""
    count = int(palette.rng.integers(2, 6))
    item = Item(0.28, 0.28, 0.04 * count)
    z = 0.002
    for _ in range(count):
        cover = paint(palette.rng, BOOK_COLOURS[int(palette.rng.integers(10))])
        width, depth, thickness = uniform(palette, 0.15, 0.2), uniform(palette, 0.2, 0.25), uniform(palette, 0.02, 0.04)
        turn = rotation("z", float(palette.rng.normal(scale=9)))
        item.add("books", cover, box((width, depth, thickness), (0.0, 0.0, z + thickness / 2)), pose=turn)
        z += thickness + 0.001
    return item


def _fill_board(palette: Palette, item: Item, board: Support) -> None:
    """Put books on a part of a board, and add the rest to the supports of the item."""
    x, y, z = board.centre
    share = uniform(palette, 0.35, 1.0)
    side = 1 if chance(palette, 0.5) else -1
    width = share * (board.width - 0.02)
    if chance(palette, 0.85):
        row = books(palette, width, min(board.depth - 0.02, 0.22), min(board.headroom - 0.02, 0.3))
        item.attach(row, x + side * (board.width - 0.02 - width) / 2, y - 0.01, z)
    else:
        width = 0.0
    free = board.width - width
    if free > 0.2:
        centre = x - side * (board.width - free) / 2
        item.supports.append(Support((centre, y, z), free - 0.06, board.depth, board.headroom))


def bookshelf(palette: Palette, width: float, height: float) -> Item:
    """Open shelf on the floor, filled with books."""
    depth, board = uniform(palette, 0.26, 0.34), 0.022
    item = Item(width, depth, height)
    wood = palette.any_wood(swap_uv=True)
    x, y = width / 2, depth / 2
    for side in (-1, 1):
        low, high = sorted((side * x, side * (x - board)))
        item.add("bookshelf", wood, span((low, -y, 0.0), (high, y, height)))
    item.add("bookshelf", wood, span((-x + board, y - 0.012, 0.04), (x - board, y - 0.002, height - 0.004)))
    count = max(2, round(height / uniform(palette, 0.32, 0.4)))
    step = (height - 0.06 - board) / count
    for index in range(count + 1):
        z = 0.06 + index * step
        item.add("bookshelf", wood, span((-x + board, -y + 0.003, z), (x - board, y - 0.012, z + board)))
        if index < count:
            space = Support((0.0, -0.006, z + board), width - 2 * board, depth - 0.02, step - board)
            _fill_board(palette, item, space)
    item.supports.append(Support((0.0, 0.0, 0.06 + count * step + board), width - 0.15, depth, 0.35))
    return item


def wall_shelves(palette: Palette, width: float) -> Item:
    """Two or three boards on brackets, to hang on a wall."""
    boards, depth, step = int(palette.rng.integers(2, 4)), uniform(palette, 0.2, 0.26), uniform(palette, 0.32, 0.4)
    item = Item(width, depth, (boards - 1) * step + 0.03)
    wood, metal = palette.any_wood(), palette.metal()
    for index in range(boards):
        z = index * step
        item.add("shelves", wood, bevelled((-width / 2, -depth / 2, z), (width / 2, depth / 2, z + 0.028), 0.004))
        for x in (-0.36 * width, 0.36 * width):
            item.add("shelves", metal, span((x, -depth / 2 + 0.06, z - 0.02), (x + 0.02, depth / 2, z - 0.002)))
        space = Support((0.0, -0.005, z + 0.028), width - 0.04, depth - 0.02, step - 0.05)
        _fill_board(palette, item, space)
    return item


def _drawers(
    front: Material, knob: Material, width: float, low: float, high: float, y: float, rows: int, columns: int
) -> list[tuple[Material, Mesh]]:
    """Drawer fronts with handles that face -y, at depth `y`."""
    parts: list[tuple[Material, Mesh]] = []
    step_x, step_z = width / columns, (high - low) / rows
    for column in range(columns):
        for row in range(rows):
            x, z = -width / 2 + column * step_x, low + row * step_z
            panel = bevelled(
                (x + 0.008, y - 0.018, z + 0.008), (x + step_x - 0.008, y - 0.001, z + step_z - 0.008), 0.005
            )
            handle = box((min(0.14, 0.4 * step_x), 0.02, 0.014), (x + step_x / 2, y - 0.03, z + 0.62 * step_z))
            parts += [(front, panel), (knob, handle)]
    return parts


def chest(palette: Palette, label: str, width: float, depth: float, height: float, rows: int, columns: int) -> Item:
    """Chest of drawers: dressers, night stands, sideboards."""
    item = Item(width, depth, height)
    body, front, knob = palette.any_wood(), palette.front(), palette.metal()
    x, y = width / 2, depth / 2
    item.add(label, body, span((-x + 0.01, -y + 0.035, 0.07), (x - 0.01, y - 0.004, height - 0.025)))
    item.add(label, body, bevelled((-x, -y, height - 0.025), (x, y, height), 0.006))
    for sx in (-1, 1):
        for sy in (-1, 1):
            item.add(label, knob, box((0.04, 0.04, 0.07), (sx * (x - 0.05), sy * (y - 0.07), 0.035)))
    for material, mesh in _drawers(front, knob, width - 0.03, 0.08, height - 0.03, -y + 0.035, rows, columns):
        item.add(label, material, mesh)
    item.supports.append(Support((0.0, 0.0, height), width - 0.06, depth - 0.04))
    return item


def wardrobe(palette: Palette, width: float) -> Item:
    """Tall cabinet with panelled doors."""
    depth, height = uniform(palette, 0.5, 0.6), uniform(palette, 1.85, 2.1)
    item = Item(width, depth, height)
    body, front, metal = palette.any_wood(swap_uv=True), palette.front(), palette.metal()
    x, y, doors = width / 2, depth / 2, max(2, round(width / 0.5))
    item.add("cabinet", body, span((-x, -y + 0.025, 0.0), (x, y, height - 0.03)))
    item.add("cabinet", body, bevelled((-x - 0.01, -y, height - 0.03), (x + 0.01, y, height), 0.008))
    step = width / doors
    for index in range(doors):
        left, right = -x + index * step + 0.004, -x + (index + 1) * step - 0.004
        item.add("cabinet", front, span((left, -y + 0.006, 0.07), (right, -y + 0.024, height - 0.04)))
        for low, high in ((0.14, 0.46 * height), (0.5 * height, height - 0.12)):
            item.add(
                "cabinet", front, bevelled((left + 0.07, -y - 0.004, low), (right - 0.07, -y + 0.005, high), 0.004)
            )
        handle = right - 0.035 if index % 2 == 0 else left + 0.02
        item.add("cabinet", metal, span((handle, -y - 0.02, 0.95), (handle + 0.016, -y + 0.005, 1.15)))
    item.supports.append(Support((0.0, 0.0, height), width - 0.2, depth - 0.1, 0.35))
    return item


def refrigerator(palette: Palette) -> Item:
    """Fridge with a freezer door."""
    width, depth, height = uniform(palette, 0.6, 0.72), uniform(palette, 0.62, 0.7), uniform(palette, 1.6, 1.85)
    item = Item(width, depth, height)
    shell, metal = paint(palette.rng, palette.neutral(0.6, 0.92)), palette.metal()
    x, y, split = width / 2, depth / 2, height * uniform(palette, 0.6, 0.68)
    item.add("refridgerator", shell, bevelled((-x, -y + 0.06, 0.03), (x, y, height), 0.015))
    for low, high in ((0.05, split - 0.005), (split + 0.005, height - 0.01)):
        item.add("refridgerator", shell, bevelled((-x + 0.004, -y, low), (x - 0.004, -y + 0.055, high), 0.018))
        grip = (low + 0.66 * (high - low)) if low < 0.1 else (low + 0.1 * (high - low))
        item.add(
            "refridgerator", metal, span((x - 0.08, -y - 0.035, grip), (x - 0.055, -y, grip + 0.27 * (high - low)))
        )
    return item


def _sink(palette: Palette) -> Item:
    """Basin set on a counter, with a tap."""
    item = Item(0.5, 0.4, 0.3)
    steel, dark = paint(palette.rng, palette.neutral(0.6, 0.8)), paint(palette.rng, palette.neutral(0.3, 0.42))
    # The rim, as (left, front, right, back).
    bars = (
        (-0.25, -0.2, 0.25, -0.17),
        (-0.25, 0.14, 0.25, 0.2),
        (-0.25, -0.17, -0.22, 0.14),
        (0.22, -0.17, 0.25, 0.14),
    )
    for left, front, right, back in bars:
        item.add("sink", steel, span((left, front, 0.001), (right, back, 0.045)))
    item.add("sink", dark, span((-0.22, -0.17, 0.001), (0.22, 0.14, 0.004)))
    item.add("sink", steel, cylinder(0.014, 0.045, 0.28, sections=10).moved(translation(0.0, 0.17, 0.0)))
    item.add("sink", steel, box((0.024, 0.2, 0.022), (0.0, 0.08, 0.285)))
    return item


def kitchen_unit(palette: Palette, width: float) -> Item:
    """Base cabinets under a counter with a sink, and cabinets on the wall above."""
    depth, level, height = 0.6, uniform(palette, 0.86, 0.92), uniform(palette, 2.0, 2.15)
    item = Item(width, depth, height)
    front, metal, carcass = palette.front(), palette.metal(), palette.any_wood()
    stone = make(palette.rng, "stone", [palette.neutral(0.3, 0.85), palette.neutral(0.2, 0.9)], scale=0.7)
    x, y, columns = width / 2, depth / 2, max(2, round(width / 0.5))
    item.add("cabinet", carcass, span((-x, -y + 0.06, 0.0), (x, y, level - 0.045)))
    for material, mesh in _drawers(front, metal, width, 0.1, level - 0.05, -y + 0.06, 1, columns):
        item.add("cabinet", material, mesh)
    item.add("counter", stone, bevelled((-x, -y, level - 0.044), (x, y, level), 0.006), instance=1)
    upper = level + uniform(palette, 0.5, 0.58)
    item.add("cabinet", carcass, span((-x, 0.01, upper), (x, y, height)), instance=2)
    for material, mesh in _drawers(front, metal, width, upper, height, 0.01, 1, columns):
        item.add("cabinet", material, mesh, instance=2)
    glaze = [palette.neutral(0.7, 0.9), palette.accent(0.2, 0.85), palette.neutral(0.5, 0.7)]
    splash = make(palette.rng, "tiles", glaze, scale=0.12)
    item.add("wall", splash, span((-x, y - 0.006, level + 0.001), (x, y, upper - 0.001)), instance=3)
    sink_x = float(np.clip(palette.rng.normal(scale=0.3), -1, 1)) * (x - 0.35)
    item.attach(_sink(palette), sink_x, -0.02, level)
    for low, high in ((-x, sink_x - 0.3), (sink_x + 0.3, x)):
        if high - low > 0.3:
            item.supports.append(Support(((low + high) / 2, -0.06, level), high - low - 0.05, 0.4, 0.45))
    return item
