"""Decoders: a feature pyramid becomes the one map that the task heads read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.heads import upsample_to
from benchmark.registry import split_backbone
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.hrnet import upsample_by_factors
from mtl_methods._shared.backbones.interface import Backbone, ConcatenateBranches, StagePyramid

LATERAL_WIDTH = 64
"""Channels of the fused map of a backbone without parallel branches.

With four heads of the same width this costs 0.07 s per training step of 8 images of 120x160 on one CPU core, half of
the cost of EfficientNet-Lite0; nearly all of it in the 3x3 convolutions of the heads.
"""

DILATED_STRIDE = 8
"""Output stride of the dilated backbones that DeepLab heads were made for."""


def make_decoder(backbone: Backbone) -> tuple[nn.Module, FeatureSpec]:
    """The decoder for a backbone, and the specification of its map.

    Parallel branches (HRNet) are concatenated at stride 4, as in the ATRC harness: 270 channels for W18, 720 for W48.
    Every other pyramid goes through `LateralFusion`.

    Returns:
        a module that maps the pyramid to one map, and the specification of that map.
    """
    specs = backbone.feature_specs
    if backbone.parallel:
        return ConcatenateBranches(), FeatureSpec(sum(spec.channels for spec in specs), specs[0].stride)
    return LateralFusion([spec.channels for spec in specs], LATERAL_WIDTH), FeatureSpec(LATERAL_WIDTH, specs[0].stride)


def make_last_map(backbone: Backbone) -> tuple[nn.Module, FeatureSpec]:
    """Input of a DeepLab head: the last map of the encoder, as in the public code on dilated ResNets.

    Parallel branches are concatenated, since the last branch is only the coarsest of four. If the encoder computes its
    pyramid by additional layers (ViT), they are removed from `backbone`, because nothing would read them.

    Returns:
        a module that maps the pyramid to one map, and the specification of that map.
    """
    if backbone.parallel:
        return make_decoder(backbone)
    backbone.pyramid = StagePyramid()
    backbone.feature_specs = tuple(maps[0] for maps in backbone.stage_specs)
    return LastMap(), backbone.feature_specs[-1]


def make_head_input(head: str, backbone: Backbone) -> tuple[nn.Module, FeatureSpec]:
    """Input of the heads of a kind: the encoder's last map for "deeplab", else the map of the decoder.

    Args:
        head: kind of head, see `heads.make_head`.
        backbone: changed in place: see `make_last_map` for "deeplab", `hrnet.upsample_by_factors` for "fcn".

    Returns:
        a module that maps the pyramid to one map, and the specification of that map.
    """
    if head == "fcn":
        # The heads of the ATRC harness, whose HRNet upsamples by factors.
        upsample_by_factors(backbone)
    return make_last_map(backbone) if head == "deeplab" else make_decoder(backbone)


def suited_head(backbone: Backbone) -> str:
    """Default kind of head: the head of the public code for the backbone, if there is one.

    "deeplab" if the last map has a stride of 8 (dilated ResNet), else "fcn": a last map of stride 16 or 32 is too
    coarse for boundaries.
    """
    dilated = not backbone.parallel and backbone.stage_specs[-1][0].stride <= DILATED_STRIDE
    return "deeplab" if dilated else "fcn"


def suited_head_on(backbone: str) -> str:
    """`suited_head` of a backbone given by its name, with or without weights."""
    with torch.device("meta"):
        return suited_head(make_backbone(f"{split_backbone(backbone)[0]}:scratch"))


class LastMap(nn.Module):
    """The coarsest map of a pyramid, unchanged."""

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps, finest first -> the last one."""
        return maps[-1]


class LateralFusion(nn.Module):
    """Sum of the pyramid's maps at the finest stride, each through a 1x1 convolution; from coarse to fine.

    Source: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017, https://arxiv.org/abs/1612.03144.
    Differs from the paper: batch normalisation after the lateral convolutions, bilinear upsampling, one ReLU at the
    end, no 3x3 convolution (each head starts with one).

    Args:
        channels: channels of the maps, finest first.
        width: channels of the sum.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, width, kernel_size=1, bias=False), nn.BatchNorm2d(width))
            for count in channels
        )
        self.activation = nn.ReLU()

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(B, C_i, h_i, w_i), finest first -> (B, width, h_0, w_0)."""
        *finer, fused = (lateral(level) for lateral, level in zip(self.laterals, maps, strict=True))
        for level in reversed(finer):
            fused = level + upsample_to(fused, level.shape[-2:])
        return self.activation(fused)
