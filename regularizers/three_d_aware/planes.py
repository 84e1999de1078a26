"""From shared feature maps to a triplane, by 2D convolutions.

Source: section 3 of the paper for the idea; EG3D (Chan et al., CVPR 2022) for one convolutional network whose channels
are three planes; Convolutional Occupancy Networks (Peng et al., ECCV 2020) for pooling along an axis; Lift, Splat,
Shoot (Philion and Fidler, ECCV 2020) for lifting by a distribution over depth. Nothing copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.heads import upsample_to
from regularizers.three_d_aware.sampler import Triplane

WIDTH = 128
"""Channels of the trunk."""


class TriplaneEncoder(nn.Module):
    """A trunk of 2D convolutions, a 3x3 convolution, and a mapping of image rows and columns to depth.

    Args:
        in_channels: channels of each feature map.
        channels: C of the planes.
        plane_depth: texels of the planes along z.
        rows: "axis" for `AxisPlanes`, "reshape" for `ReshapedPlanes`, "lift" for `LiftedPlanes`, "none" for
            `SinglePlane`.
        width: channels of the trunk.

    Raises:
        ValueError: for another `rows`.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, plane_depth: int, rows: str = "axis", width: int = WIDTH
    ) -> None:
        super().__init__()
        if rows not in ROWS:
            raise ValueError(f"rows must be one of {', '.join(ROWS)}, found {rows!r}")
        self.trunk = Trunk(in_channels, width)
        self.to_planes = ROWS[rows](width, channels, plane_depth)

    def forward(self, maps: Sequence[Tensor], grid: tuple[int, int]) -> Triplane:
        """Feature maps (B, C_i, h_i, w_i) -> a triplane with an xy plane of size `grid` = (H, W)."""
        planes: Triplane = self.to_planes(self.trunk(maps, grid))
        return planes


class Trunk(nn.Module):
    """1x1 convolution of the resized feature maps to `width` channels, and two residual blocks.

    Args:
        in_channels: channels of each feature map.
        width: channels of the output.
    """

    def __init__(self, in_channels: Sequence[int], width: int = WIDTH) -> None:
        super().__init__()
        # One 1x1 convolution of the concatenated maps, split by map: each part runs at the size of its map or of the
        # grid, whichever is smaller.
        self.inputs = nn.ModuleList(
            nn.Conv2d(count, width, kernel_size=1, bias=position == 0) for position, count in enumerate(in_channels)
        )
        self.blocks = nn.Sequential(ResidualBlock(width), ResidualBlock(width))

    def forward(self, maps: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Maps (B, C_i, h_i, w_i) -> (B, width, H, W) with `grid` = (H, W)."""
        joint, *others = (_resized(layer, level, grid) for level, layer in zip(maps, self.inputs, strict=True))
        for other in others:
            joint = joint + other
        output: Tensor = self.blocks(joint)
        return output


def _resized(layer: nn.Module, level: Tensor, grid: tuple[int, int]) -> Tensor:
    """A 1x1 convolution of a map at the size `grid`."""
    shrinks = level.shape[-2] > grid[0]
    maps: Tensor = layer(resize(level, grid) if shrinks else level)
    return maps if shrinks else resize(maps, grid)


def resize(level: Tensor, grid: tuple[int, int]) -> Tensor:
    """Map (B, C, h, w) at the size `grid`: averaged if it is larger, else interpolated bilinearly.

    Bilinear interpolation to less than half the size would skip pixels.
    """
    return F.adaptive_avg_pool2d(level, grid) if level.shape[-2] > grid[0] else upsample_to(level, grid)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with group normalisation, which does not depend on the batch size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        groups = 32 if width % 32 == 0 else 1
        self.branch = nn.Sequential(
            nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(groups, width),
            nn.ReLU(),
            nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False),
            nn.GroupNorm(groups, width),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        return F.relu(maps + self.branch(maps))


class AxisPlanes(nn.Module):
    """xz from mean and maximum over image rows, yz from mean and maximum over image columns.

    So xz stays aligned with the columns of the image, and yz with its rows.
    """

    def __init__(self, width: int, channels: int, plane_depth: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(width, 3 * channels, kernel_size=3, padding=1)
        self.to_xz = nn.Conv1d(2 * channels, channels * plane_depth, kernel_size=1)
        self.to_yz = nn.Conv1d(2 * channels, channels * plane_depth, kernel_size=1)
        self.plane_depth = plane_depth

    def forward(self, maps: Tensor) -> Triplane:
        """See `TriplaneEncoder`."""
        xy, for_xz, for_yz = self.out(maps).chunk(3, dim=1)
        return Triplane(xy, self._spread(self.to_xz, for_xz, axis=2), self._spread(self.to_yz, for_yz, axis=3))

    def _spread(self, layer: nn.Module, maps: Tensor, axis: int) -> Tensor:
        pooled = torch.cat([maps.mean(axis), maps.amax(axis)], dim=1)
        spread: Tensor = layer(pooled)
        return spread.unflatten(1, (-1, self.plane_depth))


class ReshapedPlanes(nn.Module):
    """Three groups of channels; the image rows of the second and third group are taken as z, as in EG3D."""

    def __init__(self, width: int, channels: int, plane_depth: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(width, 3 * channels, kernel_size=3, padding=1)
        self.plane_depth = plane_depth

    def forward(self, maps: Tensor) -> Triplane:
        """See `TriplaneEncoder`."""
        xy, xz, yz = self.out(maps).chunk(3, dim=1)
        height, width = xy.shape[-2:]
        return Triplane(xy, self._resized(xz, width), self._resized(yz, height))

    def _resized(self, plane: Tensor, width: int) -> Tensor:
        return F.interpolate(plane, size=(self.plane_depth, width), mode="bilinear", align_corners=False)


class LiftedPlanes(nn.Module):
    """xy, and its mean over rows or columns, weighted by a distribution over depth that each pixel predicts.

    The means are multiplied by the number of depths: under a uniform distribution they have the scale of xy.
    """

    def __init__(self, width: int, channels: int, plane_depth: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(width, channels + plane_depth, kernel_size=3, padding=1)
        self.channels = channels
        self.plane_depth = plane_depth

    def forward(self, maps: Tensor) -> Triplane:
        """See `TriplaneEncoder`."""
        xy, logits = self.out(maps).split([self.channels, self.plane_depth], dim=1)
        height, width = xy.shape[-2:]
        share = logits.softmax(1) * self.plane_depth
        xz = torch.einsum("bdhw,bchw->bcdw", share, xy) / height
        yz = torch.einsum("bdhw,bchw->bcdh", share, xy) / width
        return Triplane(xy, xz, yz)


class SinglePlane(nn.Module):
    """xy plane only: the other planes are zero. xy is scaled by 3, so that the mean is the convolution's output."""

    def __init__(self, width: int, channels: int, plane_depth: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(width, channels, kernel_size=3, padding=1)

    def forward(self, maps: Tensor) -> Triplane:
        """See `TriplaneEncoder`."""
        xy: Tensor = self.out(maps)
        batch, channels, height, width = xy.shape
        return Triplane(3 * xy, xy.new_zeros(batch, channels, 1, width), xy.new_zeros(batch, channels, 1, height))


ROWS: dict[str, type[AxisPlanes | ReshapedPlanes | LiftedPlanes | SinglePlane]] = {
    "axis": AxisPlanes,
    "reshape": ReshapedPlanes,
    "lift": LiftedPlanes,
    "none": SinglePlane,
}
