"""Light that reaches surface points: irradiance of lamps, windows and sun, with shadows.

Visibility is sampled with one random ray per image sample, and smoothed afterwards over samples of the same surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.synthetic.items import Light
from datasets.synthetic.lights import Sun
from datasets.synthetic.meshes import Array
from datasets.synthetic.scene import Floats, Scene
from datasets.synthetic.surfaces import Surface

OFFSET = np.float32(0.002)
"""Distance of the start of a shadow ray from its surface, metres."""

OCCLUSION_REACH = 0.9
"""Distance in metres within which surfaces block ambient light from each other."""

TILE = 4
"""Side of the tiles of samples in which random directions repeat; a filter of this size averages all strata."""


def _dot(vectors: NDArray[np.floating[Any]], other: NDArray[np.floating[Any]]) -> Floats:
    """Dot products (N,) of vectors (N, 3) with one vector (3,); without BLAS, see `meshes.times`."""
    return np.einsum("ni,i->n", vectors, other, dtype=np.float32, casting="same_kind")


class Sampler:
    """Stratified random pairs over an image grid: every TILE x TILE tile holds one pair per stratum.

    Args:
        rng: generator of the jitter.
        shape: (height, width) of the grid.
    """

    def __init__(self, rng: Generator, shape: tuple[int, int]) -> None:
        self._rng = rng
        self._shape = shape

    def pairs(self) -> tuple[Floats, Floats]:
        """Two numbers in [0, 1) per sample, (N,) each."""
        strata = self._rng.permutation(TILE * TILE).reshape(TILE, TILE)
        height, width = self._shape
        tiled = np.tile(strata, (-(-height // TILE), -(-width // TILE)))[:height, :width].ravel()
        jitter = self._rng.random((2, height * width), dtype=np.float32)
        return (tiled // TILE + jitter[0]) / TILE, (tiled % TILE + jitter[1]) / TILE


def ambient_visibility(scene: Scene, surface: Surface, sampler: Sampler) -> Floats:
    """(N,) 1 where a cosine-distributed ray meets nothing within `OCCLUSION_REACH`, else 0."""
    first, second = sampler.pairs()
    radius, angle = np.sqrt(first), np.float32(2 * np.pi) * second
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    up = np.sqrt(np.maximum(1 - first, np.float32(0.001)))
    x, y, z = surface.normals.T
    # Orthonormal basis without a branch: Duff et al., "Building an Orthonormal Basis, Revisited", JCGT 2017.
    sign = np.where(z < 0, np.float32(-1), np.float32(1))
    a = -1 / (sign + z)
    b = x * y * a
    direction = np.empty_like(surface.normals)
    direction[:, 0] = along * (1 + sign * x * x * a) + across * b + up * x
    direction[:, 1] = along * sign * b + across * (sign + y * y * a) + up * y
    direction[:, 2] = -along * sign * x - across * y + up * z
    start = surface.points + OFFSET * surface.normals
    return scene.is_clear(start, direction, np.full(len(start), OCCLUSION_REACH, np.float32)).astype(np.float32)


def _lamp_irradiance(light: Light, surface: Surface) -> Floats:
    """Unshadowed irradiance of a lamp per unit of intensity, (N,)."""
    towards = light.centre.astype(np.float32) - surface.points
    squared = np.einsum("ni,ni->n", towards, towards) + np.float32(0.01)
    cosine = np.einsum("ni,ni->n", towards, surface.normals) / np.sqrt(squared)
    return np.maximum(cosine, 0) / squared


def _window_irradiance(light: Light, edges: Array, normal: Array, surface: Surface) -> Floats:
    """Unshadowed irradiance of a window per unit of radiance, (N,); the pane is approximated by four patches."""
    total = np.zeros(len(surface.points), dtype=np.float32)
    area = 4 * float(np.linalg.norm(edges[0]) * np.linalg.norm(edges[1]))
    for a in (-0.5, 0.5):
        for b in (-0.5, 0.5):
            patch = (light.centre + a * edges[0] + b * edges[1]).astype(np.float32)
            towards = patch - surface.points
            squared = np.einsum("ni,ni->n", towards, towards)
            cosine = np.maximum(np.einsum("ni,ni->n", towards, surface.normals), 0)
            total += cosine / (squared * squared + np.float32(0.05))
    # All patches lie in one plane, so a point has the same distance from it for each.
    plane_distance = np.maximum(-_dot(light.centre - surface.points, normal), 0)
    return total * plane_distance * np.float32(area / 4)


def direct_light(scene: Scene, surface: Surface, light: Light, sampler: Sampler) -> tuple[Floats, Floats]:
    """Unshadowed irradiance (N,) per unit of the colour, and (N,) 1 where a random point of the light is visible."""
    first, second = (2 * share - 1 for share in sampler.pairs())
    if light.edges is not None and light.normal is not None:
        irradiance = _window_irradiance(light, light.edges, light.normal, surface)
    else:
        irradiance = _lamp_irradiance(light, surface)
    visible = np.zeros(len(surface.points), dtype=np.float32)
    lit = np.flatnonzero((irradiance > 1e-4) & surface.hit)
    target = _points_of_light(light, first[lit], second[lit])
    start = surface.points[lit] + OFFSET * surface.normals[lit]
    towards = target - start
    distance = np.sqrt(np.einsum("ni,ni->n", towards, towards))
    reach = np.clip(1 - np.float32(light.clearance) / np.maximum(distance, np.float32(1e-3)), 0.0, 0.999)
    visible[lit] = scene.is_clear(start, towards, reach)
    return irradiance, visible


def _points_of_light(light: Light, first: Floats, second: Floats) -> Floats:
    """Points (N, 3) of a pane or of the surface of a lamp, from pairs of numbers in [-1, 1]."""
    centre = light.centre.astype(np.float32)
    if light.edges is not None:
        edges = light.edges.astype(np.float32)
        return centre + first[:, None] * edges[0] + second[:, None] * edges[1]
    ring, angle = np.sqrt(np.float32(1) - first * first), np.float32(np.pi) * second
    unit: Floats = np.stack([ring * np.cos(angle), ring * np.sin(angle), first], axis=1)
    return centre + np.float32(light.radius) * unit


def sunlight(scene: Scene, surface: Surface, sun: Sun, lights: Sequence[Light]) -> tuple[Floats, Floats]:
    """Cosine to the sun (N,), and (N,) 1 where the sun is visible through a window."""
    towards = sun.towards.astype(np.float32)
    cosine = np.maximum(_dot(surface.normals, towards), 0)
    visible = np.zeros(len(surface.points), dtype=np.float32)
    for light in lights:
        if light.edges is None or light.normal is None:
            continue
        slope = float(-sun.towards @ light.normal)
        if slope < 0.05:
            continue
        distance = -_dot(light.centre - surface.points, light.normal) / slope
        offset = surface.points + distance[:, None] * sun.towards - light.centre
        inside = (distance > 0) & (cosine > 0) & surface.hit
        for edge in light.edges:
            inside &= np.abs(_dot(offset, edge)) < edge @ edge
        chosen = np.flatnonzero(inside)
        start = surface.points[chosen] + OFFSET * surface.normals[chosen]
        # The light lies in front of the window's bars; the ray goes on through them, up to the pane.
        reach = (distance[chosen] + 0.03 / slope).astype(np.float32)
        visible[chosen] = scene.is_clear(start, np.broadcast_to(towards, start.shape), reach)
    return cosine, visible


def smoothed(values: Floats, keys: NDArray[np.int64]) -> Floats:
    """Average each value with its neighbours of the same key, over a window with equal weight of every stratum.

    Args:
        values: (C, H, W).
        keys: (H, W) number of the surface; values of different surfaces are not mixed.
    """
    for axis in (1, 2):
        total, weight = values.copy(), np.ones_like(values[:1])
        for step in range(1, TILE // 2 + 1):
            factor = np.float32(0.5 if step == TILE // 2 else 1.0)
            ahead = tuple(slice(step, None) if index == axis else slice(None) for index in range(3))
            behind = tuple(slice(None, -step) if index == axis else slice(None) for index in range(3))
            same = factor * (keys[None][ahead] == keys[None][behind])
            total[behind] += same * values[ahead]
            total[ahead] += same * values[behind]
            weight[behind] += same
            weight[ahead] += same
        values = total / weight
    return values
