"""Vision Transformer with the simple feature pyramid of ViTDet.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, https://arxiv.org/abs/2010.11929; pyramid:
Li et al., "Exploring Plain Vision Transformer Backbones for Object Detection", ECCV 2022, https://arxiv.org/abs/2203.16527.
Differs from the papers: attention is global in all blocks (ViTDet uses windows for its large inputs); the pyramid has
no convolutions after resampling, since the decoder starts with its own. ViT-Tiny leaves the class token out, as in
ViTDet; ViT-Base and ViT-Large keep it in their attention, as the public multi-task code does, and drop it at the end.
Consulted: https://github.com/prismformore/Multi-Task-Transformer, commit 870c6be, CC BY-NC 4.0, for its names and
shapes; nothing copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.registry import BACKBONES, SCRATCH
from mtl_methods._shared.backbones.interface import Backbone
from mtl_methods._shared.backbones.normalisation import Renormalise
from mtl_methods._shared.backbones.weights import timm_trunk

PAPER = "https://arxiv.org/abs/2010.11929"
TAG = "augreg_in21k_ft_in1k"
PATCH = 16
STRIDES = (4, 8, 16, 32)
NUM_STAGES = 4
WHOLE_IMAGE = 1 << 16
"""Stride larger than any image: the map has one cell."""


@BACKBONES.register("vit_tiny", title="ViT-Tiny/16", paper=PAPER, year=2021)
def vit_tiny(weights: str) -> Backbone:
    """5.7 M parameters; 192 channels, 12 blocks in four stages, all at stride 16; pyramid at strides 4, 8, 16, 32."""
    trunk = timm_trunk("vit_tiny_patch16_224", weights, TAG, num_classes=0)
    return _backbone(trunk, PatchStem(trunk), [BlockStage(group) for group in _groups(trunk)])


@BACKBONES.register("vit_base", title="ViT-Base/16", paper=PAPER, year=2021, large=True)
def vit_base(weights: str) -> Backbone:
    """86 M parameters; 768 channels, 12 blocks in four stages, else as `vit_tiny`, with the class token."""
    return vit_with_class_token("vit_base_patch16_384", weights)


@BACKBONES.register("vit_large", title="ViT-Large/16", paper=PAPER, year=2021, large=True)
def vit_large(weights: str) -> Backbone:
    """304 M parameters; 1024 channels, 24 blocks in four stages, else as `vit_tiny`, with the class token."""
    return vit_with_class_token("vit_large_patch16_384", weights)


def vit_with_class_token(model: str, weights: str, **options: Any) -> Backbone:
    """A Vision Transformer whose stages pass on a map and a class token.

    Args:
        model: architecture name in timm.
        weights: "scratch", "imagenet" or the path of a file.
        options: keywords of the architecture.
    """
    trunk = timm_trunk(model, weights, TAG, num_classes=0, **options)
    if weights != SCRATCH:
        fold_renormalisation(trunk.patch_embed.proj, Renormalise(trunk.default_cfg["mean"], trunk.default_cfg["std"]))
    *first, last = _groups(trunk)
    stages = [*(TokenStage(group) for group in first), LastTokenStage(last)]
    return _backbone(trunk, TokenStem(trunk), stages, (FeatureSpec(trunk.embed_dim, WHOLE_IMAGE),))


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
        # The first position belongs to the class token.
        self.positions = nn.Parameter(trunk.pos_embed.detach()[:, 1:].clone())

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, ceil(H / 16), ceil(W / 16))."""
        height, width = images.shape[-2:]
        patches = self.project(self.renormalise(F.pad(images, (0, -width % PATCH, 0, -height % PATCH))))
        size = patches.shape[-2:]
        positions = resized_positions(self.positions, self.grid, size)
        return patches + positions.transpose(1, 2).unflatten(2, size)


