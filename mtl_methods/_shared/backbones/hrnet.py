"""HRNet: parallel branches of four resolutions that exchange features.

Source: Wang et al., "Deep High-Resolution Representation Learning for Visual Recognition", TPAMI 2021,
https://arxiv.org/abs/1908.07919.
Differs from the paper: the fusion upsamples bilinearly (align_corners=False) to the size of the finer branch, as the
published multi-task code does; the paper, and timm, repeat pixels. So any input size works.
Consulted: golden outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac,
CC BY-NC 4.0; nothing copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Any, cast

from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.heads import upsample_to
from benchmark.registry import BACKBONES
from mtl_methods._shared.backbones.interface import Backbone, BranchPyramid
from mtl_methods._shared.backbones.weights import timm_trunk

PAPER = "https://arxiv.org/abs/1908.07919"
TAG = "ms_in1k"
STRIDES = (4, 8, 16, 32)


@BACKBONES.register("hrnet_w18_small_v2", title="HRNet-W18-small-v2", paper=PAPER, year=2021)
def hrnet_w18_small_v2(weights: str) -> Backbone:
    """3.9 M parameters; 18, 36, 72, 144 channels; the "HRNet-18" of the NYU-v2 multi-task literature."""
    return _hrnet("hrnet_w18_small_v2", weights)


@BACKBONES.register("hrnet_w48", title="HRNet-W48", paper=PAPER, year=2021, large=True)
def hrnet_w48(weights: str) -> Backbone:
    """65.3 M parameters; 48, 96, 192, 384 channels."""
    return _hrnet("hrnet_w48", weights)


class Exchange(nn.Module):
    """A module of parallel branches and the fusion of their outputs.

    Args:
        module: timm's module of the same parameters.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.branches: nn.ModuleList = module.branches
        self.fuse_layers: nn.ModuleList = module.fuse_layers
        for target in module.fuse_layers:
            for source in target:
                # The upsampling at the end of a fuse layer goes by a factor; here it goes by size.
                if isinstance(source, nn.Sequential) and isinstance(source[-1], nn.Upsample):
                    del source[-1]
        self.activation = nn.ReLU()
        self.by_factors = False

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C_i, h_i, w_i) per branch -> the same shapes."""
        maps = [branch(level) for branch, level in zip(self.branches, maps, strict=True)]
        fused = []
        for target, (layers, level) in enumerate(zip(self.fuse_layers, maps, strict=True)):
            terms = [
                self._upsampled(layer(branch), level.shape[-2:], 2 ** max(0, source - target))
                for source, (layer, branch) in enumerate(zip(cast(nn.ModuleList, layers), maps, strict=True))
            ]
            fused.append(self.activation(reduce(add, terms)))
        return fused

    def _upsampled(self, maps: Tensor, size: Sequence[int], factor: int) -> Tensor:
        if self.by_factors and factor > 1:
            maps = upsample_to(maps, [factor * length for length in maps.shape[-2:]])
        return upsample_to(maps, size)


def upsample_by_factors(backbone: Backbone) -> None:
    """Let the fusions of an HRNet upsample by 2, 4 or 8, and then to the size of the finer branch; in place.

    The ATRC harness does so; MTL-PyTorch goes to that size at once, and so does every HRNet here unless told otherwise.
    It makes a difference for images whose sides are no multiples of 32, such as the 425x560 of NYU-v2.
    """
    for module in backbone.modules():
        if isinstance(module, Exchange):
            module.by_factors = True


class FirstStage(nn.Module):
    """The residual blocks before the split into branches; its state is a list of one map."""

    def __init__(self, blocks: nn.Module) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 64, h, w) -> [(B, 256, h, w)]."""
        return [self.blocks(images)]


class BranchStage(nn.Module):
    """A transition, which adds a branch of half the resolution, and the exchange modules after it."""

    def __init__(self, transition: nn.ModuleList, modules: nn.Sequential) -> None:
        super().__init__()
        self.transition = transition
        self.exchanges = nn.ModuleList(Exchange(module) for module in modules)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps of n branches -> maps of n + 1 branches."""
        # A branch that continues comes from its own map, a new one from the coarsest.
        sources = [maps[min(branch, len(maps) - 1)] for branch in range(len(self.transition))]
        branches: list[Tensor] = [change(source) for change, source in zip(self.transition, sources, strict=True)]
        for exchange in self.exchanges:
            branches = exchange(branches)
        return branches


def _hrnet(model: str, weights: str) -> Backbone:
    # An empty feature location leaves out the widening layers of the classifier.
    trunk = timm_trunk(model, weights, TAG, features_only=True, feature_location="")
    stem = nn.Sequential(trunk.conv1, trunk.bn1, trunk.act1, trunk.conv2, trunk.bn2, trunk.act2)
    stages = [
        FirstStage(trunk.layer1),
        BranchStage(trunk.transition1, trunk.stage2),
        BranchStage(trunk.transition2, trunk.stage3),
        BranchStage(trunk.transition3, trunk.stage4),
    ]
    # The first entry of timm's list is the stem.
    widths = trunk.feature_info.channels()[1:]
    specs = tuple(FeatureSpec(channels, stride) for channels, stride in zip(widths, STRIDES, strict=True))
    stage_specs = [(FeatureSpec(256, 4),), specs[:2], specs[:3], specs]
    return Backbone(stem, stages, stage_specs, BranchPyramid(), specs, parallel=True)
