"""Every timm model with `features_only` as a backbone: "timm:convnext_atto", "timm:pvt_v2_b0:imagenet".

Source: Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models; each model has its paper.
Differs from timm: images and maps are padded with zeros to whole strides, so that a map has the size of the image
divided by its stride, rounded up; maps of strides below 4 stay inside the stem; no activation overwrites its input.
Consulted: nothing; layers and weights are timm's.

A network that timm runs as a chain of layers becomes a stem and one stage per map. Any other network becomes a single
stage that returns all its maps, which methods read like the parallel branches of an HRNet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import timm
import torch.nn.functional as F
from timm.models import FeatureListNet
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.registry import BACKBONES, IMAGENET, SCRATCH, Entry, UnknownNameError
from benchmark.tasks import suggest
from mtl_methods._shared.backbones.interface import Backbone, BranchPyramid, StagePyramid
from mtl_methods._shared.backbones.normalisation import Renormalise
from mtl_methods._shared.backbones.weights import WeightsError, downloaded_state, load_file, load_full_match

FAMILY = "timm"
PAPER = "https://github.com/huggingface/pytorch-image-models"
FINEST = 4
"""Smallest stride of a pyramid."""


@BACKBONES.register_family(FAMILY)
def timm_entry(model: str) -> Entry:
    """Any model of timm with `features_only`, such as timm:convnext_atto.

    Raises:
        UnknownNameError: if timm has no such model.
    """
    if not timm.is_model(model):
        hint = suggest(model, timm.list_models())
        raise UnknownNameError(f"no backbone named '{FAMILY}:{model}': timm {timm.__version__} has no {model!r}.{hint}")

    def build(weights: str) -> Backbone:
        return timm_backbone(model, weights)

    return Entry(f"{FAMILY}:{model}", build, title=model, paper=PAPER, year=2019, in_all=False)


def timm_backbone(model: str, weights: str) -> Backbone:
    """A backbone from a model of timm.

    Args:
        model: its name in timm.
        weights: "scratch"; "imagenet" for timm's default weights; or the path of a file with weights by timm's names.

    Raises:
        WeightsError: if the model has no feature maps, or the weights are not available or do not fit.
    """
    trunk = features_of(model)
    load_weights(trunk, model, weights)
    for module in trunk.modules():
        # A stage must not change the state that it gets.
        if getattr(module, "inplace", False) is True:
            module.inplace = False
    specs = [FeatureSpec(info["num_chs"], info["reduction"]) for info in trunk.feature_info.get_dicts()]
    kept = [spec for spec in specs if spec.stride >= FINEST]
    chain = list(layers_of(trunk))
    renormalise = Renormalise(*(timm.get_pretrained_cfg(model).to_dict()[name] for name in ("mean", "std")))
    return _staged(chain, kept, renormalise, trunk) if chain else _whole(trunk, specs, renormalise)


def features_of(model: str) -> Any:
    """The network of timm that returns feature maps, for any image size where the model allows it.

    Raises:
        WeightsError: if the model has no feature maps.
    """
    try:
        try:
            return timm.create_model(model, pretrained=False, features_only=True, dynamic_img_size=True)
        except TypeError:
            return timm.create_model(model, pretrained=False, features_only=True)
    except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise WeightsError(
            f"timm:{model}: timm gives no feature maps of it ({' '.join(str(error).split())})"
        ) from error


def load_weights(trunk: nn.Module, model: str, weights: str) -> None:
    """Fill a network of feature maps, whose tensors have other names than in the complete model.

    Raises:
        WeightsError: if a tensor of the network has no counterpart.
    """
    if weights == SCRATCH:
        return
    if weights == IMAGENET:
        tag = timm.get_pretrained_cfg(model).tag
        name = f"{model}.{tag}" if tag else model
        state, source = downloaded_state(name), f"timm {name}"
    else:
        state, source = load_file(weights), weights
    load_full_match(trunk, renamed(state, list(trunk.state_dict())), source=source)


def renamed(state: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Tensors under the names of a network of feature maps, in which timm turns dots into underscores."""
    by_text = {name.replace(".", "_"): tensor for name, tensor in state.items()}
    found = {name: by_text.get(name.replace(".", "_").removeprefix("model_")) for name in names}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def layers_of(trunk: Any) -> Iterator[tuple[nn.Module, bool]]:
    """The layers of a network that runs them one after another; nothing for a network of another kind.

    Yields:
        A layer, and True if its output is a feature map.
    """
    if isinstance(trunk, FeatureListNet):
        for name, layer in trunk.items():
            yield layer, name in trunk.return_layers
    elif hasattr(trunk, "_stage_out_idx") and trunk.feature_hooks is None:
        # The features of EfficientNet and MobileNetV3.
        ends = trunk._stage_out_idx
        first = [getattr(trunk, name) for name in ("conv_stem", "bn1", "act1") if hasattr(trunk, name)]
        for position, layer in enumerate(first, start=1):
            yield layer, position == len(first) and 0 in ends
        for position, layer in enumerate(trunk.blocks, start=1):
            yield layer, position in ends


