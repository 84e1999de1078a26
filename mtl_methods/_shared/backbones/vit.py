"""Vision Transformer with the simple feature pyramid of ViTDet.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, https://arxiv.org/abs/2010.11929; pyramid:
Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection", ECCV 2022, https://arxiv.org/abs/2203.16527.
Differs from the papers: attention is global in all blocks (ViTDet uses windows for its large inputs); the pyramid has
no convolutions after resampling, since the decoder starts with its own. The class token is left out, as in ViTDet.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.registry import BACKBONES
from mtl_methods._shared.backbones.interface import Backbone
from mtl_methods._shared.backbones.normalisation import Renormalise
from mtl_methods._shared.backbones.weights import timm_trunk

PATCH = 16
STRIDES = (4, 8, 16, 32)
NUM_STAGES = 4


@BACKBONES.register("vit_tiny", title="ViT-Tiny/16", paper="https://arxiv.org/abs/2010.11929", year=2021)
def vit_tiny(weights: str) -> Backbone:
    """5.7 M parameters; 192 channels, 12 blocks in four stages, all at stride 16; pyramid at strides 4, 8, 16, 32."""
    return _vit("vit_tiny_patch16_224", weights, tag="augreg_in21k_ft_in1k")


class PatchStem(nn.Module):
    """Patches and their positions as a map; the images are padded with zeros (the mean colour) to whole patches.

    Args:
        trunk: timm's Vision Transformer.
    """

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        # The weights were trained on pixels in -1..1.
        self.renormalise = Renormalise(trunk.default_cfg["mean"], trunk.default_cfg["std"])
        self.project: nn.Conv2d = trunk.patch_embed.proj
        self.grid: tuple[int, int] = trunk.patch_embed.grid_size
        # The first position is that of the class token.
        self.positions = nn.Parameter(trunk.pos_embed.detach()[:, 1:].clone())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, ceil(H / 16), ceil(W / 16))."""
        height, width = images.shape[-2:]
        patches = self.project(self.renormalise(F.pad(images, (0, -width % PATCH, 0, -height % PATCH))))
        size = patches.shape[-2:]
        positions = resample_abs_pos_embed(self.positions, list(size), list(self.grid), num_prefix_tokens=0)
        return patches + positions.transpose(1, 2).unflatten(2, size)


class BlockStage(nn.Module):
    """Transformer blocks on a map; the last stage ends with the layer normalisation of the trunk."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        tokens = self.blocks(maps.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).unflatten(2, maps.shape[-2:])


class SimplePyramid(nn.Module):
    """ViTDet's pyramid: the last map resampled to strides 4, 8, 16, 32, and cut to what lies over the image."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half, quarter = channels // 2, channels // 4
        self.levels = nn.ModuleList(
            [
                nn.Sequential(
                    nn.ConvTranspose2d(channels, half, kernel_size=2, stride=2),
                    nn.BatchNorm2d(half),
                    nn.GELU(),
                    nn.ConvTranspose2d(half, quarter, kernel_size=2, stride=2),
                ),
                nn.ConvTranspose2d(channels, half, kernel_size=2, stride=2),
                nn.Identity(),
                nn.MaxPool2d(kernel_size=2, stride=2, ceil_mode=True),
            ]
        )

    def forward(self, states: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """Four maps, (B, C, ceil(H / stride), ceil(W / stride)), of the last state."""
        maps = [level(states[-1]) for level in self.levels]
        return [
            level[..., : -(-size[0] // stride), : -(-size[1] // stride)]
            for level, stride in zip(maps, STRIDES, strict=True)
        ]


def _vit(model: str, weights: str, tag: str) -> Backbone:
    trunk = timm_trunk(model, weights, tag, num_classes=0)
    channels, per_stage = trunk.embed_dim, len(trunk.blocks) // NUM_STAGES
    groups = [list(trunk.blocks[start : start + per_stage]) for start in range(0, len(trunk.blocks), per_stage)]
    groups[-1].append(trunk.norm)
    widths = (channels // 4, channels // 2, channels, channels)
    specs = [FeatureSpec(width, stride) for width, stride in zip(widths, STRIDES, strict=True)]
    return Backbone(
        stem=PatchStem(trunk),
        stages=[BlockStage(group) for group in groups],
        stage_specs=[(FeatureSpec(channels, PATCH),)] * NUM_STAGES,
        pyramid=SimplePyramid(channels),
        feature_specs=specs,
    )
