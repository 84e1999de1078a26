"""Furniture to sit, lie and work at: tables, desks, chairs, sofas, beds.

Every builder draws sizes and shapes from the random generator of the palette and returns an `Item` in its local frame.
"""

from __future__ import annotations

from datasets.synthetic.items import Item, Support
from datasets.synthetic.materials import Material, Palette
from datasets.synthetic.meshes import Mesh, bevelled, box, cylinder, ellipsoid, rotation, span, translation


def uniform(palette: Palette, low: float, high: float) -> float:
    """Random length, uniform in [low, high), metres."""
    return float(palette.rng.uniform(low, high))


def chance(palette: Palette, probability: float) -> bool:
    """True with the given probability."""
    return bool(palette.rng.random() < probability)


def _legs(width: float, depth: float, height: float, thickness: float, *, round_legs: bool) -> list[Mesh]:
    """Four legs inside a footprint."""
    x, y = width / 2 - 0.6 * thickness, depth / 2 - 0.6 * thickness
    corners = [(sx * x, sy * y) for sx in (-1, 1) for sy in (-1, 1)]
    if round_legs:
        leg = cylinder(thickness * 0.35, 0.0, height, sections=10, top_radius=thickness * 0.5)
        return [leg.moved(translation(cx, cy, 0.0)) for cx, cy in corners]
    return [box((thickness, thickness, height), (cx, cy, height / 2)) for cx, cy in corners]


def table(palette: Palette, label: str, width: float, depth: float, height: float) -> Item:
    """Top, apron and four legs; also coffee tables and desks."""
    item = Item(width, depth, height)
    top, frame = palette.any_wood(), palette.wood(swap_uv=True) if chance(palette, 0.6) else palette.metal()
    thickness = uniform(palette, 0.025, 0.045)
    item.add(label, top, bevelled((-width / 2, -depth / 2, height - thickness), (width / 2, depth / 2, height), 0.006))
    leg = uniform(palette, 0.04, 0.07)
    round_legs = chance(palette, 0.4)
    item.add(label, frame, *_legs(width - 0.06, depth - 0.06, height - thickness, leg, round_legs=round_legs))
    if height > 0.6:
        rail = height - thickness - 0.09
        x, y = width / 2 - 0.07, depth / 2 - 0.07
        for sign in (-1, 1):
            item.add(label, frame, span((-x, sign * y - 0.01, rail), (x, sign * y + 0.01, height - thickness)))
            item.add(label, frame, span((sign * x - 0.01, -y, rail), (sign * x + 0.01, y, height - thickness)))
    item.supports.append(Support((0.0, 0.0, height), width - 0.1, depth - 0.1))
    return item


def round_table(palette: Palette, diameter: float, height: float) -> Item:
    """Round top on a single foot."""
    item = Item(diameter, diameter, height)
    top, foot = palette.any_wood(), palette.metal()
    item.add("table", top, cylinder(diameter / 2, height - 0.035, height, sections=36))
    item.add("table", foot, cylinder(0.05, 0.0, height - 0.035), cylinder(diameter * 0.28, 0.0, 0.03, sections=24))
    side = diameter * 0.6
    item.supports.append(Support((0.0, 0.0, height), side, side))
    return item


def chair(palette: Palette, wood: Material | None = None, cloth: Material | None = None) -> Item:
    """Dining chair: seat, legs, back of slats or upholstery."""
    width, depth, seat = uniform(palette, 0.42, 0.48), uniform(palette, 0.42, 0.48), uniform(palette, 0.43, 0.47)
    height = uniform(palette, 0.82, 0.98)
    frame, cover = wood or palette.any_wood(swap_uv=True), cloth or palette.plain_cloth()
    item = Item(width, depth, height)
    post = 0.035
    item.add("chair", frame, *_legs(width, depth, seat - 0.04, post, round_legs=False))
    item.add("chair", cover, bevelled((-width / 2, -depth / 2, seat - 0.04), (width / 2, depth / 2, seat + 0.02), 0.02))
    y = depth / 2 - post
    for x in (-width / 2 + post / 2, width / 2 - post / 2):
        item.add("chair", frame, span((x - post / 2, y, seat + 0.02), (x + post / 2, y + post, height)))
    inner = width / 2 - post
    if chance(palette, 0.4):
        item.add("chair", cover, bevelled((-inner, y, seat + 0.1), (inner, y + post - 0.006, height - 0.02), 0.012))
        return item
    low, slats = seat + uniform(palette, 0.1, 0.2), int(palette.rng.integers(2, 4))
    step = (height - low) / slats
    for index in range(slats):
        z = low + index * step
        item.add("chair", frame, span((-inner, y + 0.007, z), (inner, y + 0.027, z + 0.62 * step)))
    return item


