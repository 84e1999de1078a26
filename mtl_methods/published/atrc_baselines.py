"""Single-task and multi-task baselines of the ATRC repository: HRNet with a small convolutional head per task.

Source: tensor names and shapes of https://github.com/brdav/atrc, commit 76d8055; nothing copied.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtl_methods.published.atrc import CENTROIDS, LOSS_WEIGHTS
from mtl_methods.published.description import Published, our_task, published_task
from mtl_methods.published.mtl_pytorch import length_of, tasks_in
from mtl_methods.published.renaming import Rules
from mtl_methods.published.trunks import trunk_of, trunk_rules

FORMAT = "atrc"
TRUNK = "backbone."
LOGITS = "head.final_logits"


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a state dict with last layers, and no module of contexts before them."""
    parts = {name.split(".")[1] for name in state if name.startswith("head.")}
    return "final_logits" in parts and "atrc_module" not in parts


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict; with one task it is a single-task network.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
    """
    tasks = tasks_in(state, r"head\.final_logits\.([^.]+)\.bias")
    channels = {our_task(task): length_of(state, f"{LOGITS}.{task}.bias") for task in tasks}
    method = "single_task" if len(tasks) == 1 else "hard_sharing"
    return Published(method, trunk_of(state, TRUNK), channels, {"head": "fcn"})


def prepared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict without the buffers of losses that a checkpoint of the training module has."""
    return {name: kept for name, kept in state.items() if name != CENTROIDS and not LOSS_WEIGHTS.fullmatch(name)}


def rules(description: Published) -> Rules:
    """Renaming rules of a described network."""
    single = description.method == "single_task"
    found: list[tuple[str, str]] = []
    for task in description.channels:
        head, theirs = f"networks.{task}.head" if single else f"heads.{task}", published_task(task)
        found += [
            (rf"head\.final_logits\.{theirs}\.", f"{head}.logits."),
            (rf"head\.bottleneck\.{theirs}\.conv\.", f"{head}.features.0."),
            (rf"head\.bottleneck\.{theirs}\.bn\.", f"{head}.features.1."),
        ]
    (first, *_) = description.channels
    ours = f"networks.{first}.backbone." if single else "backbone."
    return [*trunk_rules(description.backbone, TRUNK, ours), *found]
