"""Samples of rays: along the z axis of the triplane for the source view, at any points for another view."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers.three_d_aware.camera import Camera, DepthMap, inside_cube


@dataclass(frozen=True)
class Rays:
    """D samples on each ray of a view, nearest first.

    Args:
        z: (B, D) in [-1, 1], in the frustum of the view; shared by all rays of an image.
        depth: (B, D) metres along the optical axis of the view.
        lengths: lengths of the intervals, broadcastable to (B, h, w, D); densities are multiplied by them.
        points: (B, h, w, D, 3) in the cube of the triplane; None for the source view, whose rays are parallel to z.
        inside: (B, h, w, D) True for points in the cube; None for the source view, where all points are.
    """

    z: Tensor
    depth: Tensor
    lengths: Tensor
    points: Tensor | None = None
    inside: Tensor | None = None

    def located(self) -> tuple[Tensor, Tensor]:
        """`points` and `inside`.

        Raises:
            ValueError: for rays of the source view.
        """
        if self.points is None or self.inside is None:
            raise ValueError("these rays have no points: they belong to the source view")
        return self.points, self.inside


@dataclass(frozen=True)
class RaySampler:
    """Stratified sampling: one sample in each of D equal intervals of z.

    Args:
        samples: number D of samples.
        depth_map: map from z to metres.
        metric: True for lengths in metres along the ray, which needs intrinsics; False for the constant length 2 / D of
            z; None for metres if intrinsics are given.
    """

    samples: int
    depth_map: DepthMap
    metric: bool | None

    def source_view(self, jitter: Tensor, grid: tuple[int, int], camera: Camera | None) -> Rays:
        """Rays through the pixels of the image that the triplane was computed from.

        Args:
            jitter: (B, D) in [0, 1), place of each sample in its interval, 0.5 for the centre. All rays of an image
                share it, so that planes are read once per row and column.
            grid: height and width of the rendered image.
            camera: camera of the view; None without intrinsics.

        Raises:
            ValueError: if lengths are metres and the camera is None.
        """
        z = self._z(jitter)
        if self.metric is False or (self.metric is None and camera is None):
            return Rays(z, self.depth_map.depth(z), torch.full_like(z, 2 / self.samples)[:, None, None])
        if camera is None:
            raise ValueError("metric rays need the camera: the batch has no intrinsics; set metric_rays=False")
        return Rays(z, self.depth_map.depth(z), self._metres(camera, grid))

    def novel_view(self, jitter: Tensor, grid: tuple[int, int], source: Camera, target: Camera) -> Rays:
        """Rays of another camera through the triplane of the source camera, in metres.

        Args:
            jitter: see `source_view`.
            grid: height and width of the rendered image.
            source: camera of the image that the triplane was computed from.
            target: camera to render.

        Raises:
            ValueError: unless lengths are metres: lengths in the cube of one view are undefined in another view.
        """
        if self.metric is False:
            raise ValueError("another view can be rendered with metric rays only; set metric_rays=True")
        z = self._z(jitter)
        depth = self.depth_map.depth(z)
        seen = target.directions(grid)[:, :, :, None] * depth[:, None, None, :, None]
        points = source.to_cube(target.to_world(seen), self.depth_map)
        # Points behind the source camera project into its image too.
        in_front = source.from_world(target.to_world(seen))[..., 2] > 0
        inside = inside_cube(points) & in_front
        return Rays(z, depth, self._metres(target, grid), torch.where(inside[..., None], points, 0.0), inside)

    def _z(self, jitter: Tensor) -> Tensor:
        first = torch.arange(self.samples, dtype=jitter.dtype, device=jitter.device)
        return (first + jitter) * (2 / self.samples) - 1

    def _metres(self, camera: Camera, grid: tuple[int, int]) -> Tensor:
        """(B, h, w, D) lengths of the intervals in metres, which do not depend on the jitter."""
        directions = camera.directions(grid)
        ends = torch.linspace(-1, 1, self.samples + 1, dtype=directions.dtype, device=directions.device)
        return directions.norm(dim=-1, keepdim=True) * self.depth_map.depth(ends).diff()