def office_chair(palette: Palette) -> Item:
    """Swivel chair: star foot, column, padded seat and back, arm rests."""
    item = Item(0.6, 0.6, 1.0)
    cover, dark = palette.plain_cloth(), palette.metal()
    for index in range(5):
        arm = box((0.27, 0.045, 0.03), (0.145, 0.0, 0.075))
        wheel = cylinder(0.028, 0.0, 0.06, sections=8).moved(translation(0.265, 0.0, 0.0))
        spoke = rotation("z", 72.0 * index + 18)
        item.add("chair", dark, arm.moved(spoke), wheel.moved(spoke))
    item.add("chair", dark, cylinder(0.03, 0.09, 0.44), cylinder(0.1, 0.41, 0.44))
    item.add("chair", cover, bevelled((-0.25, -0.25, 0.44), (0.25, 0.24, 0.53), 0.03))
    item.add("chair", cover, bevelled((-0.22, 0.2, 0.6), (0.22, 0.27, 1.0), 0.03))
    item.add("chair", dark, span((-0.04, 0.272, 0.4), (0.04, 0.29, 0.8)))
    if chance(palette, 0.6):
        for x in (-0.27, 0.27):
            item.add("chair", dark, box((0.04, 0.26, 0.03), (x, 0.0, 0.68)), box((0.03, 0.05, 0.2), (x, 0.05, 0.57)))
    return item


def pillow(palette: Palette, cloth: Material, width: float, height: float) -> Item:
    """Cushion lying flat: `width` along x, `height` along y."""
    thickness = uniform(palette, 0.11, 0.16)
    item = Item(width, height, thickness)
    item.add("pillow", cloth, ellipsoid((width, height, thickness), (0.0, 0.0, thickness / 2), squareness=0.55))
    return item


def _leaning(flat: Item, degrees: float) -> Item:
    """A pillow against a back rest: its lower edge at the origin, leaning to +y by `degrees`."""
    stand = translation(0.0, 0.0, flat.depth / 2) @ rotation("x", 90.0 - degrees) @ translation(0, 0, -flat.height / 2)
    return flat.placed(stand)


def sofa(palette: Palette, seats: int, label: str = "sofa") -> Item:
    """Sofa or armchair with arms, seat and back cushions, and loose pillows."""
    arm, seat = uniform(palette, 0.14, 0.22), uniform(palette, 0.58, 0.7)
    depth, height, level = uniform(palette, 0.82, 0.95), uniform(palette, 0.74, 0.88), uniform(palette, 0.4, 0.45)
    inner = seats * seat
    width = inner + 2 * arm
    item = Item(width, depth, height)
    cover, back = palette.cloth() if chance(palette, 0.25) else palette.plain_cloth(), depth / 2
    left, rest = -inner / 2, 0.2
    item.add(label, palette.wood(swap_uv=True), *_legs(width - 0.1, depth - 0.1, 0.08, 0.06, round_legs=False))
    item.add(label, cover, bevelled((-width / 2, -back + 0.03, 0.08), (width / 2, back, level - 0.14), 0.02))
    item.add(
        label,
        cover,
        bevelled((-width / 2 + 0.01, back - rest, level - 0.15), (width / 2 - 0.01, back, height - 0.04), 0.05),
    )
    for side in (-1, 1):
        low, high = sorted((side * inner / 2, side * width / 2))
        item.add(label, cover, bevelled((low, -back, 0.08), (high, back - 0.01, level + 0.19), 0.05))
    for index in range(seats):
        x, end = left + index * seat + 0.004, left + (index + 1) * seat - 0.004
        item.add(label, cover, bevelled((x, -back + 0.015, level - 0.138), (end, back - rest - 0.004, level), 0.04))
        item.add(
            label, cover, bevelled((x, back - rest - 0.15, level + 0.004), (end, back - rest - 0.002, height), 0.06)
        )
    for side in (-1, 1):
        if chance(palette, 0.7):
            cushion = _leaning(pillow(palette, palette.cloth(), 0.42, 0.42), 22.0)
            item.attach(cushion, side * (inner / 2 - 0.27), back - rest - 0.37, level + 0.01)
    return item


