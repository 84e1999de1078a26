"""Pinhole cameras, and the map between depth and the third axis of the triplane.

Camera frames are as in OpenCV: x right, y down, z forward; pixel centres are at integer + 0.5. The triplane fills the
frustum of the source camera: x and y in [-1, 1] are the image, z in [-1, 1] is the depth from near to far, see
`DepthMap`. In this cube, rays of the source camera are parallel to the z axis for all intrinsics.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1e-5
"""Distance from the cube that is attributed to rounding."""


@dataclass(frozen=True)
class DepthMap:
    """Monotone map between z in [-1, 1] and depth in metres.

    Args:
        kind: quantity that is linear in z: "linear" for depth, "log" for its logarithm, "disparity" for its inverse.
        near: depth at z = -1.
        far: depth at z = 1.

    Raises:
        ValueError: for another kind, or unless 0 < near < far.
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
        """Depth in metres at z."""
        share = (z + 1) / 2
        if self.kind == "log":
            return self.near * (self.far / self.near) ** share
        if self.kind == "disparity":
            return 1 / (1 / self.near + share * (1 / self.far - 1 / self.near))
        return self.near + share * (self.far - self.near)

    def z(self, depth: Tensor) -> Tensor:
        """z of a positive depth; outside of [-1, 1] for depths outside of [near, far]."""
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
        pose: (B, 4, 4) rigid transform from camera to world, metres; None for the identity.
    """

    intrinsics: Tensor
    size: tuple[int, int]
    pose: Tensor | None = None

    def directions(self, grid: tuple[int, int]) -> Tensor:
        """(B, h, w, 3) ray directions through the centres of the h x w equal cells of the image, scaled to z = 1."""
        rows, columns = (
            (torch.arange(cells, dtype=self.intrinsics.dtype, device=self.intrinsics.device) + 0.5) * (extent / cells)
            for extent, cells in zip(self.size, grid, strict=True)
        )
        matrix = self.intrinsics[:, :, :, None, None]
        y = ((rows[:, None] - matrix[:, 1, 2]) / matrix[:, 1, 1]).expand(-1, *grid)
        x = (columns - matrix[:, 0, 2] - matrix[:, 0, 1] * y) / matrix[:, 0, 0]
        return torch.stack([x, y, torch.ones_like(x)], dim=-1)

    def to_world(self, points: Tensor) -> Tensor:
        """Points (B, ..., 3) from the frame of the camera to the frame of the world."""
        if self.pose is None:
            return points
        rotation, offset = self.pose[:, :3, :3], self.pose[:, :3, 3]
        return (points.flatten(1, -2) @ rotation.mT + offset[:, None]).view_as(points)

    def from_world(self, points: Tensor) -> Tensor:
        """Points (B, ..., 3) from the frame of the world to the frame of the camera."""
        if self.pose is None:
            return points
        rotation, offset = self.pose[:, :3, :3], self.pose[:, :3, 3]
        return ((points.flatten(1, -2) - offset[:, None]) @ rotation).view_as(points)

    def to_cube(self, points: Tensor, depth_map: DepthMap) -> Tensor:
        """Points (B, ..., 3) from the frame of the world to the cube.

        A point whose depth is not positive gets coordinates that are not finite or lie outside of the cube.
        """
        seen = self.from_world(points)
        matrix = self.intrinsics.view(-1, *[1] * (points.ndim - 2), 3, 3)
        pixels = (matrix[..., :2, :] @ (seen / seen[..., 2:])[..., None])[..., 0]
        height, width = self.size
        across = 2 * pixels / pixels.new_tensor([width, height]) - 1
        return torch.cat([across, depth_map.z(seen[..., 2:])], dim=-1)


def inside_cube(points: Tensor) -> Tensor:
    """(...) True for points (..., 3) in the cube; False for points that are not finite."""
    return (points.abs() <= 1 + TOLERANCE).all(-1)
