"""PAD-Net of MTL-PyTorch: HRNet, `HighResolutionFuse`, and any main tasks among any auxiliary tasks.

Source: tensor names and shapes of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtl_methods.published.description import Published, our_task
from mtl_methods.published.mtl_pytorch import (
    distillation_rules,
    final_tasks,
    hrnet_of,
    hrnet_rules,
    length_of,
    task_rules,
    tasks_in,
)
from mtl_methods.published.renaming import Rules

FORMAT = "mtl_pytorch"
INITIAL = "initial_task_prediction_heads"
DISTILLATION = "multi_modal_distillation"
TRUNK = "backbone.0."


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a state dict with initial predictions and one distillation."""
    return all(any(name.startswith(f"{part}.") for name in state) for part in (INITIAL, DISTILLATION))


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
    """
    tasks = tasks_in(state, rf"{INITIAL}\.conv_out\.([^.]+)\.(?:weight|bias)")
    channels = {our_task(task): length_of(state, f"{INITIAL}.conv_out.{task}.bias") for task in tasks}
    width = length_of(state, f"{INITIAL}.layers.{tasks[0]}.1.bn3.weight")
    return Published("pad_net", hrnet_of(state, TRUNK), channels, {"width": width} | final_tasks(state, channels))


def rules(description: Published) -> Rules:
    """Renaming rules of a described network."""
    tasks = list(description.channels)
    finals = description.options.get("final_tasks", tasks)
    return [
        *hrnet_rules(TRUNK),
        (r"backbone\.1\.last_layer\.", "fuse."),
        *task_rules(f"{INITIAL}.layers", "branches", tasks),
        *task_rules(f"{INITIAL}.conv_out", "initial", tasks),
        *distillation_rules(DISTILLATION, "distillation", finals, tasks),
        *task_rules("heads", "heads", finals),
    ]
