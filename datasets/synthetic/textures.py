"""Procedural textures: vectorised functions of the surface point in object coordinates.

A pattern maps (u, v), in repeats of the material, to two numbers per point: `mix` in 0..2, the position between the
material's three colours, and `tone`, a factor on the result. Every point carries the seed of its own material, so one
call colours all surfaces of a pattern, however many materials they have.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Seeds = NDArray[np.uint32]
Shade = tuple[Floats, Floats]


def lattice_value(column: Floats, row: Floats, seed: Seeds) -> Floats:
    """Random number in [0, 1) of each whole-numbered lattice point (column, row)."""
    x = column.astype(np.int32).view(np.uint32)
    y = row.astype(np.int32).view(np.uint32)
    bits = x * np.uint32(0x9E3779B1) ^ y * np.uint32(0x85EBCA77) ^ seed * np.uint32(0xC2B2AE3D)
    bits ^= bits >> np.uint32(15)
    bits *= np.uint32(0x2C1B3C6D)
    bits ^= bits >> np.uint32(12)
    bits *= np.uint32(0x297A2D39)
    bits ^= bits >> np.uint32(15)
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def noise(u: Floats, v: Floats, seed: Seeds) -> Floats:
    """Smooth value noise in 0..1 with one feature per unit."""
    column, row = np.floor(u), np.floor(v)
    x, y = _eased(u - column), _eased(v - row)
    low, low_next = lattice_value(column, row, seed), lattice_value(column + 1, row, seed)
    high, high_next = lattice_value(column, row + 1, seed), lattice_value(column + 1, row + 1, seed)
    low, high = low + x * (low_next - low), high + x * (high_next - high)
    return low + y * (high - low)


def _eased(t: Floats) -> Floats:
    """Smooth step from 0 at t = 0 to 1 at t = 1."""
    return t * t * (np.float32(3) - np.float32(2) * t)


def sharpened(value: Floats, low: float, high: float) -> Floats:
    """Smooth step from 0 at `low` to 1 at `high`."""
    return _eased(np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1))


def visible_detail(footprint: Floats, period: float) -> Floats:
    """Remaining contrast of a detail of the given period in repeats; it falls to 0 where a ray covers a period."""
    ratio = footprint * np.float32(2.0 / period)
    return np.float32(1) / (np.float32(1) + ratio * ratio)


def plain(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Paint: one colour with faint smears."""
    smears = noise(u, v, seed)
    return np.zeros_like(u), 0.96 + 0.08 * smears


