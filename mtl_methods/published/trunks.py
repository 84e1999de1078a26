"""The trunk of a published network, HRNet or ResNet, and the rules of its tensors.

Source: tensor names and shapes of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac, and
of https://github.com/brdav/atrc, commit 76d8055. Both use the names of torchvision and of the authors of HRNet.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mtl_methods.published.mtl_pytorch import hrnet_of, hrnet_rules
from mtl_methods.published.renaming import ImportRefusedError, Rules

OURS = "backbone."

RESNETS: dict[tuple[int, ...], str] = {(2, 2, 2, 2): "resnet18", (3, 4, 6, 3): "resnet50"}
"""Registered ResNets by the numbers of blocks of their layers."""

CONVOLUTIONS = {"resnet18": 2, "resnet50": 3}
"""Number of convolutions of a block, by ResNet."""


def trunk_of(state: Mapping[str, Tensor], prefix: str) -> str:
    """Registered name of the trunk of a file.

    The state dicts of a dilated and a plain ResNet are the same. The public code has DeepLab heads on dilated ResNets
    only, so every ResNet is read as dilated.

    Args:
        state: the published state dict.
        prefix: beginning of the names of the trunk, "backbone.".

    Raises:
        ImportRefusedError: if the trunk is not registered.
    """
    if not is_resnet(state, prefix):
        return hrnet_of(state, prefix)
    return f"{resnet_of(state, prefix)}_dilated"


def is_resnet(state: Mapping[str, Tensor], prefix: str) -> bool:
    """True for a trunk with a fourth layer; an HRNet has stages instead."""
    return f"{prefix}layer4.0.conv1.weight" in state


def resnet_of(state: Mapping[str, Tensor], prefix: str) -> str:
    """Name of the ResNet by the number and kind of its blocks.

    Raises:
        ImportRefusedError: if no such ResNet is registered.
    """
    names = [name.removeprefix(prefix) for name in state if name.startswith(prefix)]
    blocks = tuple(
        len({name.split(".")[1] for name in names if name.startswith(f"layer{layer}.")}) for layer in (1, 2, 3, 4)
    )
    convolutions = len({name for name in names if re.fullmatch(r"layer1\.0\.conv\d\.weight", name)})
    found = RESNETS.get(blocks, "")
    if CONVOLUTIONS.get(found) != convolutions:
        raise ImportRefusedError(
            f"the tensors {prefix}layer1 to {prefix}layer4 are of a ResNet with {blocks} blocks of {convolutions} "
            f"convolutions; known are {', '.join(RESNETS.values())}"
        )
    return found


def trunk_rules(backbone: str, prefix: str, ours: str = OURS) -> Rules:
    """Rules of a trunk.

    Args:
        backbone: its registered name.
        prefix: beginning of its names in the file.
        ours: beginning of its names in our method.
    """
    rules = resnet_rules(prefix) if backbone.startswith("resnet") else hrnet_rules(prefix)
    return [(pattern, ours + replacement.removeprefix(OURS)) for pattern, replacement in rules]


def resnet_rules(prefix: str) -> Rules:
    """Rules of the trunk of a ResNet, below `prefix`."""
    start = re.escape(prefix)
    return [
        (rf"{start}conv1\.", f"{OURS}stem.0."),
        (rf"{start}bn1\.", f"{OURS}stem.1."),
        *((rf"{start}layer{stage}\.", f"{OURS}stages.{stage - 1}.") for stage in (1, 2, 3, 4)),
    ]
