"""MTAN of MTL-PyTorch: dilated ResNet with DeepLab heads.

Source: tensor names and shapes of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtl_methods.published.description import Published, our_task
from mtl_methods.published.mtl_pytorch import length_of, task_rules, tasks_in
from mtl_methods.published.renaming import Rules
from mtl_methods.published.trunks import trunk_of, trunk_rules

FORMAT = "mtl_pytorch"
TRUNK = "backbone."
STAGES = (1, 2, 3, 4)


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a state dict with attention modules and the blocks between them."""
    return all(any(name.startswith(f"{part}_1.") for name in state) for part in ("attention", "refine"))


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
    """
    tasks = tasks_in(state, r"heads\.([^.]+)\.4\.(?:weight|bias)")
    channels = {our_task(task): length_of(state, f"heads.{task}.4.bias") for task in tasks}
    return Published("mtan", trunk_of(state, TRUNK), channels, {"head": "deeplab"})


def rules(description: Published) -> Rules:
    """Renaming rules of a described network."""
    tasks = list(description.channels)
    found = [*trunk_rules(description.backbone, TRUNK), *task_rules("heads", "heads", tasks)]
    for stage in STAGES:
        found += task_rules(f"attention_{stage}", f"attentions.{stage - 1}.0", tasks)
    found += [(rf"refine_{stage}\.0\.", f"refines.{stage - 1}.0.") for stage in STAGES[:-1]]
    return found
