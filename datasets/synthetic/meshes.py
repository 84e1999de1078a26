"""Triangle meshes of the primitives of furniture, in metres.

Each primitive scales a cached template: building trimesh objects for the hundreds of parts of a room would take longer
than rendering it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh

Array = NDArray[np.float64]
Vector = Sequence[float] | Array


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    Args:
        vertices: (V, 3) metres.
        faces: (F, 3) vertex indices.
    """

    vertices: Array
    faces: NDArray[np.int64]

    def moved(self, pose: Array) -> Mesh:
        """The mesh under a (4, 4) rigid or affine transform."""
        return Mesh(times(self.vertices, pose[:3, :3]) + pose[:3, 3], self.faces)


def times(vectors: NDArray[np.floating[Any]], matrix: NDArray[np.floating[Any]]) -> Array:
    """Multiply each of the vectors (N, 3) by the matrix (3, 3).

    BLAS, which `@` calls, may round differently with another number of threads, and a ray might meet another triangle.
    """
    return np.einsum("ni,ji->nj", vectors, matrix)


def translation(x: float, y: float, z: float) -> Array:
    """4x4 matrix that moves by (x, y, z)."""
    pose = np.eye(4)
    pose[:3, 3] = (x, y, z)
    return pose


def rotation(axis: str, degrees: float) -> Array:
    """4x4 right-handed rotation about the axis "x", "y" or "z"."""
    first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    # Quarter turns are exact, so that walls and furniture stay exactly axis-aligned.
    sine, cosine = {0.0: (0.0, 1.0), 90.0: (1.0, 0.0), 180.0: (0.0, -1.0), 270.0: (-1.0, 0.0)}.get(
        degrees % 360, (float(np.sin(np.radians(degrees))), float(np.cos(np.radians(degrees))))
    )
    pose = np.eye(4)
    pose[first, first] = pose[second, second] = cosine
    pose[first, second], pose[second, first] = -sine, sine
    return pose


def _template(mesh: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(mesh.vertices, dtype=np.float64), np.array(mesh.faces, dtype=np.int64))


@lru_cache(maxsize=1)
def _unit_box() -> Mesh:
    # Imported here, since trimesh takes a second to import and rendered data are read without it.
    from trimesh import creation

    return _template(creation.box(extents=(1.0, 1.0, 1.0)))


@lru_cache(maxsize=8)
def _unit_cylinder(sections: int) -> Mesh:
    from trimesh import creation

    return _template(creation.cylinder(radius=1.0, height=1.0, sections=sections))


@lru_cache(maxsize=8)
def _unit_tube(sections: int) -> Mesh:
    """Side surface of a cylinder, without caps."""
    angles = np.arange(sections) * (2 * np.pi / sections)
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vertices = np.concatenate([np.c_[ring, np.full(sections, -0.5)], np.c_[ring, np.full(sections, 0.5)]])
    low, following = np.arange(sections), np.roll(np.arange(sections), -1)
    faces = np.concatenate(
        [np.c_[low, following, low + sections], np.c_[following, following + sections, low + sections]]
    )
    return Mesh(vertices, faces)


@lru_cache(maxsize=4)
def _unit_sphere(count: int) -> Mesh:
    from trimesh import creation

    return _template(creation.uv_sphere(radius=1.0, count=(count, 2 * count)))


def _bevelled_corners(half: Array, bevel: float) -> Array:
    """(24, 3) corners of a box whose edges are cut off: at each corner one vertex per face."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    inset = bevel * (1 - np.eye(3))
    return (signs[:, None] * (half - inset)).reshape(24, 3)


@lru_cache(maxsize=1)
def _bevelled_faces() -> NDArray[np.int64]:
    from trimesh.convex import convex_hull

    corners = _bevelled_corners(np.ones(3), bevel=0.3)
    mesh = convex_hull(corners)
    order = [int(np.abs(corners - vertex).sum(1).argmin()) for vertex in mesh.vertices]
    return np.array(order, dtype=np.int64)[np.asarray(mesh.faces)]


def box(size: Vector, centre: Vector = (0.0, 0.0, 0.0)) -> Mesh:
    """Axis-aligned box of the given edge lengths around `centre`."""
    unit = _unit_box()
    return Mesh(unit.vertices * np.asarray(size) + np.asarray(centre), unit.faces)


def span(low: Vector, high: Vector) -> Mesh:
    """Axis-aligned box between two corners."""
    lower, upper = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    return box(upper - lower, (lower + upper) / 2)


def bevelled(low: Vector, high: Vector, bevel: float) -> Mesh:
    """Box between two corners with its edges cut off by `bevel` metres, at most 45 % of the shortest edge."""
    lower, upper = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    half = (upper - lower) / 2
    corners = _bevelled_corners(half, min(bevel, 0.9 * float(half.min())))
    return Mesh(corners + (lower + upper) / 2, _bevelled_faces())


def cylinder(radius: float, bottom: float, top: float, sections: int = 16, top_radius: float | None = None) -> Mesh:
    """Upright cylinder or cone frustum about the z axis, with caps."""
    return _tapered(_unit_cylinder(sections), radius, bottom, top, top_radius)


def tube(radius: float, bottom: float, top: float, sections: int = 20, top_radius: float | None = None) -> Mesh:
    """Like `cylinder`, open at both ends."""
    return _tapered(_unit_tube(sections), radius, bottom, top, top_radius)


def _tapered(unit: Mesh, radius: float, bottom: float, top: float, top_radius: float | None) -> Mesh:
    radii = np.where(unit.vertices[:, 2] > 0, radius if top_radius is None else top_radius, radius)
    vertices = unit.vertices * np.c_[radii, radii, np.full(len(radii), top - bottom)]
    return Mesh(vertices + np.array([0.0, 0.0, (bottom + top) / 2]), unit.faces)


def ellipsoid(size: Vector, centre: Vector, squareness: float = 1.0, count: int = 8) -> Mesh:
    """Superellipsoid with axes `size`: squareness 1 is an ellipsoid, smaller is boxier (a cushion at 0.5)."""
    unit = _unit_sphere(count)
    shaped = np.sign(unit.vertices) * np.abs(unit.vertices) ** squareness
    return Mesh(shaped * (np.asarray(size) / 2) + np.asarray(centre), unit.faces)


def wavy_sheet(width: float, bottom: float, top: float, folds: float, amplitude: float) -> Mesh:
    """Hanging cloth in the plane y = 0 between x = 0 and x = `width`, folded as a sine along x."""
    columns = max(8, int(10 * folds))
    x = np.linspace(0.0, width, columns + 1)
    # The folds deepen towards the hem, as the curtain is gathered at its rod.
    wave = np.sin(2 * np.pi * folds * x / width)
    low = np.c_[x, amplitude * wave, np.full_like(x, bottom)]
    high = np.c_[x, 0.55 * amplitude * wave, np.full_like(x, top)]
    left = np.arange(columns)
    right, shift = left + 1, columns + 1
    faces = np.concatenate([np.c_[left, right, left + shift], np.c_[right, right + shift, left + shift]])
    return Mesh(np.concatenate([low, high]), faces)


def rectangle(corner: Vector, edge: Vector, other_edge: Vector) -> Mesh:
    """Flat parallelogram spanned by two edges from a corner."""
    start, first, second = (np.asarray(part, dtype=np.float64) for part in (corner, edge, other_edge))
    vertices = np.stack([start, start + first, start + first + second, start + second])
    return Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]))
