"""Surface points on rays, with their normals and colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.synthetic.meshes import Array
from datasets.synthetic.scene import MISS, Floats, Scene
from datasets.synthetic.textures import PATTERNS, Seeds, Shade


@dataclass(frozen=True)
class Surface:
    """First surface points on the rays of a grid of image samples.

    Args:
        shape: (height, width) of the grid, N = height * width.
        faces: (N,) triangles.
        points: (N, 3) in the room.
        normals: (N, 3) unit normals on the side of the viewer.
        footprint: (N,) metres that a sample covers on the surface.
        hit: (N,) False where a ray meets no surface; the other fields are undefined there.
    """

    shape: tuple[int, int]
    faces: NDArray[np.int32]
    points: Floats
    normals: Floats
    footprint: Floats
    hit: NDArray[np.bool_]


def trace(scene: Scene, origins: Array, directions: Array, spread: float, shape: tuple[int, int]) -> Surface:
    """First surfaces on a grid of rays, after at most one reflection in a mirror.

    Args:
        scene: triangles of the room.
        origins: (N, 3) metres.
        directions: (N, 3) of any length.
        spread: angle between neighbouring rays, radians.
        shape: (height, width) of the grid.
    """
    faces, distance = scene.first_hit(origins, directions)
    points = origins + distance[:, None] * directions
    path = distance * np.linalg.norm(directions, axis=1)
    glass = np.flatnonzero(scene.materials.mirror[scene.material[scene.part[faces]]] & (faces != MISS))
    if len(glass):
        normals = scene.normals[faces[glass]]
        incoming = directions[glass]
        reflected = incoming - 2 * np.einsum("ni,ni->n", incoming, normals)[:, None] * normals
        start = points[glass] + 1e-4 * reflected
        faces[glass], further = scene.first_hit(start, reflected)
        points[glass] = start + further[:, None] * reflected
        path[glass] += further * np.linalg.norm(reflected, axis=1)
        directions = directions.copy()
        directions[glass] = reflected
    normals = scene.normals[faces]
    cosine = np.einsum("ni,ni->n", normals, directions) / np.linalg.norm(directions, axis=1)
    normals = normals * -np.sign(cosine)[:, None]
    footprint = spread * path / np.maximum(np.abs(cosine), 0.2)
    return Surface(
        shape, faces, points.astype(np.float32), normals.astype(np.float32), footprint.astype(np.float32), faces != MISS
    )


def albedo(scene: Scene, surface: Surface) -> tuple[Floats, Floats]:
    """Reflectance (N, 3) and emission (N,) of surface points, from their materials."""
    part = scene.part[surface.faces]
    row = scene.material[part]
    table = scene.materials
    matrix = scene.to_part[part]
    local = np.einsum("nij,nj->ni", matrix[:, :, :3], surface.points) + matrix[:, :, 3]
    facing = np.abs(np.einsum("nij,nj->ni", matrix[:, :, :3], surface.normals)).argmax(axis=1)
    seed = table.seed[row]
    # Objects of the same kind get different parts of the pattern.
    shift = (seed % np.uint32(977)).astype(np.float32) * np.float32(0.37)
    # Paintings and window views are centred instead.
    centred = np.isin(table.pattern[row], [list(PATTERNS).index(name) for name in ("painting", "outdoors")])
    shift = np.where(centred, 0, shift)
    across = np.where(facing == 0, local[:, 1], local[:, 0]) / table.scale[row] + shift
    upward = np.where(facing == 2, local[:, 1], local[:, 2]) / table.scale[row] + shift
    swap_uv = table.swap_uv[row]
    u, v = np.where(swap_uv, upward, across), np.where(swap_uv, across, upward)
    mix, tone = _patterns(table.pattern[row], u, v, seed, surface.footprint / table.scale[row])
    first, second, third = (table.colours[row, index] for index in range(3))
    low, high = np.clip(mix, 0, 1)[:, None], np.clip(mix - 1, 0, 1)[:, None]
    colour = (first + low * (second - first) + high * (third - second)) * tone[:, None]
    colour[~surface.hit] = 0
    return colour, np.where(surface.hit, table.emission[row], 0)


def _patterns(kind: NDArray[np.int64], u: Floats, v: Floats, seed: Seeds, footprint: Floats) -> Shade:
    """`mix` and `tone` of every point, with one call per pattern."""
    mix, tone = np.empty_like(u), np.empty_like(u)
    functions = list(PATTERNS.values())
    for number in np.unique(kind):
        chosen = np.flatnonzero(kind == number)
        mix[chosen], tone[chosen] = functions[number](u[chosen], v[chosen], seed[chosen], footprint[chosen])
    return mix, tone
