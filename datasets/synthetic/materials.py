"""Materials of a room: patterns of `textures` with colours, drawn from the palette of the room."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

Colour = tuple[float, float, float]
"""Linear RGB reflectance, 0..1."""


@dataclass(frozen=True)
class Material:
    """Appearance of a surface.

    Args:
        pattern: name in `textures.PATTERNS`.
        colours: three linear RGB colours that the pattern mixes.
        scale: metres per repeat of the pattern.
        seed: seed of the noise of the pattern.
        swap_uv: True to swap the two texture directions.
        emission: emitted radiance as a multiple of the colour.
        mirror: True for a mirror.
    """

    pattern: str
    colours: tuple[Colour, Colour, Colour]
    scale: float = 1.0
    seed: int = 0
    swap_uv: bool = False
    emission: float = 0.0
    mirror: bool = False


def linear(red: float, green: float, blue: float) -> Colour:
    """Linear colour of display (sRGB-like) values in 0..1."""
    return (red**2.2, green**2.2, blue**2.2)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Linear colour of hue (0..1, any real), saturation and value (display, 0..1)."""
    clipped = min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 0.95)
    return linear(*colorsys.hsv_to_rgb(hue % 1.0, *clipped))


def new_seed(rng: Generator) -> int:
    """Draw the seed of the noise of one material."""
    return int(rng.integers(1, 2**31))


def make(
    rng: Generator, pattern: str, colours: Sequence[Colour], scale: float = 1.0, *, swap_uv: bool = False
) -> Material:
    """A material of one to three colours; the last one is repeated."""
    three = (list(colours) + [colours[-1]] * 2)[:3]
    return Material(pattern, (three[0], three[1], three[2]), scale, new_seed(rng), swap_uv)


def paint(rng: Generator, colour: Colour) -> Material:
    """Plain paint, lacquer or plastic."""
    return make(rng, "plain", [colour], scale=0.8)


def glow(colour: Colour, strength: float) -> Material:
    """Emitting material, as of a lamp shade."""
    return Material("plain", (colour,) * 3, scale=1.0, seed=1, emission=strength)


MIRROR = Material("plain", (linear(0.9, 0.92, 0.92),) * 3, mirror=True)

WOODS = (
    (linear(0.80, 0.62, 0.42), linear(0.66, 0.46, 0.28)),  # oak
    (linear(0.90, 0.78, 0.60), linear(0.80, 0.64, 0.44)),  # birch
    (linear(0.46, 0.28, 0.17), linear(0.30, 0.17, 0.10)),  # walnut
    (linear(0.56, 0.30, 0.18), linear(0.40, 0.18, 0.10)),  # cherry
    (linear(0.30, 0.22, 0.18), linear(0.20, 0.14, 0.11)),  # wenge
    (linear(0.90, 0.89, 0.86), linear(0.84, 0.82, 0.78)),  # white stain
)
BOOK_COLOURS = tuple(
    linear(*rgb)
    for rgb in (
        (0.62, 0.14, 0.13),
        (0.15, 0.28, 0.52),
        (0.12, 0.38, 0.26),
        (0.86, 0.80, 0.66),
        (0.80, 0.52, 0.14),
        (0.28, 0.18, 0.32),
        (0.15, 0.15, 0.17),
        (0.90, 0.90, 0.88),
        (0.45, 0.27, 0.16),
        (0.20, 0.50, 0.56),
    )
)


def wood_of(rng: Generator, tone: int, *, swap_uv: bool = False) -> Material:
    """Furniture wood of one of the `WOODS`."""
    return make(rng, "wood", WOODS[tone], scale=0.9, swap_uv=swap_uv)


