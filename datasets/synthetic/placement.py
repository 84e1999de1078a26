"""Placement of items in a room, as boxes that must not overlap."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from datasets.synthetic.items import Item
from datasets.synthetic.meshes import Array, rotation, translation

SKIRTING = 0.02
"""Distance of furniture from the wall, metres: the skirting board and a small gap."""

ATTEMPTS = 30


@dataclass(frozen=True)
class Block:
    """An axis-aligned box of occupied space in the room.

    Args:
        low: (x, y, z) of its lowest corner, metres.
        high: (x, y, z) of its highest corner, metres.
        solid: False for space that is only kept free.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    solid: bool = True

    def overlaps(self, other: Block, margin: float = 0.0) -> bool:
        """True if the two boxes share volume, or are closer than `margin` metres in every horizontal direction."""
        gaps = (margin, margin, 0.0)
        return all(
            low < far + gap and near < high + gap
            for low, high, near, far, gap in zip(self.low, self.high, other.low, other.high, gaps, strict=True)
        )


@dataclass(frozen=True)
class Wall:
    """One of the four walls, in terms of furniture with its back to it.

    Args:
        length: metres.
        turn: degrees about z that turn the back (+y) of an item to this wall.
        start: (x, y) of its left end, seen from inside the room.
        along: (x, y) unit vector to the right, seen from inside the room.
    """

    length: float
    turn: float
    start: tuple[float, float]
    along: tuple[float, float]

    def pose(self, position: float, distance: float, height: float) -> Array:
        """Pose of an item whose middle is `position` along the wall and `distance` in front of it."""
        # The direction to the right, turned clockwise, points into the room.
        inward = (self.along[1], -self.along[0])
        x = self.start[0] + self.along[0] * position + inward[0] * distance
        y = self.start[1] + self.along[1] * position + inward[1] * distance
        return translation(x, y, height) @ rotation("z", self.turn)


def walls_of(width: float, depth: float) -> tuple[Wall, Wall, Wall, Wall]:
    """The walls of a room with a corner at the origin: at y = depth, x = width, y = 0 and x = 0."""
    return (
        Wall(width, 0.0, (0.0, depth), (1.0, 0.0)),
        Wall(depth, 270.0, (width, depth), (0.0, -1.0)),
        Wall(width, 180.0, (width, 0.0), (-1.0, 0.0)),
        Wall(depth, 90.0, (0.0, 0.0), (0.0, 1.0)),
    )


@dataclass
class FloorPlan:
    """Occupied space of a room, and the items placed so far.

    Args:
        width: extent of the room along x, metres.
        depth: extent along y.
        height: extent along z.
        rng: generator of all positions.
    """

    width: float
    depth: float
    height: float
    rng: Generator
    placed: list[Item] = field(default_factory=list)
    taken: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.walls = walls_of(self.width, self.depth)

    def block(self, item: Item, pose: Array) -> Block:
        """Box around an item under a rotation about z."""
        half = np.abs(pose[:2, :2]) @ np.array([item.width / 2, item.depth / 2])
        x, y, z = (float(value) for value in pose[:3, 3])
        low = (x - float(half[0]), y - float(half[1]), z + item.bottom)
        return Block(low, (x + float(half[0]), y + float(half[1]), z + item.height))

    def is_free(self, block: Block, margin: float = 0.02) -> bool:
        """True if the block lies inside the room, at least `margin` metres from other blocks."""
        inside = block.low[0] >= 0 and block.low[1] >= 0 and block.high[0] <= self.width and block.high[1] <= self.depth
        return inside and not any(block.overlaps(other, margin) for other in self.taken)

    def zone(self, item: Item, wall: int, position: float, reach: float) -> Block:
        """Reserved space in front of a wall, as wide as the item and `reach` metres deep."""
        space = self.block(Item(item.width, reach, 0.8), self.walls[wall].pose(position, reach / 2, 0.0))
        return Block(space.low, space.high, solid=False)

    def keep_free(self, item: Item, wall: int, position: float, reach: float) -> None:
        """Reserve the space in front of a wall item (the swing of a door)."""
        self.taken.append(self.zone(item, wall, position, reach))

    def against_wall(self, item: Item, walls: Iterable[int], clearance: float = 0.0) -> tuple[int, float] | None:
        """Place the item at the first wall with a free random position.

        Args:
            item: item with its back at +y.
            walls: numbers of the candidate walls, in order of preference.
            clearance: metres in front of the item that stay free.

        Returns:
            The wall and the position along it in metres; None if the item fits nowhere.
        """
        for wall in walls:
            free_length = self.walls[wall].length - item.width - 2 * SKIRTING
            for _ in range(ATTEMPTS if free_length > 0 else 0):
                position = item.width / 2 + SKIRTING + self._fraction() * free_length
                if self.stand(item, wall, position, clearance):
                    return wall, position
        return None

    def stand(self, item: Item, wall: int, position: float, clearance: float = 0.0) -> bool:
        """Place the item at a given position of a wall; False if the position is occupied."""
        pose = self.walls[wall].pose(position, item.depth / 2 + SKIRTING, 0.0)
        zone = self.zone(item, wall, position, item.depth + clearance + SKIRTING)
        if not self.is_free(self.block(item, pose)) or not self.is_free(zone, margin=0.0):
            return False
        self.taken.append(zone)
        self.put(item, pose)
        return True

    def hang(
        self, item: Item, walls: Iterable[int], height: float, position: float | None = None
    ) -> tuple[int, float] | None:
        """Hang the item on the first wall where a random (or the given) position is free.

        Args:
            item: item with its back at +y.
            walls: numbers of the candidate walls.
            height: height of its origin above the floor, metres.
            position: position along the wall, metres; None draws one.

        Returns:
            The wall and the position along it; None if the item fits nowhere.
        """
        for wall in walls:
            free_length = self.walls[wall].length - item.width - 0.1
            for _ in range(ATTEMPTS if free_length > 0 else 0):
                middle = item.width / 2 + 0.05 + self._fraction() * free_length if position is None else position
                pose = self.walls[wall].pose(middle, item.depth / 2, height)
                if self.is_free(self.block(item, pose), margin=0.04):
                    self.put(item, pose)
                    return wall, middle
        return None

    def in_the_open(
        self, item: Item, turns: Sequence[float], margin: float = 0.1, *, centre: bool = False
    ) -> Array | None:
        """Place the item on the floor away from the walls.

        Args:
            item: the item.
            turns: quarter turns to choose from, degrees.
            margin: free space around it, metres.
            centre: prefer the centre of the room.

        Returns:
            Its (4, 4) pose; None if the item fits nowhere.
        """
        for _ in range(ATTEMPTS):
            x, y = (self.rng.normal(0.5, 0.12, size=2) if centre else self.rng.random(2)) * (self.width, self.depth)
            pose = translation(float(x), float(y), 0.0) @ rotation("z", float(self.rng.choice(turns)))
            block = self.block(item, pose)
            nearest = min(block.low[0], block.low[1], self.width - block.high[0], self.depth - block.high[1])
            if nearest > 0.3 and self.is_free(block, margin):
                self.put(item, pose)
                return pose
        return None

    def put(self, item: Item, pose: Array) -> None:
        """Place the item at a pose without a check, and mark its space as occupied."""
        self.taken.append(self.block(item, pose))
        self.placed.append(item.placed(pose))

    def _fraction(self) -> float:
        """Random number in [0, 1]; one in three is 0 or 1, since furniture often stands in corners."""
        if self.rng.random() < 0.33:
            return float(self.rng.integers(2))
        return float(self.rng.random())
