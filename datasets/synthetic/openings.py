"""Doors, and windows with curtains or blinds. All are placed with their back (+y) to a wall."""

from __future__ import annotations

import numpy as np

from datasets.synthetic.furniture import chance, uniform
from datasets.synthetic.items import Item, Light
from datasets.synthetic.materials import Colour, Material, Palette, hsv, new_seed, paint
from datasets.synthetic.meshes import Mesh, bevelled, box, cylinder, rectangle, rotation, span, translation, wavy_sheet

DAYLIGHT: Colour = (0.86, 0.94, 1.0)
DUSK: Colour = (0.10, 0.14, 0.30)


def _frame(width: float, bottom: float, top: float, bar: float, back: float, front: float) -> list[Mesh]:
    """Four bars around a rectangle in the x-z plane, between the depths `front` < `back`."""
    x = width / 2
    return [
        bevelled((-x - bar, front, bottom - bar), (-x, back, top + bar), 0.006),
        bevelled((x, front, bottom - bar), (x + bar, back, top + bar), 0.006),
        bevelled((-x, front, top), (x, back, top + bar), 0.006),
        bevelled((-x, front, bottom - bar), (x, back, bottom), 0.006),
    ]


def door(palette: Palette) -> Item:
    """Closed door: architrave, slab with panels, handle."""
    width, height, bar = uniform(palette, 0.8, 0.92), uniform(palette, 1.98, 2.06), 0.07
    item = Item(width + 2 * bar, 0.05, height + bar)
    trim = paint(palette.rng, palette.neutral(0.8, 0.93))
    leaf = trim if chance(palette, 0.35) else palette.any_wood(swap_uv=True)
    metal, back, x = palette.metal(), 0.025, width / 2
    item.add("door", trim, *_frame(width, bar, height, bar, back, -0.015)[:3])
    item.add("door", leaf, span((-x, 0.0, 0.008), (x, back, height)))
    layout = int(palette.rng.integers(3))
    rows = [[(0.12, 0.95), (1.05, height - 0.12)], [(0.12, 0.68), (0.78, 1.3), (1.4, height - 0.12)], []][layout]
    for low, high in rows:
        for left, right in ((-x + 0.1, -0.04), (0.04, x - 0.1)):
            item.add("door", leaf, bevelled((left, -0.012, low), (right, 0.001, high), 0.01))
    side = x - 0.06 if chance(palette, 0.5) else -x + 0.06
    lever = box((0.12, 0.015, 0.018), (side - 0.05 * np.sign(side), -0.04, 1.03))
    item.add("door", metal, span((side - 0.02, -0.018, 0.94), (side + 0.02, 0.0, 1.1)), lever)
    item.add("door", metal, box((0.018, 0.03, 0.018), (side, -0.03, 1.03)))
    return item


def _pane(palette: Palette, night: bool) -> Material:
    """View through the glass as an emitting material, bright by day."""
    rng = palette.rng
    leaves = hsv(float(rng.uniform(0.2, 0.36)), 0.5, 0.5)
    sky = (hsv(0.58, 0.06, 0.94), hsv(0.58, 0.28, 0.9))
    colours = (leaves, sky[0], sky[1]) if not night else (hsv(0.6, 0.5, 0.1), hsv(0.62, 0.6, 0.25), hsv(0.64, 0.6, 0.2))
    return Material("outdoors", colours, scale=1.0, seed=new_seed(rng), emission=0.3 if night else 3.0)