def wood(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Grain along u: stretched noise with fine fibres."""
    bend = noise(u * 0.6, v * 1.5, seed)
    rings = noise(u * 0.8, (v + 0.5 * bend) * 9, seed)
    fibres = noise(u * 4, v * 60, seed) * visible_detail(footprint, 1 / 60)
    return np.clip(0.15 + 1.1 * rings + 0.5 * (bend - 0.5), 0, 2), 0.9 + 0.2 * fibres


def _bricks(u: Floats, v: Floats, seed: Seeds, length: float, gap: float, stagger: float) -> tuple[Floats, Floats]:
    """Random number of each brick (rows one unit high) and a mask that is 0 in the gaps and 1 inside."""
    row = np.floor(v)
    along = u / np.float32(length) + row * np.float32(stagger)
    column = np.floor(along)
    edge = np.minimum((along - column) * length, (1 - (along - column)) * length)
    edge = np.minimum(edge, np.minimum(v - row, 1 - (v - row)))
    return lattice_value(column, row, seed), sharpened(edge, 0.5 * gap, 1.5 * gap)


def planks(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Floor boards along u, one unit wide, of different shade and grain."""
    shade, inside = _bricks(u, v, seed, length=7.3, gap=0.02, stagger=0.37)
    grain = noise(u * 0.5 + shade * 91, (v + shade * 57) * 7, seed)
    gaps = 1 - 0.6 * (1 - inside) * visible_detail(footprint, 0.5)
    return np.clip(0.9 * shade + 0.8 * grain - 0.1, 0, 2), gaps * (0.9 + 0.2 * shade)


def tiles(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Square tiles of slightly different tone; the third colour is the grout."""
    shade, inside = _bricks(u, v, seed, length=1.0, gap=0.02, stagger=0.0)
    clouds = noise(u * 3, v * 3, seed)
    return 2 - inside * (2 - 0.7 * clouds), 0.92 + 0.16 * shade * inside


def checker(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Tiles of two colours in turn."""
    parity = np.mod(np.floor(u) + np.floor(v), 2).astype(np.float32)
    shade, inside = _bricks(u, v, seed, length=1.0, gap=0.01, stagger=0.0)
    return parity, (0.85 + 0.15 * inside) * (0.95 + 0.1 * shade)


def bricks(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Brickwork, rows one unit high; the third colour is the mortar."""
    shade, inside = _bricks(u, v, seed, length=3.0, gap=0.05, stagger=0.5)
    rough = noise(u * 9, v * 9, seed) * visible_detail(footprint, 0.2)
    return 2 - inside * (2 - shade), 0.85 + 0.2 * rough


def stripes(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Upright stripes, two broad ones and a thin one per unit of u."""
    phase = u - np.floor(u)
    broad = sharpened(np.abs(phase - 0.5), 0.24, 0.26)
    thin = sharpened(np.abs(np.abs(phase - 0.5) - 0.25), 0.03, 0.02)
    return np.maximum(broad, 2 * thin * visible_detail(footprint, 0.1)), 0.97 + 0.06 * noise(u, v, seed)


def medallions(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Wallpaper with staggered ornaments."""
    row = np.floor(v)
    x = np.mod(u + 0.5 * np.mod(row, 2), 1) - np.float32(0.5)
    y = v - row - np.float32(0.5)
    radius, angle = np.sqrt(x * x + 0.7 * y * y), np.arctan2(y, x)
    petals = sharpened(radius - 0.08 * np.cos(6 * angle), 0.27, 0.23)
    heart = sharpened(radius, 0.12, 0.09)
    fade = visible_detail(footprint, 0.5)
    return np.clip(petals + heart, 0, 2) * fade, 0.97 + 0.06 * noise(u * 2, v * 2, seed)


def carpet(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Short pile: noise of three sizes."""
    pile = noise(u * 40, v * 40, seed) * visible_detail(footprint, 1 / 30)
    tufts = noise(u * 11, v * 11, seed) * visible_detail(footprint, 1 / 8)
    return np.clip(0.6 * tufts + 0.5 * noise(u, v, seed), 0, 2), 0.82 + 0.2 * pile + 0.16 * tufts


def fabric(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Plain weave with soft creases."""
    weave = np.sin(u * 120) * np.sin(v * 120) * visible_detail(footprint, 0.05)
    creases = noise(u * 2.3, v * 2.3, seed)
    return np.clip(0.3 * creases + 0.2 * noise(u * 17, v * 17, seed), 0, 2), 0.92 + 0.12 * weave + 0.1 * creases


def plaid(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Tartan: crossing bands."""
    across = sharpened(np.abs(u - np.floor(u) - 0.5), 0.2, 0.22) + sharpened(np.abs(np.mod(u * 2, 1) - 0.5), 0.06, 0.04)
    along = sharpened(np.abs(v - np.floor(v) - 0.5), 0.2, 0.22) + sharpened(np.abs(np.mod(v * 2, 1) - 0.5), 0.06, 0.04)
    return np.clip(0.5 * (across + along), 0, 2), 0.95 + 0.1 * noise(u * 5, v * 5, seed)


def dots(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Round dots on a square lattice, some in the third colour."""
    column, row = np.floor(u), np.floor(v)
    radius = np.hypot(u - column - 0.5, v - row - 0.5)
    kind = 1 + (lattice_value(column, row, seed) > 0.6)
    return (kind * sharpened(radius, 0.32, 0.28)).astype(np.float32), np.ones_like(u)


def stone(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Speckled stone with veins."""
    specks = noise(u * 45, v * 45, seed) * visible_detail(footprint, 1 / 30)
    veins = np.abs(noise(u * 3, v * 3, seed) + 0.4 * noise(u * 8, v * 8, seed) - 0.7)
    return np.clip(sharpened(veins, 0.09, 0.0) + 0.9 * specks, 0, 2), 0.94 + 0.12 * specks


def painting(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Abstract picture: hills below a sky with a disc, all three colours; v is up."""
    ridge = 0.9 * noise(u * 3 + 11, np.zeros_like(u), seed) + 0.25 * noise(u * 11, np.ones_like(u), seed)
    ground = sharpened(v + 0.5 - ridge, 0.03, -0.03)
    centre = lattice_value(np.zeros_like(u), np.ones_like(u), seed) - np.float32(0.5)
    disc = sharpened(np.hypot(u - centre, v - 0.25), 0.2, 0.18)
    strokes = noise(u * 5, v * 19, seed)
    sky = np.clip(1 + disc, 0, 2) * (1 - ground)
    return sky + ground * 0.6 * strokes, 0.75 + 0.5 * strokes


def outdoors(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """View from a window: trees below, hazy sky above; u and v in metres, v is up."""
    trees = 0.35 * noise(u * 1.7, np.zeros_like(u), seed) + 0.2 * noise(u * 7, np.ones_like(u), seed)
    below = sharpened(v - trees, 0.32, 0.26)
    leaves = 0.6 * noise(u * 9, v * 9, seed) + 0.4 * noise(u * 23, v * 23, seed)
    clouds = noise(u * 1.2 + 7, v * 2.5, seed)
    return (1 - below) * (1 + clouds), np.where(below > 0.5, 0.1 + 0.5 * leaves, 0.9 + 0.2 * clouds)


def strokes(u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """Handwriting: lines of dashes on an empty ground."""
    row = np.floor(v)
    written = lattice_value(np.floor(u * 0.7), row, seed) > 0.45
    wave = np.abs(v - row - 0.5 - 0.22 * np.sin(u * 19 + 3 * noise(u * 3, row, seed)))
    ink = sharpened(wave, 0.16, 0.06) * written
    return (ink * (1 + (lattice_value(np.floor(u * 0.7), row + 99, seed) > 0.5))).astype(np.float32), np.ones_like(u)


Pattern = Callable[[Floats, Floats, Seeds, Floats], Shade]
PATTERNS: dict[str, Pattern] = {
    pattern.__name__: pattern
    for pattern in (
        plain,
        wood,
        planks,
        tiles,
        checker,
        bricks,
        stripes,
        medallions,
        carpet,
        fabric,
        plaid,
        dots,
        stone,
        painting,
        outdoors,
        strokes,
    )
}
"""Every pattern by name. Arguments: u, v (N,) in repeats, seed (N,), footprint (N,) of a ray in repeats."""
