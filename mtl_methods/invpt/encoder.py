"""Maps of a backbone for the InvPT decoder: the start of the decoder, and two skips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from timm.layers import DropPath
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from benchmark.contracts import Share
from benchmark.heads import concatenate_maps, upsample_to
from mtl_methods._shared.backbones import Backbone
from mtl_methods._shared.backbones.vit import SimplePyramid
from mtl_methods._shared.padding import share_over_images

START_STRIDE = 32
SKIP_STRIDES = (16, 8)
"""Strides of the second and third stage of the decoder."""


class Encoded(NamedTuple):
    """Maps of an encoder.

    Args:
        shared: maps for regularizers, without the padding of the images.
        start: input of the decoder, at stride 32.
        skips: inputs of the second stage of the decoder, at stride 16, and of the third, at stride 8.
    """

    shared: tuple[Tensor, ...]
    start: Tensor
    skips: tuple[Tensor, Tensor]


def make_encoder(backbone: Backbone, widths: Sequence[int]) -> PlainEncoder | PyramidEncoder:
    """The encoder for a backbone: `PlainEncoder` for Vision Transformers, else `PyramidEncoder`.

    Args:
        backbone: the backbone.
        widths: channels of the three stages of the decoder.
    """
    if isinstance(backbone.pyramid, SimplePyramid):
        return PlainEncoder(backbone, widths)
    return PyramidEncoder(backbone, widths)


def start_channels(backbone: Backbone) -> int:
    """Channels of the map that the decoder starts from."""
    specs = backbone.feature_specs if backbone.parallel else backbone.feature_specs[-1:]
    return sum(spec.channels for spec in specs)


class PlainEncoder(nn.Module):
    """A backbone of one scale (ViT): the skips are the maps after half and after a quarter of its blocks.

    The skips are not normalised, the last map is. The pyramid of the backbone is not used.

    Args:
        backbone: the backbone.
        widths: channels of the three stages of the decoder.
    """

    def __init__(self, backbone: Backbone, widths: Sequence[int]) -> None:
        super().__init__()
        self.stem, self.stages = backbone.stem, backbone.stages
        (spec,) = self.feature_specs = backbone.stage_specs[-1]
        self.skips = nn.ModuleList(
            [
                nn.Conv2d(spec.channels, widths[1], kernel_size=3, padding=1),
                nn.ConvTranspose2d(spec.channels, widths[2], kernel_size=3, stride=2, padding=1, output_padding=1),
            ]
        )

    def forward(self, images: Tensor, size: Sequence[int], share: Share) -> Encoded:
        """Images (B, 3, H, W), multiples of 64, padded from `size` = (height, width) -> maps; see `Method.share`."""
        state, maps = self.stem(images), []
        for stage in self.stages:
            state = stage(state)
            maps.append(state if isinstance(state, Tensor) else state[0])
        skips = (self.skips[0](maps[1]), self.skips[1](maps[0]))
        shared, (last,) = share_over_images(share, maps[-1:], self.feature_specs, size)
        return Encoded(shared, pooled_to(last, START_STRIDE, images), skips)

    def drop_paths(self, rate: float) -> None:
        """Let blocks be skipped in training, the first never, the last with the given rate."""
        blocks = [module for module in self.stages.modules() if isinstance(module, Block)]
        for position, block in enumerate(blocks):
            probability = rate * position / (len(blocks) - 1)
            block.drop_path1, block.drop_path2 = DropPath(probability), DropPath(probability)


class PyramidEncoder(nn.Module):
    """A backbone of four scales: the skips are its third and its second map.

    The decoder starts from the last map, at stride 32. With parallel branches (HRNet) it starts from all branches,
    concatenated at stride 4 and averaged over the cells of stride 32, so that the finest branch is used too.

    Args:
        backbone: the backbone.
        widths: channels of the three stages of the decoder.
    """

    def __init__(self, backbone: Backbone, widths: Sequence[int]) -> None:
        super().__init__()
        self.backbone = backbone
        specs = backbone.feature_specs
        self.feature_specs = specs if backbone.parallel else specs[1:]
        self.skips = nn.ModuleList(
            nn.Conv2d(spec.channels, width, kernel_size=3, padding=1)
            for spec, width in zip((specs[2], specs[1]), widths[1:], strict=True)
        )

    def forward(self, images: Tensor, size: Sequence[int], share: Share) -> Encoded:
        """Images (B, 3, H, W), multiples of 64, padded from `size` = (height, width) -> maps; see `Method.share`."""
        read = self.backbone(images)[-len(self.feature_specs) :]
        shared, maps = share_over_images(share, read, self.feature_specs, size)
        start = pooled_to(concatenate_maps(maps) if self.backbone.parallel else maps[-1], START_STRIDE, images)
        second, third = (
            skip(pooled_to(level, stride, images))
            for skip, level, stride in zip(self.skips, (maps[-2], maps[-3]), SKIP_STRIDES, strict=True)
        )
        return Encoded(shared, start, (second, third))


def pooled_to(maps: Tensor, stride: int, images: Tensor) -> Tensor:
    """A map at another stride: the mean over each coarser cell, or bilinear interpolation to finer cells.

    For a factor of two the mean equals bilinear interpolation, which the public code uses.
    """
    height, width = images.shape[-2] // stride, images.shape[-1] // stride
    factor = maps.shape[-2] // height
    return F.avg_pool2d(maps, factor) if factor > 1 else upsample_to(maps, (height, width))
