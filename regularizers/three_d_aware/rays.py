"""Where rays are sampled: along the axis of the triplane for the source view, anywhere for another view."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from regularizers.three_d_aware.camera import Camera, DepthMap, inside_cube


@dataclass(frozen=True)
class Rays:
    """D samples on each ray of a view, nearest first.

    Args:
        z: (B, D) in [-1, 1], the same for all rays of an image, in the view's own frustum.
        depth: (B, D) the same in metres along the optical axis of the view.
        lengths: what densities are multiplied by, broadcastable to (B, h, w, D).
        points: (B, h, w, D, 3) in the cube of the triplane; None for the source view, whose samples are its own cells.
        inside: (B, h, w, D) which points lie in the cube; None for the source view, where all do.
    """

    z: Tensor
    depth: Tensor
    lengths: Tensor
    points: Tensor | None = None
    inside: Tensor | None = None


@dataclass(frozen=True)
class RaySampler:
    """Stratified sampling: one sample in each of D equal cells of z.

    Args:
        samples: D.
        depth_map: z to metres.
        metric: weigh densities by metres along the ray, which needs a camera; else by z, as for parallel rays in a cube
            of depth 2. None for metres where there is a camera.
    """

    samples: int
    depth_map: DepthMap
    metric: bool | None

    def source_view(self, jitter: Tensor, grid: tuple[int, int], camera: Camera | None) -> Rays:
        """Rays through the cells of the image that the triplane was made from.

        Args:
            jitter: (B, D) in [0, 1), place of each sample in its cell; one vector per image is still stratified for
                every ray, and keeps the rays parallel in memory too. 0.5 for the middle.
            grid: height and width of the rendered image.
            camera: camera of the view; metric rays need it.

        Raises:
            ValueError: if a camera is needed and missing.
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
            source: the camera that the triplane was made from.
            target: the camera to render.

        Raises:
            ValueError: if rays are not metric: lengths in the cube of one view mean nothing in another.
        """
        if self.metric is False:
            raise ValueError("another view can be rendered with metric rays only; set metric_rays=True")
        z = self._z(jitter)
        depth = self.depth_map.depth(z)
        seen = target.directions(grid)[:, :, :, None] * depth[:, None, None, :, None]
        points = source.to_cube(target.to_world(seen), self.depth_map)
        # What lies behind the source camera projects into its image too.
        in_front = source.from_world(target.to_world(seen))[..., 2] > 0
        inside = inside_cube(points) & in_front
        return Rays(z, depth, self._metres(target, grid), torch.where(inside[..., None], points, 0.0), inside)

    def middle(self, batch: int, like: Tensor) -> Tensor:
        """The jitter (B, D) of samples in the middle of their cells."""
        return like.new_full((batch, self.samples), 0.5)

    def _z(self, jitter: Tensor) -> Tensor:
        first = torch.arange(self.samples, dtype=jitter.dtype, device=jitter.device)
        return (first + jitter) * (2 / self.samples) - 1

    def _metres(self, camera: Camera, grid: tuple[int, int]) -> Tensor:
        """(B, h, w, D) lengths of the rays in the cells; they fill the ray, wherever the sample in a cell lies."""
        directions = camera.directions(grid)
        faces = torch.linspace(-1, 1, self.samples + 1, dtype=directions.dtype, device=directions.device)
        return directions.norm(dim=-1, keepdim=True) * self.depth_map.depth(faces).diff()
