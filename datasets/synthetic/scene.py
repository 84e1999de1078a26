"""A room as triangles for ray casting, with part, class, object and material of each triangle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.synthetic.items import Item, Part
from datasets.synthetic.materials import Material
from datasets.synthetic.meshes import Array
from datasets.synthetic.textures import PATTERNS

Floats = NDArray[np.float32]
SHELL = ("wall", "floor", "ceiling")
"""Classes whose parts in a room form one instance."""

MISS = -1


@dataclass(frozen=True)
class MaterialTable:
    """The materials of a scene as arrays, one row each.

    Args:
        pattern: (M,) position in `textures.PATTERNS`.
        colours: (M, 3, 3) the three linear RGB colours.
        scale: (M,) metres per repeat.
        seed: (M,) seed of the noise.
        swap_uv: (M,) True where the texture directions are swapped.
        emission: (M,) emitted radiance as a multiple of the colour.
        mirror: (M,) True for mirrors.
    """

    pattern: NDArray[np.int64]
    colours: Floats
    scale: Floats
    seed: NDArray[np.uint32]
    swap_uv: NDArray[np.bool_]
    emission: Floats
    mirror: NDArray[np.bool_]


def _table(materials: list[Material]) -> MaterialTable:
    names = list(PATTERNS)
    return MaterialTable(
        pattern=np.array([names.index(material.pattern) for material in materials]),
        colours=np.array([material.colours for material in materials], dtype=np.float32),
        scale=np.array([material.scale for material in materials], dtype=np.float32),
        seed=np.array([material.seed for material in materials], dtype=np.uint32),
        swap_uv=np.array([material.swap_uv for material in materials]),
        emission=np.array([material.emission for material in materials], dtype=np.float32),
        mirror=np.array([material.mirror for material in materials]),
    )


def _tracer(vertices: Array, faces: NDArray[np.int64]) -> Any:
    """Embree's acceleration structure over the triangles."""
    # Embree is needed to render the data, not to read them: a machine without Embree can use a copied data set.
    try:
        from embreex import rtcore, rtcore_scene
        from embreex.mesh_construction import TriangleMesh
    except ImportError as error:
        raise ImportError(
            f"rendering the data set 'synthetic' needs the package embreex ({error}); "
            "install it with `pip install embreex`, or copy a rendered data set from another machine"
        ) from error
    tracer = rtcore_scene.EmbreeScene(rtcore.EmbreeDevice())
    TriangleMesh(tracer, vertices.astype(np.float32), faces.astype(np.int32))
    return tracer


def _instance_numbers(items: Iterable[Item]) -> tuple[list[Part], NDArray[np.int64]]:
    """All parts, and the number (from 1) of the object of each part in the room."""
    parts: list[Part] = []
    numbers: list[int] = []
    number_by_object: dict[object, int] = {}
    for position, item in enumerate(items):
        for part in item.parts:
            key: object = part.label if part.label in SHELL else (position, part.instance)
            parts.append(part)
            numbers.append(number_by_object.setdefault(key, len(number_by_object) + 1))
    return parts, np.array(numbers)


class Scene:
    """Triangles of all items, ready for ray casting.

    Args:
        items: placed in the coordinates of the room.
        class_ids: number of each NYU-v2 class name, from 1.

    Attributes:
        corners: (F, 3) float64, one corner of each triangle.
        normals: (F, 3) float64 unit normals, of either sign.
        part: (F,) part of each triangle.
        classes: (P,) uint8 class of each part.
        instances: (P,) object of each part, from 1.
        material: (P,) row of each part's material in `materials`.
        to_part: (P, 3, 4) float32 from room to texture coordinates.
        materials: the table of materials.
    """

    def __init__(self, items: Iterable[Item], class_ids: Mapping[str, int]) -> None:
        parts, self.instances = _instance_numbers(items)
        meshes = [part.mesh.moved(part.pose) for part in parts]
        counts = np.array([len(mesh.vertices) for mesh in meshes])
        offsets = np.cumsum(counts) - counts
        vertices = np.concatenate([mesh.vertices for mesh in meshes])
        faces = np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)])
        part_of_face = np.repeat(np.arange(len(parts)), [len(mesh.faces) for mesh in meshes])
        triangles = vertices[faces]
        crossed = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        doubled_area = np.linalg.norm(crossed, axis=1)
        # Triangles at the poles of spheres have no area, hence no normal.
        solid = doubled_area > 1e-10
        self.corners = triangles[solid, 0]
        self.normals = crossed[solid] / doubled_area[solid, None]
        self.part = part_of_face[solid]
        self.classes = np.array([class_ids[part.label] for part in parts], dtype=np.uint8)
        self.to_part = np.stack([np.linalg.inv(part.pose)[:3] for part in parts]).astype(np.float32)
        rows: dict[int, int] = {}
        unique: list[Material] = []
        for part in parts:
            if id(part.material) not in rows:
                rows[id(part.material)] = len(unique)
                unique.append(part.material)
        self.material = np.array([rows[id(part.material)] for part in parts])
        self.materials = _table(unique)
        self._rays = _tracer(vertices, faces[solid])

    def first_hit(self, origins: Array, directions: Array) -> tuple[NDArray[np.int32], Array]:
        """First triangle on each ray.

        Args:
            origins: (N, 3).
            directions: (N, 3), any length.

        Returns:
            (N,) triangles, `MISS` where a ray meets none, and (N,) float64 distances in lengths of the direction
            (1 where it meets none). They are computed from the plane of the triangle, since Embree's distances are
            float32.
        """
        near = np.ascontiguousarray(origins, dtype=np.float32), np.ascontiguousarray(directions, dtype=np.float32)
        faces: NDArray[np.int32] = self._rays.run(*near, query="INTERSECT")
        normals = self.normals[faces]
        towards = np.einsum("ni,ni->n", normals, directions)
        offset = np.einsum("ni,ni->n", normals, self.corners[faces] - origins)
        hit = faces != MISS
        distances = np.where(hit, offset / np.where(hit & (towards != 0), towards, 1.0), 1.0)
        return faces, distances

    def is_clear(self, origins: Floats, directions: Floats, lengths: Floats) -> NDArray[np.bool_]:
        """(N,) True where a ray meets nothing within `lengths`, in multiples of its direction."""
        blocked = self._rays.run(
            np.ascontiguousarray(origins, dtype=np.float32),
            np.ascontiguousarray(directions, dtype=np.float32),
            dists=np.ascontiguousarray(lengths, dtype=np.float32),
            query="OCCLUDED",
        )
        return np.asarray(blocked == MISS)