def window(palette: Palette, *, night: bool, radiance: float) -> Item:
    """Window with frame, bars, sill and a pane that lights the room, dressed with curtains, blinds or nothing.

    Args:
        palette: palette of the room.
        night: True if it is dark outside.
        radiance: radiance of the pane as a light; 0 for none.

    Returns:
        The item; z = 0 is the floor.
    """
    width, bottom, top = uniform(palette, 1.0, 1.7), uniform(palette, 0.85, 1.0), uniform(palette, 2.0, 2.2)
    bar, back = 0.05, 0.06
    item = Item(width + 2 * bar, 0.12, top + bar, bottom - 0.1)
    trim = paint(palette.rng, palette.neutral(0.82, 0.94)) if chance(palette, 0.7) else palette.wood()
    x = width / 2
    pane = rectangle((-x, 0.0, 0.0), (width, 0.0, 0.0), (0.0, 0.0, top - bottom))
    item.add("window", _pane(palette, night), pane, pose=translation(0.0, back - 0.01, bottom))
    item.add("window", trim, *_frame(width, bottom, top, bar, back, back - 0.04))
    item.add(
        "window",
        trim,
        span((-x - 0.1, back - 0.12, bottom - bar - 0.025), (x + 0.1, back - 0.001, bottom - bar - 0.003)),
    )
    columns, rows = int(palette.rng.integers(2, 4)), int(palette.rng.integers(1, 3))
    for index in range(1, columns):
        middle = -x + index * width / columns
        item.add("window", trim, span((middle - 0.02, back - 0.035, bottom), (middle + 0.02, back - 0.011, top)))
    for index in range(1, rows):
        z = bottom + index * (top - bottom) / rows
        item.add("window", trim, span((-x, back - 0.033, z - 0.015), (x, back - 0.012, z + 0.015)))
    colour = DUSK if night else DAYLIGHT
    if radiance > 0:
        edges = np.array([[x, 0.0, 0.0], [0.0, 0.0, (top - bottom) / 2]])
        middle_of_pane = np.array([0.0, back - 0.045, (bottom + top) / 2])
        shine = (colour[0] * radiance, colour[1] * radiance, colour[2] * radiance)
        item.lights.append(Light(middle_of_pane, shine, edges=edges, normal=np.array([0.0, -1.0, 0.0])))
    dressing = palette.rng.random()
    if dressing < 0.6:
        _hang_curtains(palette, item, width, top, bottom)
    elif dressing < 0.85:
        _hang_blinds(palette, item, width, top, bottom)
    return item


def _hang_curtains(palette: Palette, item: Item, width: float, top: float, bottom: float) -> None:
    """A pair of curtains gathered at both sides of the window, on a rod."""
    cloth, metal = palette.cloth(), palette.metal()
    reach, rod, y = uniform(palette, 0.3, 0.5), top + 0.14, -0.03
    hem = 0.03 if chance(palette, 0.7) else bottom - 0.2
    half = width / 2 + 0.75 * reach
    for index, left in enumerate((-half, half - reach)):
        sheet = wavy_sheet(reach, hem, rod - 0.01, folds=uniform(palette, 9, 13) * reach, amplitude=0.035)
        item.add("curtain", cloth, sheet, instance=1 + index, pose=translation(left, y, 0.0))
    bar = cylinder(0.014, -half - 0.08, half + 0.08, sections=8)
    item.add("curtain", metal, bar, instance=1, pose=translation(0.0, y, rod) @ rotation("y", 90.0))
    item.width, item.height, item.bottom = 2 * half + 0.16, rod + 0.02, hem


def _hang_blinds(palette: Palette, item: Item, width: float, top: float, bottom: float) -> None:
    """Horizontal slats in front of the upper part of the pane."""
    plastic = paint(palette.rng, palette.neutral(0.75, 0.92))
    low = top - uniform(palette, 0.35, 0.95) * (top - bottom)
    # Nearly closed: gaps of less than a pixel between slats would make noisy labels.
    tilt = rotation("x", uniform(palette, 64.0, 78.0))
    slat = box((width - 0.03, 0.05, 0.002)).moved(tilt)
    for z in np.arange(low, top - 0.03, 0.04):
        item.add("blinds", plastic, slat.moved(translation(0.0, -0.005, float(z))), instance=1)
    item.add(
        "blinds",
        plastic,
        span((-width / 2 + 0.01, -0.03, top - 0.03), (width / 2 - 0.01, 0.015, top + 0.02)),
        instance=1,
    )
    item.add(
        "blinds",
        plastic,
        span((-width / 2 + 0.01, -0.02, low - 0.04), (width / 2 - 0.01, 0.01, low - 0.022)),
        instance=1,
    )
