"""Stages of the InvPT decoder: the pixels of all tasks attend to each other at a resolution that doubles twice.

Maps of all tasks are held as one tensor (T, B, h, w, C).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.heads import upsample_to


class UpEmbed(nn.Sequential):
    """Two dilated 3x3 convolutions after an upsampling by two, for one task.

    Args:
        in_channels: channels of the maps of the stage before.
        channels: channels of this stage.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(*dilated_convolution(in_channels, channels), *dilated_convolution(channels, channels))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, h, w, C) -> (B, C', 2 h, 2 w)."""
        size = [2 * length for length in maps.shape[1:3]]
        return super().forward(upsample_to(maps.permute(0, 3, 1, 2), size))


def dilated_convolution(in_channels: int, out_channels: int) -> list[nn.Module]:
    """3x3 convolution of dilation 2, BN, ReLU."""
    return [
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=2, dilation=2, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


class QueryMap(nn.Sequential):
    """Depthwise 3x3 convolution of stride 2 and BN, for one task; (B, h, w, C) -> (B, h / 2, w / 2, C)."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """See the class."""
        return super().forward(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class CrossTaskAttention(nn.Module):
    """Every second pixel of every task attends to averaged cells of all tasks.

    The scores are also a message to the next stage, which mixes them, upsampled, with its own before the softmax.

    Source: Ye and Xu, ECCV 2022, section 3.4 (attention message passing). The scale is computed from the full width,
    not from the width of a head, as in the public code.

    Args:
        tasks: names of the tasks.
        channels: channels of the maps.
        num_heads: heads of the attention.
        cell: side of the cells that keys and values are averaged over, in pixels.
        receives: True if a previous stage sends its scores.
    """

    def __init__(self, tasks: Iterable[str], channels: int, num_heads: int, cell: int, receives: bool) -> None:
        super().__init__()
        self.num_heads, self.cell, self.scale = num_heads, cell, channels**-0.5
        self.query_maps = nn.ModuleDict({name: QueryMap(channels) for name in tasks})
        self.query, self.key, self.value, self.project = (nn.Linear(channels, channels) for _ in range(4))
        if receives:
            self.fuse = nn.Conv2d(2 * num_heads, num_heads, kernel_size=1)

    def forward(self, maps: Tensor, message: Tensor | None) -> tuple[Tensor, Tensor]:
        """Attended maps, and the message to the next stage.

        Args:
            maps: (T, B, h, w, C).
            message: (B, heads, T, h / 4, w / 4, keys) of the previous stage, None in the first.

        Returns:
            (T, B, h, w, C), and (B, heads, T, h / 2, w / 2, keys).
        """
        queries = torch.stack([convolve(own) for convolve, own in zip(self.query_maps.values(), maps, strict=True)], 1)
        batch, tasks, height, width, channels = queries.shape
        context = self._context(maps)
        query = self._split(self.query(queries).flatten(1, 3)) * self.scale
        key, value = self._split(self.key(context)), self._split(self.value(context))
        scores = query @ key.transpose(2, 3) if message is None else self._mixed(query, key, message)
        attended = (scores.softmax(dim=3) @ value).transpose(1, 2).reshape(queries.shape)
        output = self.project(attended).transpose(0, 1).reshape(-1, height, width, channels).permute(0, 3, 1, 2)
        upsampled = upsample_to(output, maps.shape[2:4]).permute(0, 2, 3, 1)
        return upsampled.unflatten(0, (tasks, batch)), scores.unflatten(2, (tasks, height, width))

    def _context(self, maps: Tensor) -> Tensor:
        """The averaged cells of all tasks, (B, keys, C)."""
        cells = F.avg_pool2d(maps.flatten(0, 1).permute(0, 3, 1, 2), self.cell).permute(0, 2, 3, 1)
        return cells.unflatten(0, maps.shape[:2]).transpose(0, 1).flatten(1, 3)

    def _split(self, tokens: Tensor) -> Tensor:
        """(B, N, C) -> (B, heads, N, C / heads)."""
        return tokens.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

    def _mixed(self, query: Tensor, key: Tensor, message: Tensor) -> Tensor:
        """Own scores and the upsampled message, mixed over the heads by `fuse`; (B, heads, N, keys).

        The mixing is linear, so it is applied first: to the message before upsampling, and to the queries, so that each
        mixed head attends to the keys of all heads.
        """
        own, passed = self.fuse.weight.split(self.num_heads, dim=1)
        wide = (query[:, None] * own).transpose(2, 3).flatten(3)
        keys = key.transpose(1, 2).flatten(2)[:, None].expand(-1, self.num_heads, -1, -1)
        mixed = F.conv2d(message.flatten(2, 4), passed, self.fuse.bias).view(message.shape)
        coarse = mixed.flatten(0, 2).permute(0, 3, 1, 2)
        fine = upsample_to(coarse, [2 * length for length in coarse.shape[2:]]).permute(0, 2, 3, 1)
        fine = fine.reshape(-1, wide.shape[2], key.shape[2])
        scores = torch.baddbmm(fine, wide.flatten(0, 1), keys.flatten(0, 1).transpose(1, 2))
        return scores.unflatten(0, (len(query), self.num_heads))


class Block(nn.Module):
    """Attention across tasks and two linear layers, each on normalised maps and with a residual connection.

    Args:
        attention: the attention.
        channels: channels of the maps.
        mlp_ratio: hidden channels of the linear layers as a multiple of `channels`.
    """

    def __init__(self, attention: CrossTaskAttention, channels: int, mlp_ratio: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = attention
        self.fc1 = nn.Linear(channels, mlp_ratio * channels)
        self.fc2 = nn.Linear(mlp_ratio * channels, channels)

    def forward(self, maps: Tensor, message: Tensor | None) -> tuple[Tensor, Tensor]:
        """(T, B, h, w, C) -> the same shape, and the message to the next stage."""
        attended, message = self.attention(self.norm1(maps), message)
        maps = maps + attended
        return maps + self.fc2(F.gelu(self.fc1(self.norm2(maps)))), message


class Decoder(nn.Module):
    """Three stages, at strides 32, 16 and 8.

    Args:
        tasks: names of the tasks.
        widths: channels of the stages.
        num_heads: heads of the attention.
        mlp_ratio: see `Block`.
    """

    def __init__(self, tasks: Sequence[str], widths: Sequence[int], num_heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.embeds = nn.ModuleList(
            nn.ModuleDict({name: UpEmbed(before, after) for name in tasks}) for before, after in pairwise(widths)
        )
        # The cells grow with the resolution, so each stage has the same keys.
        self.blocks = nn.ModuleList(
            Block(CrossTaskAttention(tasks, width, num_heads, 2 << stage, stage > 0), width, mlp_ratio)
            for stage, width in enumerate(widths)
        )
        self.apply(initialise)

    def forward(self, maps: Tensor, skips: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the stages.

        Args:
            maps: (T, B, h, w, C) at stride 32, h and w even.
            skips: (B, C, 2 h, 2 w) and (B, C, 4 h, 4 w) of the encoder, added to the maps of every task.
        """
        outputs, message = [], None
        for stage, block in enumerate(self.blocks):
            if stage:
                embeds, skip = cast(nn.ModuleDict, self.embeds[stage - 1]).values(), skips[stage - 1]
                embedded = [(embed(own) + skip).permute(0, 2, 3, 1) for embed, own in zip(embeds, maps, strict=True)]
                maps = torch.stack(embedded)
            maps, message = block(maps, message)
            outputs.append(maps)
        return outputs


def initialise(module: nn.Module) -> None:
    """Linear layers as in the public code: weights normal with a standard deviation of 0.02, biases zero."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