@dataclass
class Palette:
    """Matching colours and materials of one room.

    Args:
        rng: generator of all random choices.
    """

    rng: Generator
    tones: tuple[int, int] = field(init=False)
    hue: float = field(init=False)

    def __post_init__(self) -> None:
        chosen = self.rng.choice(len(WOODS), size=2, replace=False)
        self.tones = (int(chosen[0]), int(chosen[1]))
        self.hue = float(self.rng.random())

    def wood(self, *, swap_uv: bool = False) -> Material:
        """The main wood of the room."""
        return wood_of(self.rng, self.tones[0], swap_uv=swap_uv)

    def any_wood(self, *, swap_uv: bool = False) -> Material:
        """One of the two woods of the room."""
        return wood_of(self.rng, self.tones[int(self.rng.integers(2))], swap_uv=swap_uv)

    def accent(self, saturation: float = 0.55, value: float = 0.6) -> Colour:
        """A colour near the hue of the room, or opposite to it."""
        side = 0.5 if self.rng.random() < 0.35 else 0.0
        hue = self.hue + side + self.rng.normal(scale=0.04)
        spread = self.rng.uniform(0.75, 1.25, size=2)
        return hsv(hue, saturation * float(spread[0]), value * float(spread[1]))

    def neutral(self, low: float = 0.15, high: float = 0.9) -> Colour:
        """A grey with a hint of the room's hue."""
        return hsv(self.hue, float(self.rng.uniform(0.0, 0.12)), float(self.rng.uniform(low, high)))

    def cloth(self) -> Material:
        """Upholstery, blankets, curtains."""
        base = self.accent() if self.rng.random() < 0.65 else self.neutral()
        other = self.accent(saturation=0.35, value=0.8)
        pattern = str(self.rng.choice(["fabric", "fabric", "fabric", "plaid", "stripes", "dots"]))
        scale = {"fabric": 0.5, "plaid": 0.35, "stripes": 0.22, "dots": 0.14}[pattern]
        return make(self.rng, pattern, [base, mixed(base, other, 0.5), other], scale)

    def plain_cloth(self) -> Material:
        """Upholstery without a pattern."""
        base = self.accent() if self.rng.random() < 0.5 else self.neutral()
        return make(self.rng, "fabric", [base, mixed(base, (0.7, 0.7, 0.7), 0.25)], scale=0.5)

    def linen(self) -> Material:
        """Sheets and pillow cases: light cloth."""
        return make(self.rng, "fabric", [self.neutral(0.8, 0.92), hsv(self.hue, 0.15, 0.85)], scale=0.5)

    def lacquer(self) -> Material:
        """Painted furniture fronts."""
        bright = self.rng.random() < 0.6
        return paint(self.rng, self.neutral(0.75, 0.92) if bright else self.accent(0.35, 0.6))

    def front(self) -> Material:
        """Fronts of cabinets and dressers: wood or lacquer."""
        return self.lacquer() if self.rng.random() < 0.45 else self.any_wood()

    def metal(self) -> Material:
        """Handles, lamp poles, chair legs."""
        value = float(self.rng.choice([0.2, 0.55, 0.72]))
        return paint(self.rng, hsv(0.1, float(self.rng.uniform(0.0, 0.25)), value))

    def floor(self) -> Material:
        """Floor boards, tiles or carpet."""
        kind = str(self.rng.choice(["planks", "planks", "planks", "tiles", "checker", "carpet", "stone"]))
        swap_uv = bool(self.rng.random() < 0.5)
        if kind == "planks":
            light, dark = WOODS[int(self.rng.integers(4))]
            return make(self.rng, kind, [light, dark, mixed(dark, (0.0, 0.0, 0.0), 0.3)], 0.14, swap_uv=swap_uv)
        tint = hsv(0.08 + 0.05 * float(self.rng.normal()), 0.2, float(self.rng.uniform(0.45, 0.8)))
        other = mixed(tint, self.neutral(), 0.55 if kind == "checker" else 0.25)
        scale = {"tiles": 0.42, "checker": 0.38, "carpet": 0.6, "stone": 0.9}[kind]
        return make(self.rng, kind, [tint, other, mixed(tint, (0.25, 0.25, 0.25), 0.5)], scale)

    def wall_paint(self) -> Material:
        """Light paint of most walls."""
        hue = self.hue if self.rng.random() < 0.6 else 0.1
        return paint(self.rng, hsv(hue, float(self.rng.uniform(0.02, 0.28)), float(self.rng.uniform(0.72, 0.93))))

    def wall_covering(self) -> Material:
        """Covering of the accent wall: wallpaper, bricks or a strong colour."""
        kind = str(self.rng.choice(["stripes", "medallions", "bricks", "plain", "dots"]))
        light, strong = self.neutral(0.7, 0.9), self.accent(0.4, 0.68)
        if kind == "bricks":
            red = hsv(0.03, 0.5, 0.58)
            return make(self.rng, kind, [red, mixed(red, light, 0.3), linear(0.75, 0.72, 0.68)], scale=0.085)
        scale = {"stripes": 0.3, "medallions": 0.34, "plain": 0.8, "dots": 0.2}[kind]
        pair = [strong] if kind == "plain" else [light, mixed(light, strong, 0.6), mixed(light, strong, 0.85)]
        return make(self.rng, kind, pair, scale)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with `share` of `second`."""
    blend = np.asarray(first) * (1 - share) + np.asarray(second) * share
    return (float(blend[0]), float(blend[1]), float(blend[2]))