def _staged(
    chain: Sequence[tuple[nn.Module, bool]], specs: Sequence[FeatureSpec], renormalise: nn.Module, trunk: Any
) -> Backbone:
    """A stem and one stage per map; layers after the last map are left out."""
    ends = [position for position, (_, is_end) in enumerate(chain, start=1) if is_end][-len(specs) :]
    layers = [layer for layer, _ in chain]
    channels_last = getattr(trunk, "output_fmt", "NCHW") == "NHWC"
    starts = [ends[0] - 1, *ends[:-1]]
    strides = [1, *(after.stride // before.stride for before, after in pairwise(specs))]
    stages = [
        Padded(nn.Sequential(*layers[start:end]), stride, channels_last, channels_last)
        for start, end, stride in zip(starts, ends, strides, strict=True)
    ]
    stem = Padded(nn.Sequential(renormalise, *layers[: starts[0]]), specs[0].stride, False, channels_last)
    return Backbone(stem, stages, [(spec,) for spec in specs], StagePyramid(), specs)


def _whole(trunk: nn.Module, specs: Sequence[FeatureSpec], renormalise: nn.Module) -> Backbone:
    """One stage that returns all maps."""
    kept = [position for position, spec in enumerate(specs) if spec.stride >= FINEST]
    chosen = tuple(specs[position] for position in kept)
    stage = AllMaps(trunk, kept, chosen)
    return Backbone(renormalise, [stage], [chosen], BranchPyramid(), chosen, parallel=True)


class Padded(nn.Module):
    """Layers on maps that are padded below and to the right to whole strides.

    Args:
        layers: the layers.
        stride: stride of the layers.
        from_channels_last: the layers take (B, h, w, C).
        to_channels_last: the layers return (B, h, w, C).
    """

    def __init__(self, layers: nn.Module, stride: int, from_channels_last: bool, to_channels_last: bool) -> None:
        super().__init__()
        self.layers = layers
        self.stride = stride
        self.from_channels_last = from_channels_last
        self.to_channels_last = to_channels_last

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C', ceil(h / stride), ceil(w / stride))."""
        maps = padded(maps, self.stride)
        maps = self.layers(maps.permute(0, 2, 3, 1) if self.from_channels_last else maps)
        return maps.permute(0, 3, 1, 2) if self.to_channels_last else maps


class AllMaps(nn.Module):
    """A network that returns all its maps at once.

    Args:
        network: (B, 3, H, W) -> list of maps.
        kept: positions of the maps to return.
        specs: descriptions of these maps.
    """

    def __init__(self, network: nn.Module, kept: Sequence[int], specs: Sequence[FeatureSpec]) -> None:
        super().__init__()
        self.network = network
        self.kept = tuple(kept)
        self.specs = tuple(specs)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> (B, C_i, ceil(H / s_i), ceil(W / s_i)) each."""
        height, width = images.shape[-2:]
        maps = self.network(padded(images, max(spec.stride for spec in self.specs)))
        return [
            maps[position][..., : -(-height // spec.stride), : -(-width // spec.stride)]
            for position, spec in zip(self.kept, self.specs, strict=True)
        ]


def padded(maps: Tensor, stride: int) -> Tensor:
    """(B, C, h, w) padded with zeros below and to the right to multiples of a stride."""
    height, width = maps.shape[-2:]
    if height % stride == width % stride == 0:
        return maps
    return F.pad(maps, (0, -width % stride, 0, -height % stride))
