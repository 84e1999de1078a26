"""Pinhole cameras, and the choice of two to four overlapping views of a room.

Camera frame: x right, y down, z forward. Pixel centres lie at integer + 0.5. Poses are camera to room, metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from datasets.synthetic.meshes import Array, rotation, times
from datasets.synthetic.placement import Block
from datasets.synthetic.rooms import Room
from datasets.synthetic.scene import MISS, Scene

PREVIEW = (30, 40)
"""(H, W) at which candidate views are scored."""

FOCAL = 0.81
"""Focal length in image widths, as of the NYU-v2 camera: 518.86 / 640."""

WANTED_OVERLAP = (0.4, 0.92)
"""Lowest and highest share of a view's surface points that the next view sees too."""


@dataclass(frozen=True)
class Camera:
    """A posed pinhole camera.

    Args:
        intrinsics: (3, 3) in pixels.
        pose: (4, 4) camera to room.
        size: (height, width) of its image.
    """

    intrinsics: Array
    pose: Array
    size: tuple[int, int]

    def pixel_centres(self, samples: int = 1) -> Array:
        """(H * W * samples^2, 2) image positions (x, y) on a regular grid of samples in row order."""
        height, width = self.size
        x = (np.arange(width * samples) + 0.5) / samples
        y = (np.arange(height * samples) + 0.5) / samples
        return np.c_[np.tile(x, len(y)), np.repeat(y, len(x))].astype(np.float64)

    def rays(self, positions: Array) -> tuple[Array, Array]:
        """Origins and directions (N, 3) in the room; a direction reaches one metre along the optical axis."""
        homogeneous = np.ones((len(positions), 3))
        homogeneous[:, :2] = positions
        in_camera = times(homogeneous, np.linalg.inv(self.intrinsics))
        directions = times(in_camera, self.pose[:3, :3])
        return np.broadcast_to(self.pose[:3, 3], directions.shape), directions

    def project(self, points: Array) -> tuple[Array, Array]:
        """Image positions (N, 2) and depths (N,) of points (N, 3) in the room; positions count where depth > 0."""
        in_camera = times(points - self.pose[:3, 3], self.pose[:3, :3].T)
        depth = in_camera[:, 2]
        image = times(in_camera, self.intrinsics)
        return image[:, :2] / np.where(np.abs(depth) > 1e-9, depth, 1e-9)[:, None], depth

    def resized(self, size: tuple[int, int]) -> Camera:
        """The same view at another image size (H, W)."""
        scale = np.diag([size[1] / self.size[1], size[0] / self.size[0], 1.0])
        return Camera(scale @ self.intrinsics, self.pose, size)


def draw_intrinsics(rng: Generator, size: tuple[int, int]) -> Array:
    """Pinhole matrix near the NYU-v2 matrix, with a random deviation for each room."""
    height, width = size
    focal = FOCAL * width * float(rng.uniform(0.94, 1.06))
    ratio = float(rng.uniform(0.995, 1.005))
    cx = width / 2 + float(rng.uniform(-0.02, 0.02)) * width
    cy = height / 2 + float(rng.uniform(-0.02, 0.02)) * height
    return np.array([[focal, 0.0, cx], [0.0, focal * ratio, cy], [0.0, 0.0, 1.0]])


def looking_at(position: Array, target: Array, roll: float) -> Array:
    """(4, 4) camera-to-room pose of a camera at `position` that looks at `target`, rolled by `roll` degrees."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1) @ rotation("z", roll)[:3, :3]
    pose[:3, 3] = position
    return pose


def is_open(room: Room, position: Array, margin: float = 0.25) -> bool:
    """True if a camera may be at a position: inside the room and not above, below or in an obstacle."""
    x, y = float(position[0]), float(position[1])
    inside = min(x, y, room.width - x, room.depth - y) > margin + 0.1
    column = Block((x, y, 0.0), (x, y, room.height))
    return inside and not any(column.overlaps(block, margin) for block in room.obstacles)


@dataclass(frozen=True)
class PreviewView:
    """A candidate view at preview size (`PREVIEW`).

    Args:
        camera: its camera, at preview size.
        depth: (N,) metres along the optical axis.
        instances: (N,) number of the object at each pixel.
        classes: (N,) class number at each pixel, 0 where a ray meets nothing.
        points: (N, 3) surface points in the room, metres.
    """

    camera: Camera
    depth: Array
    instances: NDArray[np.int64]
    classes: NDArray[np.uint8]
    points: Array

    def score(self) -> float:
        """Quality of the view; it rises with classes and objects and falls with bare walls and near surfaces."""
        labels, counts = np.unique(self.classes, return_counts=True)
        seen = (counts > 4).sum()
        bare = counts[labels <= 2].sum() / len(self.classes)
        objects = len(np.unique(self.instances))
        close = (self.depth < 0.8).mean() + 3 * (self.depth < 0.45).mean()
        largest = counts.max() / len(self.classes)
        return float(seen + 0.15 * objects - 8 * max(bare - 0.55, 0.0) - 12 * close - 4 * max(largest - 0.5, 0.0))

    def overlap(self, other: PreviewView) -> float:
        """Share of this view's surface points that the other view sees."""
        positions, depth = other.camera.project(self.points)
        height, width = other.camera.size
        column, row = np.floor(positions[:, 0]).astype(int), np.floor(positions[:, 1]).astype(int)
        inside = (depth > 0.1) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        index = np.where(inside, row * width + column, 0)
        # One preview pixel covers some centimetres of a slanted surface.
        same = np.abs(other.depth[index] - depth) < 0.08 + 0.04 * depth
        return float((inside & same).mean())


