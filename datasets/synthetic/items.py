"""Parts of a room with a class, an instance and a material, grouped into items that can be placed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from datasets.synthetic.materials import Colour, Material
from datasets.synthetic.meshes import Array, Mesh, rotation, translation


@dataclass(frozen=True)
class Part:
    """One mesh of one material.

    Args:
        label: NYU-v2 class name.
        instance: number of its object within the item.
        mesh: in texture coordinates.
        material: its material.
        pose: (4, 4) from mesh coordinates to item coordinates, or to room coordinates once placed.
    """

    label: str
    instance: int
    mesh: Mesh
    material: Material
    pose: Array


@dataclass(frozen=True)
class Light:
    """A spherical lamp or a rectangular window that lights the room.

    Args:
        centre: (3,) metres.
        colour: linear RGB radiant intensity of a lamp, radiance of a window.
        radius: radius of a lamp, metres.
        clearance: metres around the centre of a lamp in which nothing casts a shadow (its own shade).
        edges: (2, 3) half edges of a window; None for a lamp.
        normal: (3,) direction in which a window shines; None for a lamp.
    """

    centre: Array
    colour: Colour
    radius: float = 0.05
    clearance: float = 0.0
    edges: Array | None = None
    normal: Array | None = None

    def moved(self, pose: Array) -> Light:
        """The light under a (4, 4) rigid transform."""
        turn = pose[:3, :3]
        return replace(
            self,
            centre=turn @ self.centre + pose[:3, 3],
            edges=None if self.edges is None else self.edges @ turn.T,
            normal=None if self.normal is None else turn @ self.normal,
        )


@dataclass(frozen=True)
class Support:
    """A horizontal rectangle on which small objects may stand.

    Args:
        centre: (x, y, z) of its centre in the item, metres.
        width: extent along x.
        depth: extent along y.
        headroom: free height above it.
    """

    centre: tuple[float, float, float]
    width: float
    depth: float
    headroom: float = 0.6


@dataclass
class Item:
    """A piece of furniture in its local frame: x right, y to the back, z up; the front faces -y.

    The origin is the centre of the footprint, at the floor for furniture, doors and windows, and at the lower edge of
    other items on a wall.

    Args:
        width: extent along x, metres.
        depth: extent along y.
        height: highest point.
        bottom: lowest point.
    """

    width: float
    depth: float
    height: float
    bottom: float = 0.0
    parts: list[Part] = field(default_factory=list)
    lights: list[Light] = field(default_factory=list)
    supports: list[Support] = field(default_factory=list)

    @property
    def instances(self) -> int:
        """Number of objects in the item."""
        return 1 + max((part.instance for part in self.parts), default=-1)

    def add(self, label: str, material: Material, *meshes: Mesh, instance: int = 0, pose: Array | None = None) -> None:
        """Add meshes of one class and material; `pose` moves them together with their texture."""
        place = np.eye(4) if pose is None else pose
        self.parts.extend(Part(label, instance, mesh, material, place) for mesh in meshes)

    def attach(self, other: Item, x: float, y: float, z: float, turn: float = 0.0) -> None:
        """Put another item into this one; its objects remain separate instances.

        Args:
            other: the item; it is not changed.
            x: position of its origin, metres.
            y: as `x`.
            z: as `x`.
            turn: degrees about z.
        """
        self.merge(other.placed(translation(x, y, z) @ rotation("z", turn)))

    def merge(self, other: Item) -> None:
        """Add the parts and lights of an item in the same coordinates."""
        first = self.instances
        self.parts.extend(replace(part, instance=part.instance + first) for part in other.parts)
        self.lights.extend(other.lights)

    def placed(self, pose: Array) -> Item:
        """A copy under a (4, 4) rigid transform, without its supports."""
        parts = [replace(part, pose=pose @ part.pose) for part in self.parts]
        return Item(
            self.width, self.depth, self.height, self.bottom, parts, [light.moved(pose) for light in self.lights]
        )
