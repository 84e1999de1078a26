"""Swin Transformer: attention within windows that are shifted from block to block, at four scales.

Source: Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021,
https://arxiv.org/abs/2103.14030.
Differs from the paper: maps of any size; they are padded to whole windows before the shift, and no pixel attends to the
padding. The last stage shifts its windows too, as in the detectors of the paper: its map is a single window only at the
image size of the classifier. As in these detectors, every scale of the pyramid is normalised; the first three without
weights.
Consulted: nothing; layers and weights are timm's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.registry import BACKBONES
from mtl_methods._shared.backbones.interface import Backbone
from mtl_methods._shared.backbones.weights import timm_trunk

PAPER = "https://arxiv.org/abs/2103.14030"
STRIDES = (4, 8, 16, 32)
MASKED = -100.0
"""Added to a score that must not count, as in the paper's code. It is multiplied by a mask of 0 and 1; -inf would give
NaN at 0."""


@BACKBONES.register("swin_tiny", title="Swin-T", paper=PAPER, year=2021)
def swin_tiny(weights: str) -> Backbone:
    """27.5 M parameters; 96, 192, 384, 768 channels at strides 4, 8, 16, 32; windows of 7x7."""
    return _swin("swin_tiny_patch4_window7_224", weights, tag="ms_in1k")


@BACKBONES.register("swin_large", title="Swin-L", paper=PAPER, year=2021, large=True)
def swin_large(weights: str) -> Backbone:
    """195.2 M parameters; 192, 384, 768, 1536 channels at strides 4, 8, 16, 32; windows of 12x12."""
    return _swin("swin_large_patch4_window12_384", weights, tag="ms_in22k_ft_in1k")


class PatchStem(nn.Module):
    """Patches of 4x4 pixels; the images are padded with zeros (the mean colour) to whole patches.

    Args:
        embed: timm's patch embedding.
    """

    def __init__(self, embed: Any) -> None:
        super().__init__()
        self.project: nn.Conv2d = embed.proj
        self.norm: nn.LayerNorm = embed.norm
        self.patch: int = embed.patch_size[0]

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, ceil(H / 4), ceil(W / 4))."""
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % self.patch, 0, -height % self.patch))
        patches: Tensor = self.norm(self.project(padded).permute(0, 2, 3, 1))
        return patches.permute(0, 3, 1, 2)


class WindowBlock(nn.Module):
    """Attention within windows, then two linear layers.

    Args:
        block: timm's block of the same parameters.
        shifted: True to shift the windows by half a window down and to the right.
    """

    def __init__(self, block: Any, shifted: bool) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.window: int = block.attn.window_size[0]
        self.shift = self.window // 2 if shifted else 0

    def forward(self, maps: Tensor) -> Tensor:
        """(B, h, w, C) -> the same shape."""
        maps = maps + self._attend(self.norm1(maps))
        return maps + self.mlp(self.norm2(maps))

    def _attend(self, maps: Tensor) -> Tensor:
        size = (maps.shape[1], maps.shape[2])
        padded = F.pad(maps, (0, 0, 0, -size[1] % self.window, 0, -size[0] % self.window))
        rows, columns = total = (padded.shape[1], padded.shape[2])
        # An axis that one window covers has nothing to shift.
        shifts = [self.shift if length > self.window else 0 for length in total]
        windows = self._split(rolled(padded, [-shift for shift in shifts]))
        attended: Tensor = self.attn(windows.flatten(0, 2).flatten(1, 2), mask=self._mask(size, total, shifts, maps))
        merged = attended.view(windows.shape).transpose(2, 3).reshape(len(maps), rows, columns, maps.shape[3])
        return rolled(merged, shifts)[:, : size[0], : size[1]]

    def _split(self, maps: Tensor) -> Tensor:
        """(B, h, w, C) -> (B, h / window, w / window, window, window, C)."""
        return maps.unflatten(2, (-1, self.window)).unflatten(1, (-1, self.window)).transpose(2, 3)

    def _mask(
        self, size: tuple[int, int], total: tuple[int, int], shifts: Sequence[int], like: Tensor
    ) -> Tensor | None:
        """Summand of the scores of each window, (windows, window**2, window**2); None if nothing is masked.

        Pixels see each other if both lie in the image, on the same side of the seams that the shift closes.
        """
        if size == total and not any(shifts):
            return None
        rows, columns = (regions(*axis, like.device) for axis in zip(size, total, shifts, strict=True))
        pixels = self._split((rows[:, None] * 3 + columns).view(1, *total, 1)).flatten(0, 2).flatten(1)
        return (pixels[:, None] != pixels[:, :, None]).to(like.dtype) * MASKED


def rolled(maps: Tensor, shifts: Sequence[int]) -> Tensor:
    """(B, h, w, C) shifted cyclically; the same tensor where there is nothing to shift."""
    return maps.roll(list(shifts), dims=(1, 2)) if any(shifts) else maps


def regions(length: int, total: int, shift: int, device: torch.device) -> Tensor:
    """Region of each row (or column) after the shift: 0 image, 1 beyond the seam, 2 padding.

    Args:
        length: rows of the image.
        total: rows with the padding below them.
        shift: rows that moved from the top to the bottom.
        device: device of the result.
    """
    row = torch.arange(total, device=device)
    return torch.where(row.roll(-shift) >= length, 2, (row >= total - shift).long())


class WindowStage(nn.Module):
    """Halving of the resolution, if the stage has it, then blocks; every second block shifts its windows.

    Args:
        stage: timm's stage.
        norm: normalisation at the end of the stage, None for no normalisation.
    """

    def __init__(self, stage: Any, norm: nn.Module | None) -> None:
        super().__init__()
        self.downsample: nn.Module = stage.downsample
        self.blocks = nn.Sequential(
            *(WindowBlock(block, shifted=bool(position % 2)) for position, block in enumerate(stage.blocks))
        )
        self.norm = norm if norm is not None else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> the same, or (B, 2 C, ceil(h / 2), ceil(w / 2)); channels last in memory."""
        return self.norm(self.blocks(self.downsample(maps.permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)


class NormalisedPyramid(nn.Module):
    """The maps of all stages; all but the last, which its stage normalises, through a layer normalisation.

    The layer normalisation has no weights: the layers that read a map begin with a convolution, and weights of a map
    that a method does not read would get no gradient.
    """

    def forward(self, states: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """The states, normalised; `size` is not needed."""
        *first, last = states
        channels_last = (state.permute(0, 2, 3, 1) for state in first)
        return [*(F.layer_norm(state, state.shape[3:]).permute(0, 3, 1, 2) for state in channels_last), last]


def _swin(model: str, weights: str, tag: str) -> Backbone:
    # The masks that timm would store are made for one image size.
    trunk = timm_trunk(model, weights, tag, num_classes=0, dynamic_img_size=True)
    channels = [info["num_chs"] for info in trunk.feature_info]
    specs = [FeatureSpec(width, stride) for width, stride in zip(channels, STRIDES, strict=True)]
    norms = [None] * (len(specs) - 1) + [trunk.norm]
    return Backbone(
        stem=PatchStem(trunk.patch_embed),
        stages=[WindowStage(stage, norm) for stage, norm in zip(trunk.layers, norms, strict=True)],
        stage_specs=[(spec,) for spec in specs],
        pyramid=NormalisedPyramid(),
        feature_specs=specs,
    )