def bed(palette: Palette, width: float) -> Item:
    """Frame, mattress, blanket, headboard and pillows; the headboard is at the back."""
    length, level = uniform(palette, 2.0, 2.12), uniform(palette, 0.24, 0.32)
    height = uniform(palette, 0.85, 1.15)
    item = Item(width, length, height)
    frame, linen, blanket = palette.wood(), palette.linen(), palette.cloth()
    x, back, front = width / 2, length / 2, -length / 2
    item.add("bed", frame, *_legs(width, length, level - 0.12, 0.07, round_legs=False))
    item.add("bed", frame, bevelled((-x, front, level - 0.12), (x, back - 0.05, level), 0.01))
    item.add("bed", frame, bevelled((-x, back - 0.05, 0.05), (x, back, height), 0.015))
    top = level + uniform(palette, 0.18, 0.24)
    item.add("bed", linen, bevelled((-x + 0.03, front + 0.03, level), (x - 0.03, back - 0.055, top), 0.05))
    fold = back - uniform(palette, 0.55, 0.8)
    item.add("bed", blanket, bevelled((-x - 0.01, front + 0.01, level - 0.06), (x + 0.01, fold, top + 0.035), 0.05))
    item.add(
        "bed", linen, bevelled((-x - 0.014, fold - 0.2, level + 0.02), (x + 0.014, fold + 0.02, top + 0.042), 0.02)
    )
    count, case = (2 if width > 1.2 else 1), palette.cloth() if chance(palette, 0.3) else palette.linen()
    for index in range(count):
        share = (index + 0.5) / count - 0.5
        cushion = pillow(palette, case, min(0.72, width / count - 0.12), 0.45)
        item.attach(cushion, share * (width - 0.06), back - 0.33, top + 0.003, turn=float(palette.rng.normal(scale=3)))
        if chance(palette, 0.6):
            extra = _leaning(pillow(palette, palette.cloth(), 0.4, 0.4), 28.0)
            item.attach(extra, share * (width - 0.06), back - 0.42, top + 0.12)
    return item


def desk(palette: Palette, width: float) -> Item:
    """Desk with a drawer unit on one side."""
    depth, height = uniform(palette, 0.58, 0.72), uniform(palette, 0.72, 0.76)
    item = table(palette, "desk", width, depth, height)
    front, knob = palette.front(), palette.metal()
    side = 1 if chance(palette, 0.5) else -1
    low, high = sorted((side * (width / 2 - 0.09), side * (width / 2 - 0.5)))
    item.add("desk", front, span((low, -depth / 2 + 0.08, 0.06), (high, depth / 2 - 0.09, height - 0.14)))
    step = (height - 0.22) / 3
    for index in range(3):
        z = 0.07 + index * step
        item.add(
            "desk",
            front,
            bevelled((low + 0.01, -depth / 2 + 0.062, z), (high - 0.01, -depth / 2 + 0.079, z + step - 0.012), 0.004),
        )
        item.add("desk", knob, box((0.12, 0.02, 0.012), ((low + high) / 2, -depth / 2 + 0.05, z + 0.7 * step)))
    return item
