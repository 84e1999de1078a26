"""Single-task and multi-task baselines of MTL-PyTorch: HRNet with its heads, dilated ResNet with DeepLab heads.

A file of a single network does not say which task it is for. It is told by the channels of its prediction where these
leave no choice; a network of one channel may be of depth or of boundaries and is refused with the remedy.

Source: tensor names and shapes of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mtl_methods.published.description import Published
from mtl_methods.published.mtl_pytorch import length_of, our_task, published_task, tasks_in
from mtl_methods.published.renaming import ImportRefusedError, Rules
from mtl_methods.published.trunks import is_resnet, trunk_of, trunk_rules

FORMAT = "mtl_pytorch"
TRUNK = "backbone."
LOGITS = {"hrnet": "last_layer.3.bias", "deeplab": "4.bias"}
"""Bias of the last layer, by kind of head."""


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True where there is nothing but a trunk and one head, or one per task."""
    return any(name.startswith(("decoder.", "decoders.")) for name in state)


def describe(state: Mapping[str, Tensor]) -> Published:
    """The network of a state dict that `recognise` knows.

    Raises:
        ImportRefusedError: naming the tensor that says something impossible, or nothing.
    """
    head = "deeplab" if is_resnet(state, TRUNK) else "hrnet"
    backbone, logits = trunk_of(state, TRUNK), LOGITS[head]
    if any(name.startswith("decoder.") for name in state):
        channels = length_of(state, f"decoder.{logits}")
        return Published("single_task", backbone, {only_task(channels): channels}, {"head": head})
    tasks = tasks_in(state, rf"decoders\.([^.]+)\.{re.escape(logits)}")
    found = {our_task(task): length_of(state, f"decoders.{task}.{logits}") for task in tasks}
    return Published("hard_sharing", backbone, found, {"head": head})


def only_task(channels: int) -> str:
    """The task of a network that predicts so many channels.

    Raises:
        ImportRefusedError: if more than one task has so many.
    """
    if channels == 1:
        raise ImportRefusedError(
            "the network predicts one channel, so it may be of depth or of boundaries and the file does not say which; "
            'rename its tensors "decoder.*" to "decoders.depth.*" or "decoders.edge.*" and import it as a network of '
            "one task"
        )
    return "normals" if channels == 3 else "semseg"


def rules(description: Published) -> Rules:
    """Renaming rules of that network."""
    inner = r"last_layer\." if description.options["head"] == "hrnet" else ""
    if description.method == "single_task":
        (task,) = description.channels
        ours = f"networks.{task}"
        trunk = trunk_rules(description.backbone, TRUNK, f"{ours}.backbone.")
        return [*trunk, (rf"decoder\.{inner}", f"{ours}.head.")]
    heads = [(rf"decoders\.{published_task(task)}\.{inner}", f"heads.{task}.") for task in description.channels]
    return [*trunk_rules(description.backbone, TRUNK), *heads]
