"""Cross-stitch networks of MTL-PyTorch: a dilated ResNet with a DeepLab head for each task.

Source: tensor names and shapes of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtl_methods.published.description import Published, our_task, published_task
from mtl_methods.published.mtl_pytorch import length_of, tasks_in
from mtl_methods.published.renaming import Rules
from mtl_methods.published.trunks import trunk_of, trunk_rules

FORMAT = "mtl_pytorch"
STAGES = (1, 2, 3, 4)


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a state dict with units of weights between tasks."""
    return any(name.startswith("cross_stitch.") for name in state)


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
    """
    tasks = tasks_in(state, r"heads\.([^.]+)\.4\.(?:weight|bias)")
    channels = {our_task(task): length_of(state, f"heads.{task}.4.bias") for task in tasks}
    backbone = trunk_of(state, f"backbone.{tasks[0]}.")
    return Published("cross_stitch", backbone, channels, {"where": "encoder", "head": "deeplab"})


def rules(description: Published) -> Rules:
    """Renaming rules of a described network."""
    found: list[tuple[str, str]] = []
    for task in description.channels:
        ours, theirs = f"stitched.networks.{task}", published_task(task)
        found += trunk_rules(description.backbone, f"backbone.{theirs}.", f"{ours}.backbone.")
        found += [(rf"heads\.{theirs}\.", f"{ours}.head.")]
        for stage in STAGES:
            unit, row = rf"cross_stitch\.layer{stage}\.cross_stitch_unit\.{theirs}", f"stitched.units.{stage - 1}.0"
            found += [
                (rf"{unit}\.{published_task(source)}\.param", f"{row}.{task}.{source}")
                for source in description.channels
            ]
    return found
