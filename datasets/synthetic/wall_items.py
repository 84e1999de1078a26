"""Pictures, mirrors, whiteboards and televisions; their back faces +y."""

from __future__ import annotations

from datasets.synthetic.furniture import uniform
from datasets.synthetic.items import Item
from datasets.synthetic.materials import MIRROR, Material, Palette, linear, make, paint
from datasets.synthetic.meshes import bevelled, box, cylinder, rectangle, span, translation


def _framed(label: str, frame: Material, surface: Material, width: float, height: float, bar: float) -> Item:
    """A flat surface in a frame. The texture is centred and repeats every `surface.scale` metres."""
    depth = 0.035
    item = Item(width, depth, height)
    x, y = width / 2, depth / 2
    sheet = rectangle((-x + bar, 0.0, -height / 2 + bar), (width - 2 * bar, 0.0, 0.0), (0.0, 0.0, height - 2 * bar))
    item.add(label, surface, sheet, pose=translation(0.0, 0.0, height / 2))
    for low, high in ((-x, -x + bar), (x - bar, x)):
        item.add(label, frame, bevelled((low, -y, 0.0), (high, y, height), 0.006))
    for bottom, top in ((0.0, bar), (height - bar, height)):
        item.add(label, frame, bevelled((-x + bar, -y, bottom), (x - bar, y, top), 0.006))
    return item


def picture(palette: Palette) -> Item:
    """Framed painting of random format."""
    rng = palette.rng
    long, short = uniform(palette, 0.5, 1.0), uniform(palette, 0.35, 0.65)
    width, height = (long, short) if rng.random() < 0.6 else (short, long)
    colours = [palette.accent(0.7, 0.5), palette.accent(0.4, 0.85), linear(*rng.uniform(0.2, 0.95, size=3))]
    canvas = make(rng, "painting", colours, scale=height)
    frame = palette.any_wood() if rng.random() < 0.6 else palette.metal()
    return _framed("picture", frame, canvas, width, height, bar=uniform(palette, 0.02, 0.05))


def mirror(palette: Palette) -> Item:
    """Framed mirror."""
    height = uniform(palette, 0.7, 1.1)
    return _framed("mirror", palette.any_wood(), MIRROR, uniform(palette, 0.5, 0.8), height, bar=0.04)


def whiteboard(palette: Palette) -> Item:
    """Whiteboard with some handwriting and a pen tray."""
    width, height = uniform(palette, 1.2, 1.9), uniform(palette, 0.85, 1.1)
    board = make(
        palette.rng, "strokes", [linear(0.93, 0.94, 0.94), linear(0.15, 0.2, 0.5), linear(0.6, 0.15, 0.15)], 0.12
    )
    item = _framed("whiteboard", paint(palette.rng, linear(0.7, 0.71, 0.72)), board, width, height, bar=0.025)
    tray = box((0.5 * width, 0.06, 0.015), (0.0, -0.03, 0.03))
    item.add("whiteboard", paint(palette.rng, linear(0.7, 0.71, 0.72)), tray)
    return item


def _screen(palette: Palette) -> Material:
    """Material of a screen that is on or off."""
    if palette.rng.random() < 0.5:
        return paint(palette.rng, linear(0.1, 0.1, 0.12))
    colours = (palette.accent(0.7, 0.5), palette.accent(0.5, 0.8), linear(0.9, 0.9, 0.85))
    return Material("painting", colours, scale=0.6, seed=int(palette.rng.integers(1, 2**31)), emission=0.7)


def television(palette: Palette, *, wall_mounted: bool, label: str = "television", size: float = 1.0) -> Item:
    """Flat screen, on a foot or on a wall; also a computer monitor.

    Args:
        palette: palette of the room.
        wall_mounted: True for a screen without a foot.
        label: NYU-v2 class name.
        size: factor of the width, which is 0.85 to 1.25 m.
    """
    width, lift = size * uniform(palette, 0.85, 1.25), 0.0 if wall_mounted else 0.07
    height = 0.58 * width + lift
    item = Item(width, 0.05 if wall_mounted else 0.2, height)
    case, x = paint(palette.rng, linear(0.13, 0.13, 0.14)), width / 2
    item.add(label, case, bevelled((-x, -0.02, lift), (x, 0.02, height), 0.008))
    surface = rectangle((-x + 0.02, 0.0, -0.27 * width), (width - 0.04, 0.0, 0.0), (0.0, 0.0, 0.54 * width))
    item.add(label, _screen(palette), surface, pose=translation(0.0, -0.0215, lift + 0.29 * width))
    if not wall_mounted:
        item.add(
            label,
            case,
            cylinder(0.02, 0.012, lift + 0.03, sections=8),
            span((-0.22 * width, -0.09, 0.001), (0.22 * width, 0.09, 0.013)),
        )
    return item
