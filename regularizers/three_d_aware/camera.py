"""Pinhole cameras, and the map between depth and the third axis of the triplane.

Frames are OpenCV's: x right, y down, z forward; pixel centres are at integer + 0.5. The triplane fills the frustum of
the source camera: x and y run over its image from -1 to 1, z over the depths from near to far, see `DepthMap`. Rays of
the source camera are then parallel to the z axis, whatever its intrinsics.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1e-5
"""How far outside the cube rounding may put a point that lies on its surface."""


@dataclass(frozen=True)
class DepthMap:
    """Monotone map between z in [-1, 1] and depth in metres.

    Args:
        kind: what z is linear in: "linear" for depth, "log" for its logarithm, "disparity" for its inverse.
        near: depth at z = -1.
        far: depth at z = 1.

    Raises:
        ValueError: for another kind, or if 0 < near < far does not hold.
    """

    kind: str = "log"
    near: float = 0.5
    far: float = 10.0

    def __post_init__(self) -> None:
        if self.kind not in ("linear", "log", "disparity"):
            raise ValueError(f"depth_map must be one of linear, log, disparity, found {self.kind!r}")
        if not 0 < self.near < self.far:
            raise ValueError(f"depths must be 0 < near < far, found near {self.near} and far {self.far}")

    def depth(self, z: Tensor) -> Tensor:
        """Metres at z."""
        share = (z + 1) / 2
        if self.kind == "log":
            return self.near * (self.far / self.near) ** share
        if self.kind == "disparity":
            return 1 / (1 / self.near + share * (1 / self.far - 1 / self.near))
        return self.near + share * (self.far - self.near)

    def z(self, depth: Tensor) -> Tensor:
        """The z of a positive depth, beyond [-1, 1] where it is nearer than near or farther than far."""
        if self.kind == "log":
            share = torch.log(depth / self.near) / torch.log(depth.new_tensor(self.far / self.near))
        elif self.kind == "disparity":
            share = (1 / depth - 1 / self.near) / (1 / self.far - 1 / self.near)
        else:
            share = (depth - self.near) / (self.far - self.near)
        return 2 * share - 1


@dataclass(frozen=True)
class Camera:
    """Pinhole cameras of a batch.

    Args:
        intrinsics: (B, 3, 3) in pixels of an image of `size`, last row (0, 0, 1).
        size: height and width of the image.
        pose: (B, 4, 4) rigid transform from camera to world, metres; None if the camera is the world.
    """

    intrinsics: Tensor
    size: tuple[int, int]
    pose: Tensor | None = None

    def directions(self, grid: tuple[int, int]) -> Tensor:
        """(B, h, w, 3) rays through the centres of the h x w equal cells of the image, scaled to z = 1."""
        rows, columns = (
            (torch.arange(cells, dtype=self.intrinsics.dtype, device=self.intrinsics.device) + 0.5) * (extent / cells)
            for extent, cells in zip(self.size, grid, strict=True)
        )
        matrix = self.intrinsics[:, :, :, None, None]
        y = ((rows[:, None] - matrix[:, 1, 2]) / matrix[:, 1, 1]).expand(-1, *grid)
        x = (columns - matrix[:, 0, 2] - matrix[:, 0, 1] * y) / matrix[:, 0, 0]
        return torch.stack([x, y, torch.ones_like(x)], dim=-1)

    def to_world(self, points: Tensor) -> Tensor:
        """(B, ..., 3) points of the camera's frame in that of the world."""
        if self.pose is None:
            return points
        rotation, offset = self.pose[:, :3, :3], self.pose[:, :3, 3]
        return (points.flatten(1, -2) @ rotation.mT + offset[:, None]).view_as(points)

    def from_world(self, points: Tensor) -> Tensor:
        """(B, ..., 3) points of the world in the camera's frame."""
        if self.pose is None:
            return points
        rotation, offset = self.pose[:, :3, :3], self.pose[:, :3, 3]
        return ((points.flatten(1, -2) - offset[:, None]) @ rotation).view_as(points)

    def to_cube(self, points: Tensor, depth_map: DepthMap) -> Tensor:
        """(B, ..., 3) points of the world in the cube of the triplane; not finite where a point has no depth."""
        inside = self.from_world(points)
        matrix = self.intrinsics.view(-1, *[1] * (points.ndim - 2), 3, 3)
        pixels = (matrix[..., :2, :] @ (inside / inside[..., 2:])[..., None])[..., 0]
        height, width = self.size
        across = 2 * pixels / pixels.new_tensor([width, height]) - 1
        return torch.cat([across, depth_map.z(inside[..., 2:])], dim=-1)

    def from_cube(self, points: Tensor, depth_map: DepthMap) -> Tensor:
        """(B, ..., 3) points of the cube in the world."""
        matrix = self.intrinsics.view(-1, *[1] * (points.ndim - 2), 3, 3)
        height, width = self.size
        column, row = (points[..., 0] + 1) * (width / 2), (points[..., 1] + 1) * (height / 2)
        y = (row - matrix[..., 1, 2]) / matrix[..., 1, 1]
        x = (column - matrix[..., 0, 2] - matrix[..., 0, 1] * y) / matrix[..., 0, 0]
        return self.to_world(torch.stack([x, y, torch.ones_like(x)], -1) * depth_map.depth(points[..., 2:]))


def inside_cube(points: Tensor) -> Tensor:
    """(...) which of (..., 3) points lie in the cube; none that is not finite does."""
    return (points.abs() <= 1 + TOLERANCE).all(-1)
