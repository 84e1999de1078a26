"""Single-task and multi-task baselines of MTL-PyTorch: HRNet with its heads, dilated ResNet with DeepLab heads.

The file of a single-task network does not name its task. The number of channels of the prediction determines it, except
for one channel, which may be depth or boundaries: such a file is refused with the remedy.

Source: tensor names and shapes of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mtl_methods.published.description import Published, our_task, published_task
from mtl_methods.published.mtl_pytorch import length_of, tasks_in
from mtl_methods.published.renaming import ImportRefusedError, Rules
from mtl_methods.published.trunks import is_resnet, trunk_of, trunk_rules

FORMAT = "mtl_pytorch"
TRUNK = "backbone."
LOGITS = {"hrnet": "last_layer.3.bias", "deeplab": "4.bias"}
"""Bias of the last layer, by kind of head."""


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a trunk with one head, or with one head per task."""
    return any(name.startswith(("decoder.", "decoders.")) for name in state)


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
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
    """The task of a network with this number of predicted channels.

    Raises:
        ImportRefusedError: if more than one task has this number.
    """
    if channels == 1:
        raise ImportRefusedError(
            "the network predicts one channel, which may be depth or boundaries, and the file does not name the task; "
            'rename its tensors "decoder.*" to "decoders.depth.*" or "decoders.edge.*" and import it as a network of '
            "one task"
        )
    return "normals" if channels == 3 else "semseg"


def rules(description: Published) -> Rules:
    """Renaming rules of a described network."""
    inner = r"last_layer\." if description.options["head"] == "hrnet" else ""
    if description.method == "single_task":
        (task,) = description.channels
        ours = f"networks.{task}"
        trunk = trunk_rules(description.backbone, TRUNK, f"{ours}.backbone.")
        return [*trunk, (rf"decoder\.{inner}", f"{ours}.head.")]
    heads = [(rf"decoders\.{published_task(task)}\.{inner}", f"heads.{task}.") for task in description.channels]
    return [*trunk_rules(description.backbone, TRUNK), *heads]
