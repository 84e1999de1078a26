"""MTI-Net of MTL-PyTorch: HRNet, and any main tasks among any auxiliary tasks.

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
TRUNK = "backbone."
SCALES = range(4)
COARSE_SCALES = SCALES[1:]


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a state dict with predictions at scales and feature propagation between them."""
    return all(any(name.startswith(f"{part}.") for name in state) for part in ("scale_0", "fpm_scale_1"))


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
    """
    tasks = tasks_in(state, r"scale_0\.decoders\.([^.]+)\.(?:weight|bias)")
    channels = {our_task(task): length_of(state, f"scale_0.decoders.{task}.bias") for task in tasks}
    return Published("mti_net", hrnet_of(state, TRUNK), channels, final_tasks(state, channels))


def rules(description: Published) -> Rules:
    """Renaming rules of a described network."""
    tasks = list(description.channels)
    finals = description.options.get("final_tasks", tasks)
    found = [*hrnet_rules(TRUNK), *task_rules("heads", "heads", finals, inner=("last_layer.", ""))]
    for scale in SCALES:
        found += task_rules(f"scale_{scale}.refinement", f"predictors.{scale}.refinement", tasks)
        found += task_rules(f"scale_{scale}.decoders", f"predictors.{scale}.logits", tasks)
        found += distillation_rules(f"distillation_scale_{scale}", f"distillation.{scale}", finals, tasks)
    for scale in COARSE_SCALES:
        theirs, ours = f"fpm_scale_{scale}", f"propagation.{scale - 1}"
        found += [(rf"{theirs}\.non_linear\.", f"{ours}.mask.")]
        found += [(rf"{theirs}\.dimensionality_reduction\.", f"{ours}.shared.")]
        found += task_rules(f"{theirs}.se", f"{ours}.excitation", tasks, inner=("squeeze.", "weights."))
    return found
