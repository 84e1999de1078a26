"""Feature maps and predictions of padded images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec, Share
from benchmark.heads import upsample_to


class UpsampleAndCut(nn.Module):
    """Upsampling to the size of the padded images, cut to the size of the images."""

    def forward(self, maps: Tensor, padded_size: Sequence[int], size: Sequence[int]) -> Tensor:
        """Maps (B, C, h, w), two sizes (height, width) -> (B, C, *size)."""
        return upsample_to(maps, padded_size)[..., : size[0], : size[1]]


def share_over_images(
    share: Share, maps: Sequence[Tensor], specs: Sequence[FeatureSpec], size: Sequence[int]
) -> tuple[tuple[Tensor, ...], list[Tensor]]:
    """Share the parts of feature maps that lie over the images.

    Args:
        share: `Method.share`.
        maps: (B, C, h, w) each, of images padded below and to the right.
        specs: descriptions of the maps.
        size: (H, W) of the images without padding.

    Returns:
        the shared parts, and the whole maps that contain them.
    """
    parts = share(
        *(
            level[..., : -(-size[0] // spec.stride), : -(-size[1] // spec.stride)]
            for level, spec in zip(maps, specs, strict=True)
        )
    )
    return parts, [_extended(part, level) for part, level in zip(parts, maps, strict=True)]


def _extended(part: Tensor, whole: Tensor) -> Tensor:
    """The whole map with `part` as its upper left part."""
    rows, columns = part.shape[-2:]
    if part.shape == whole.shape:
        return part
    above = torch.cat([part, whole[..., :rows, columns:]], dim=-1)
    return torch.cat([above, whole[..., rows:, :]], dim=-2)
