"""Interface of the backbones: a stem, stages that run one after another, and a pyramid made of their states."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmark import contracts
from benchmark.contracts import FeatureSpec
from benchmark.heads import concatenate_maps
from benchmark.registry import BACKBONES, split_backbone


class Backbone(contracts.Backbone):
    """An encoder; `forward` runs `stem`, then each of `stages`, then `pyramid`.

    A method that works inside the encoder runs these modules itself:

        state, states = backbone.stem(images), []
        for stage in backbone.stages:
            state = stage(state)
            states.append(state)
        maps = backbone.pyramid(states, images.shape[-2:])

    A state is one map, or a list: the maps of parallel branches, finest first, or a map and the class token, a map of
    one cell. The last state of a backbone that is not parallel is one map. No stage changes its input in place.

    Args:
        stem: images (B, 3, H, W) -> first state.
        stages: state -> state.
        stage_specs: for each stage the maps of the state it returns; one map where the state is a tensor.
        pyramid: (states, (H, W)) -> maps of `feature_specs`; `StagePyramid` for most.
        feature_specs: the pyramid, finest first. A map is (B, C, ceil(H / stride), ceil(W / stride)).
        parallel: True if all scales are processed in parallel at full depth (HRNet); then a concatenation is a
            sufficient decoder.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[nn.Module],
        stage_specs: Sequence[tuple[FeatureSpec, ...]],
        pyramid: nn.Module,
        feature_specs: Sequence[FeatureSpec],
        parallel: bool = False,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.ModuleList(stages)
        self.stage_specs = tuple(stage_specs)
        self.pyramid = pyramid
        self.feature_specs = tuple(feature_specs)
        self.parallel = parallel

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature pyramid of (B, 3, H, W) images, any H and W of at least 32; see `feature_specs`."""
        state = self.stem(images)
        states = []
        for stage in self.stages:
            state = stage(state)
            states.append(state)
        maps: list[Tensor] = self.pyramid(states, images.shape[-2:])
        return maps


class StagePyramid(nn.Module):
    """The pyramid of a backbone whose stages each return one map of it."""

    def forward(self, states: Sequence[Tensor], size: Sequence[int]) -> list[Tensor]:
        """The states; `size` is not used."""
        return list(states)


class BranchPyramid(nn.Module):
    """The pyramid of a backbone whose last stage returns all of its maps."""

    def forward(self, states: Sequence[list[Tensor]], size: Sequence[int]) -> list[Tensor]:
        """The branches of the last state; `size` is not used."""
        return list(states[-1])


class ConcatenateBranches(nn.Module):
    """Parallel branches as one map: upsampled to the finest and concatenated."""

    def forward(self, branches: Sequence[Tensor]) -> Tensor:
        """(B, C_i, h_i, w_i) -> (B, sum of C_i, h_0, w_0)."""
        return concatenate_maps(branches)


def make_backbone(backbone: str) -> Backbone:
    """Build a backbone by its name in the suite.

    Args:
        backbone: `name` or `name:weights`, such as "resnet18", "efficientnet_lite0:imagenet",
            "resnet18:weights.safetensors" or "timm:convnext_atto"; the weights are "scratch" by default.

    Raises:
        UnknownNameError: if there is no such backbone.
        ValueError: if the weights are neither "scratch" nor "imagenet" nor a file.
        WeightsError: if the weights are not available or do not fit.
    """
    name, weights = split_backbone(backbone)
    encoder: Backbone = BACKBONES.create(name, weights)
    return encoder


class StageList(nn.ModuleList, contracts.Backbone):
    """The stages of a backbone, without its pyramid."""


def make_stages(backbone: str) -> tuple[StageList, tuple[FeatureSpec, ...]]:
    """The stages of a backbone as a plain chain from the images to one feature map, for a method of a few lines.

        features = images
        for stage in stages:
            features = stage(features)

    The first stage holds the stem. Parallel branches (HRNet) pass between stages as a list of maps; the last stage
    concatenates them.

    Args:
        backbone: see `make_backbone`.

    Returns:
        the stages, and for each the map it returns (of parallel branches: the finest).
    """
    encoder = make_backbone(backbone)
    stages = [nn.Sequential(encoder.stem, encoder.stages[0]), *encoder.stages[1:]]
    specs = [maps[0] for maps in encoder.stage_specs]
    if encoder.parallel:
        stages[-1] = nn.Sequential(stages[-1], ConcatenateBranches())
        specs[-1] = FeatureSpec(sum(level.channels for level in encoder.stage_specs[-1]), specs[-1].stride)
    return StageList(stages), tuple(specs)
