"""Feature maps of padded images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec


def handed_out(hand_out: nn.Module, maps: Tensor, spec: FeatureSpec, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The cells of a map that lie over the images, handed out, and the whole map with them in their place.

    Args:
        hand_out: the module that gives the map to whoever looks for it; it changes nothing.
        maps: (B, C, h, w) of images padded below and to the right.
        spec: of the map.
        size: (H, W) of the images without padding.
    """
    rows, columns = (-(-length // spec.stride) for length in size)
    inside = hand_out(maps[..., :rows, :columns])
    if maps.shape[-2:] == (rows, columns):
        return inside, inside
    above = torch.cat([inside, maps[..., :rows, columns:]], dim=-1)
    return inside, torch.cat([above, maps[..., rows:, :]], dim=-2)