def preview_view(scene: Scene, camera: Camera) -> PreviewView:
    """Cast the rays of a camera at preview size."""
    small = camera.resized(PREVIEW)
    origins, directions = small.rays(small.pixel_centres())
    faces, depth = scene.first_hit(origins, directions)
    part = scene.part[faces]
    classes = np.where(faces == MISS, 0, scene.classes[part])
    return PreviewView(small, depth, scene.instances[part], classes, origins + depth[:, None] * directions)


def _first_view(
    room: Room, scene: Scene, rng: Generator, intrinsics: Array, size: tuple[int, int]
) -> tuple[PreviewView, Array]:
    """The view with the best score among random ones at eye height, and the point it looks at."""
    best: tuple[float, PreviewView, Array] | None = None
    for attempt in range(400):
        position = np.array([rng.uniform(0, room.width), rng.uniform(0, room.depth), rng.uniform(1.25, 1.7)])
        margin = 0.25 if attempt < 300 else 0.05
        if not is_open(room, position, margin):
            continue
        target = np.array(
            [rng.uniform(0.2, 0.8) * room.width, rng.uniform(0.2, 0.8) * room.depth, rng.uniform(0.4, 1.5)]
        )
        away = float(np.linalg.norm(target[:2] - position[:2]))
        if away < 1.3:
            continue
        seen = preview_view(scene, Camera(intrinsics, looking_at(position, target, float(rng.normal(scale=1.2))), size))
        if best is None or seen.score() > best[0]:
            best = (seen.score(), seen, target)
        if attempt >= 30:
            break
    if best is None:
        raise RuntimeError(f"no camera fits into this {room.kind} of {room.width:.2f} x {room.depth:.2f} m")
    return best[1], best[2]


def _next_view(room: Room, scene: Scene, rng: Generator, previous: PreviewView, target: Array) -> PreviewView:
    """The view with the best score near the previous one, with an overlap in `WANTED_OVERLAP`."""
    best: tuple[float, PreviewView] | None = None
    start = previous.camera.pose[:3, 3]
    for attempt in range(20):
        reach = 0.9 * 0.92**attempt
        step = np.append(rng.uniform(-reach, reach, size=2), rng.uniform(-0.12, 0.12))
        if not is_open(room, start + step) or np.linalg.norm(step[:2]) < 0.12:
            continue
        aim = target + np.append(rng.normal(scale=0.45, size=2), rng.normal(scale=0.15))
        pose = looking_at(start + step, aim, float(rng.normal(scale=1.2)))
        seen = preview_view(scene, Camera(previous.camera.intrinsics, pose, PREVIEW))
        shared = min(previous.overlap(seen), seen.overlap(previous))
        if WANTED_OVERLAP[0] < shared < WANTED_OVERLAP[1] and (best is None or seen.score() > best[0]):
            best = (seen.score(), seen)
    if best is not None:
        return best[1]
    # No position fits, so the camera turns on the spot.
    turned_pose = previous.camera.pose @ rotation("y", float(rng.choice([-8.0, 8.0])))
    return preview_view(scene, Camera(previous.camera.intrinsics, turned_pose, PREVIEW))


def choose_views(room: Room, scene: Scene, rng: Generator, size: tuple[int, int]) -> list[Camera]:
    """Two to four cameras, each sharing surface with the one before it.

    Args:
        room: the furnished room.
        scene: triangles of the room.
        rng: generator of all random choices.
        size: (height, width) of the images.

    Raises:
        RuntimeError: if no free camera position is found.
    """
    count = int(rng.integers(2, 5))
    intrinsics = draw_intrinsics(rng, size)
    seen, target = _first_view(room, scene, rng, intrinsics, size)
    views = [seen]
    for _ in range(count - 1):
        views.append(_next_view(room, scene, rng, views[-1], target))
    return [seen.camera.resized(size) for seen in views]
