"""Residual blocks of the public multi-task code: torchvision's, of stride 1, with a projected shortcut where asked.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385.
"""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck


def basic_block(in_channels: int, channels: int, *, project: bool) -> BasicBlock:
    """Two 3x3 convolutions; (B, in_channels, h, w) -> (B, channels, h, w).

    Args:
        in_channels: channels of the incoming map.
        channels: channels of the result.
        project: True for a shortcut by a 1x1 convolution and batch normalisation; an identity needs equal widths.
    """
    return BasicBlock(in_channels, channels, downsample=_projection(in_channels, channels) if project else None)


def bottleneck(in_channels: int, channels: int, *, project: bool) -> Bottleneck:
    """1x1, 3x3 and 1x1 convolutions, the middle one a quarter as wide; (B, in_channels, h, w) -> (B, channels, h, w).

    Args:
        in_channels: channels of the incoming map.
        channels: channels of the result, a multiple of 4.
        project: see `basic_block`.

    Raises:
        ValueError: if `channels` is not a multiple of 4.
    """
    if channels % Bottleneck.expansion:
        raise ValueError(f"a bottleneck block needs a multiple of {Bottleneck.expansion} channels, found {channels}")
    shortcut = _projection(in_channels, channels) if project else None
    return Bottleneck(in_channels, channels // Bottleneck.expansion, downsample=shortcut)


def _projection(in_channels: int, channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(in_channels, channels, kernel_size=1, bias=False), nn.BatchNorm2d(channels))
