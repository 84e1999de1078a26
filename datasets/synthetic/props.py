"""Small and movable objects: lamps, boxes, bags, plants, paper, mats."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.furniture import chance, uniform
from datasets.synthetic.items import Item, Light
from datasets.synthetic.materials import Colour, Palette, glow, hsv, linear, make, mixed, paint
from datasets.synthetic.meshes import bevelled, box, cylinder, ellipsoid, rotation, span, translation, tube

WARM: Colour = (1.0, 0.78, 0.52)
NEUTRAL: Colour = (1.0, 0.92, 0.82)
COLD: Colour = (0.82, 0.92, 1.0)


def _bulb(item: Item, colour: Colour, power: float, height: float, reach: float) -> None:
    """Add a light at the given height; nothing within `reach` metres casts a shadow, so the shade does not block it."""
    if power > 0:
        intensity = (colour[0] * power, colour[1] * power, colour[2] * power)
        item.lights.append(Light(np.array([0.0, 0.0, height]), intensity, radius=0.06, clearance=reach))


def standing_lamp(palette: Palette, colour: Colour, power: float) -> Item:
    """Floor lamp with a cloth shade.

    Args:
        palette: palette of the room.
        colour: linear RGB colour of the light.
        power: radiant intensity; 0 if it is switched off.
    """
    height, radius, shade = uniform(palette, 1.4, 1.65), uniform(palette, 0.17, 0.23), uniform(palette, 0.24, 0.32)
    item = Item(2 * radius, 2 * radius, height)
    metal = palette.metal()
    item.add(
        "lamp", metal, cylinder(0.14, 0.0, 0.025, sections=20), cylinder(0.013, 0.025, height - 0.5 * shade, sections=8)
    )
    _shade(item, palette, colour, power, height - shade, height, radius)
    return item


def table_lamp(palette: Palette, colour: Colour, power: float) -> Item:
    """Bedside or desk lamp: a body and a cloth shade."""
    height, radius, shade = uniform(palette, 0.36, 0.5), uniform(palette, 0.11, 0.15), uniform(palette, 0.15, 0.2)
    item = Item(2 * radius, 2 * radius, height)
    body = paint(palette.rng, palette.accent()) if chance(palette, 0.6) else palette.any_wood()
    girth = 0.6 * radius
    item.add(
        "lamp", body, ellipsoid((1.4 * girth, 1.4 * girth, 0.6 * (height - shade)), (0, 0, 0.32 * (height - shade)))
    )
    item.add("lamp", body, cylinder(0.6 * girth, 0.001, 0.015), cylinder(0.012, 0.01, height - 0.5 * shade, sections=8))
    _shade(item, palette, colour, power, height - shade, height, radius)
    return item


def _shade(item: Item, palette: Palette, colour: Colour, power: float, low: float, high: float, radius: float) -> None:
    cloth = palette.neutral(0.7, 0.92)
    lit = glow(mixed(cloth, colour, 0.6), 2.2) if power > 0 else paint(palette.rng, cloth)
    item.add("lamp", lit, tube(radius, low, high, top_radius=radius * uniform(palette, 0.6, 0.95)))
    _bulb(item, colour, power, (low + high) / 2, reach=1.15 * float(np.hypot(radius, (high - low) / 2)))


def ceiling_lamp(palette: Palette, colour: Colour, power: float) -> Item:
    """Ceiling lamp, a flat dome or a pendant; its top is at z = height."""
    if chance(palette, 0.5):
        radius, drop = uniform(palette, 0.18, 0.28), 0.13
        item = Item(2 * radius, 2 * radius, drop)
        surface = glow(mixed((0.9, 0.9, 0.9), colour, 0.5), 2.5) if power > 0 else paint(palette.rng, (0.8, 0.8, 0.78))
        item.add("lamp", surface, cylinder(0.75 * radius, 0.0, drop - 0.03, sections=28, top_radius=radius))
        item.add("lamp", palette.metal(), cylinder(radius + 0.01, drop - 0.029, drop, sections=28))
        _bulb(item, colour, power, -0.06, reach=1.2 * radius + 0.1)
        return item
    drop, radius = uniform(palette, 0.5, 0.75), uniform(palette, 0.15, 0.22)
    item = Item(2 * radius, 2 * radius, drop)
    item.add(
        "lamp", palette.metal(), cylinder(0.006, 0.12, drop, sections=6), cylinder(0.05, drop - 0.03, drop - 0.001)
    )
    _shade(item, palette, colour, power, 0.0, 0.17, radius)
    return item


def carton(palette: Palette) -> Item:
    """Cardboard box with a strip of tape."""
    width, depth, height = uniform(palette, 0.28, 0.5), uniform(palette, 0.25, 0.4), uniform(palette, 0.2, 0.38)
    item = Item(width, depth, height)
    kraft = linear(0.72, 0.56, 0.38) if chance(palette, 0.7) else palette.accent(0.5, 0.6)
    card = make(palette.rng, "fabric", [kraft, mixed(kraft, (0.1, 0.1, 0.1), 0.2)], scale=0.8)
    tape = paint(palette.rng, linear(0.8, 0.72, 0.55))
    x, y = width / 2, depth / 2
    item.add("box", card, span((-x, -y, 0.001), (x, y, height)))
    item.add("box", tape, span((-x - 0.002, -0.03, height - 0.07), (x + 0.002, 0.03, height + 0.002)))
    return item


def carton_stack(palette: Palette) -> Item:
    """One or two cartons on each other."""
    item = carton(palette)
    if chance(palette, 0.5):
        upper = carton(palette)
        item.attach(upper, 0.0, 0.0, item.height + 0.003, turn=uniform(palette, -12.0, 12.0))
        item.width, item.depth = max(item.width, upper.width + 0.08), max(item.depth, upper.depth + 0.08)
        item.height += upper.height
    return item


def bag(palette: Palette) -> Item:
    """Soft bag with two handles."""
    item = Item(0.42, 0.24, 0.42)
    cloth = palette.plain_cloth()
    item.add("bag", cloth, ellipsoid((0.4, 0.2, 0.32), (0.0, 0.0, 0.16), squareness=0.45))
    for y in (-0.06, 0.06):
        item.add("bag", cloth, box((0.02, 0.008, 0.14), (-0.08, y, 0.36)), box((0.02, 0.008, 0.14), (0.08, y, 0.36)))
        item.add("bag", cloth, box((0.18, 0.008, 0.02), (0.0, y, 0.42)))
    return item


def plant(palette: Palette, height: float) -> Item:
    """Leaves in a pot."""
    radius = min(0.2, 0.22 * height + 0.02)
    rim = 0.3 * height
    spread = 2 * max(1.1 * radius, 0.5 * (height - rim))
    item = Item(spread, spread, height)
    pot = paint(palette.rng, palette.accent(0.5, 0.6) if chance(palette, 0.5) else palette.neutral())
    leaf = make(palette.rng, "fabric", [hsv(uniform(palette, 0.24, 0.38), 0.6, uniform(palette, 0.3, 0.55))], scale=0.3)
    item.add("otherprop", pot, cylinder(0.7 * radius, 0.001, rim, sections=18, top_radius=radius))
    for index in range(int(palette.rng.integers(9, 15))):
        length = (height - rim) * uniform(palette, 0.75, 1.05)
        blade = ellipsoid((0.35 * length, 0.03, length), (0.0, 0.0, length / 2), count=6)
        lean = rotation("z", 137.5 * index) @ rotation("x", uniform(palette, 4.0, 26.0))
        item.add("otherprop", leaf, blade, pose=translation(0.0, 0.0, rim - 0.02) @ lean)
    return item


def vase(palette: Palette) -> Item:
    """Ceramic vase."""
    height, radius = uniform(palette, 0.15, 0.32), uniform(palette, 0.045, 0.08)
    item = Item(2 * radius, 2 * radius, height)
    glaze = paint(palette.rng, palette.accent(0.6, 0.65))
    item.add("otherprop", glaze, ellipsoid((2 * radius, 2 * radius, 0.75 * height), (0, 0, 0.375 * height), count=10))
    item.add("otherprop", glaze, cylinder(0.35 * radius, 0.6 * height, height, sections=14, top_radius=0.6 * radius))
    return item


def bin_(palette: Palette) -> Item:
    """Waste-paper bin."""
    item = Item(0.3, 0.3, 0.34)
    item.add("otherprop", paint(palette.rng, palette.accent(0.4, 0.5)), tube(0.11, 0.001, 0.34, top_radius=0.145))
    item.add("otherprop", paint(palette.rng, palette.neutral(0.1, 0.3)), cylinder(0.108, 0.002, 0.03, top_radius=0.11))
    return item


def sheets(palette: Palette) -> Item:
    """A few sheets of paper."""
    item = Item(0.34, 0.34, 0.01)
    text = make(palette.rng, "strokes", [linear(0.93, 0.93, 0.9), linear(0.3, 0.3, 0.35)], scale=0.02)
    for index in range(int(palette.rng.integers(1, 4))):
        sheet = box((0.21, 0.297, 0.002), (0.0, 0.0, 0.003 + 0.003 * index))
        item.add("paper", text, sheet, pose=rotation("z", uniform(palette, -25.0, 25.0)))
    return item


def floor_mat(palette: Palette, width: float, depth: float) -> Item:
    """Rug with a border."""
    item = Item(width, depth, 0.014)
    rng, field, rim = palette.rng, palette.accent(0.5, 0.5), palette.accent(0.4, 0.75)
    kind = str(rng.choice(["carpet", "plaid", "stripes", "medallions", "dots"]))
    scale = {"carpet": 0.5, "plaid": 0.45, "stripes": 0.3, "medallions": 0.5, "dots": 0.3}[kind]
    x, y, border = width / 2, depth / 2, uniform(palette, 0.06, 0.12)
    edge = make(rng, "carpet", [rim, mixed(rim, field, 0.3)], scale=0.5)
    middle = make(rng, kind, [field, mixed(field, rim, 0.6), rim], scale)
    item.add("floor mat", edge, bevelled((-x, -y, 0.001), (x, y, 0.012), 0.004))
    item.add("floor mat", middle, span((-x + border, -y + border, 0.002), (x - border, y - border, 0.0155)))
    return item