class TokenStem(nn.Module):
    """Patches and their positions as a map, and the class token; padded as in `PatchStem`.

    Args:
        trunk: timm's Vision Transformer.

    Attributes:
        listed: True if the grid of the learned positions is unknown: an image with as many patches takes the positions
            in their order.
    """

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        self.project: nn.Conv2d = trunk.patch_embed.proj
        self.grid: tuple[int, int] = trunk.patch_embed.grid_size
        self.class_token: nn.Parameter = trunk.cls_token
        self.positions: nn.Parameter = trunk.pos_embed
        self.listed = False

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> [(B, C, ceil(H / 16), ceil(W / 16)), (B, C, 1, 1)]."""
        height, width = images.shape[-2:]
        patches = self.project(F.pad(images, (0, -width % PATCH, 0, -height % PATCH)))
        size = patches.shape[-2:]
        own, positions = self.positions.split([1, self.positions.shape[1] - 1], dim=1)
        if not (self.listed and size.numel() == positions.shape[1]):
            positions = resized_positions(positions, self.grid, size)
        token = (self.class_token + own).expand(len(images), -1, -1)
        maps = patches + positions.transpose(1, 2).unflatten(2, size)
        return [maps, token.transpose(1, 2).unflatten(2, (1, 1))]

    @torch.no_grad()
    def fit_positions(self, image_size: Sequence[int]) -> None:
        """Resize the learned positions once, bicubically, to the patches of an image; the parameter changes its shape.

        Args:
            image_size: (H, W) in pixels.
        """
        grid = (-(-image_size[0] // PATCH), -(-image_size[1] // PATCH))
        # Before training, a resize without antialiasing, as the public code does it.
        resized = resized_positions(self.positions[:, 1:], self.grid, grid, antialias=False)
        self.positions, self.grid = nn.Parameter(torch.cat([self.positions[:, :1], resized], dim=1)), grid


def resized_positions(positions: Tensor, grid: Sequence[int], size: Sequence[int], antialias: bool = True) -> Tensor:
    """Positions (1, N, C) of the cells of a grid, resized bicubically to another grid, as in timm.

    timm's function is not used: older versions return the positions unchanged if the new grid is square and has as many
    cells, even if the old grid is not square.
    """
    if tuple(size) == tuple(grid):
        return positions
    maps = positions.transpose(1, 2).unflatten(2, tuple(grid)).float()
    resized = F.interpolate(maps, size=tuple(size), mode="bicubic", antialias=antialias, align_corners=False)
    return resized.to(positions.dtype).flatten(2).transpose(1, 2)


class BlockStage(nn.Module):
    """Transformer blocks on a map; the last stage ends with the layer normalisation of the trunk."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        tokens = self.blocks(maps.flatten(2).transpose(1, 2))
        return tokens.transpose(1, 2).unflatten(2, maps.shape[-2:])


class TokenStage(nn.Module):
    """Transformer blocks on a map and its class token."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, state: Sequence[Tensor]) -> list[Tensor]:
        """[(B, C, h, w), (B, C, 1, 1)] -> the same shapes."""
        return with_token(self.blocks, state)


class LastTokenStage(nn.Module):
    """Last `TokenStage`, which drops the class token."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*blocks)

    def forward(self, state: Sequence[Tensor]) -> Tensor:
        """[(B, C, h, w), (B, C, 1, 1)] -> (B, C, h, w)."""
        return with_token(self.blocks, state)[0]


def with_token(blocks: nn.Module, state: Sequence[Tensor]) -> list[Tensor]:
    """Blocks on the class token and the tokens of a map; both are returned as maps."""
    maps, token = state
    tokens = torch.cat([token.flatten(2), maps.flatten(2)], dim=2).transpose(1, 2)
    channels_first = blocks(tokens).transpose(1, 2)
    return [channels_first[..., 1:].unflatten(2, maps.shape[-2:]), channels_first[..., :1].unflatten(2, (1, 1))]


class SimplePyramid(nn.Module):
    """ViTDet's pyramid: the last map resampled to strides 4, 8, 16, 32, and cut to the image without padding."""

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


@torch.no_grad()
def fold_renormalisation(convolution: nn.Conv2d, renormalise: Renormalise) -> None:
    """Multiply a renormalisation into the convolution that reads its output; in place.

    Exact if images are padded before they are renormalised.
    """
    weight = convolution.weight.clone()
    convolution.weight.copy_(weight * renormalise.scale)
    if convolution.bias is not None:
        convolution.bias.add_((weight * renormalise.shift).sum((1, 2, 3)))


def _groups(trunk: Any) -> list[list[nn.Module]]:
    """The blocks of each stage; the last stage ends with the layer normalisation of the trunk."""
    per_stage = len(trunk.blocks) // NUM_STAGES
    groups = [list(trunk.blocks[start : start + per_stage]) for start in range(0, len(trunk.blocks), per_stage)]
    groups[-1].append(trunk.norm)
    return groups


def _backbone(
    trunk: Any, stem: nn.Module, stages: Sequence[nn.Module], extra: tuple[FeatureSpec, ...] = ()
) -> Backbone:
    """A backbone with ViTDet's pyramid; `extra` describes further maps of all states but the last."""
    channels = trunk.embed_dim
    widths = (channels // 4, channels // 2, channels, channels)
    spec = FeatureSpec(channels, PATCH)
    return Backbone(
        stem=stem,
        stages=stages,
        stage_specs=[*((spec, *extra) for _ in stages[:-1]), (spec,)],
        pyramid=SimplePyramid(channels),
        feature_specs=[FeatureSpec(width, stride) for width, stride in zip(widths, STRIDES, strict=True)],
    )
