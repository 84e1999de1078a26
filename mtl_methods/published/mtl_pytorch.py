"""Common parts of the networks of MTL-PyTorch: tasks and the HRNet trunk.

Source: tensor names and shapes of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from mtl_methods.published.description import our_task, published_task
from mtl_methods.published.renaming import ImportRefusedError, Rules

HRNETS = {18: "hrnet_w18_small_v2", 48: "hrnet_w48"}
"""Registered HRNets by the channels of their finest branch."""


def tasks_in(state: Mapping[str, Tensor], pattern: str) -> list[str]:
    """Published names of tasks, in the order of the file.

    Args:
        state: the published state dict.
        pattern: regular expression of a tensor's whole name, the task in its first group.

    Raises:
        ImportRefusedError: if no name matches.
    """
    matches = (re.fullmatch(pattern, name) for name in state)
    tasks = list(dict.fromkeys(match.group(1) for match in matches if match))
    if not tasks:
        raise ImportRefusedError(f"no tensor has a name like {pattern!r}, so there is no task")
    return tasks


def final_tasks(state: Mapping[str, Tensor], tasks: Iterable[str]) -> dict[str, list[str]]:
    """The option `final_tasks` of a file whose heads predict some tasks only; empty if they predict all.

    Args:
        state: the published state dict.
        tasks: our names of the tasks that have an initial prediction.

    Raises:
        ImportRefusedError: if a head predicts another task.
    """
    known, heads = list(tasks), [our_task(task) for task in tasks_in(state, r"heads\.([^.]+)\..+")]
    for task in heads:
        if task not in known:
            name = next(name for name in state if name.startswith(f"heads.{published_task(task)}."))
            raise ImportRefusedError(f"tensor {name!r} is of a task without an initial prediction")
    return {} if set(heads) == set(known) else {"final_tasks": heads}


def length_of(state: Mapping[str, Tensor], name: str) -> int:
    """Length of a vector, such as a bias or the scale of a batch normalisation.

    Raises:
        ImportRefusedError: if the tensor is missing or is not a vector.
    """
    if name not in state:
        raise ImportRefusedError(f"tensor {name!r} is missing; the network cannot be described without it")
    if state[name].ndim != 1:
        raise ImportRefusedError(f"tensor {name!r} has shape {tuple(state[name].shape)}, expected a vector")
    return len(state[name])


def hrnet_of(state: Mapping[str, Tensor], prefix: str) -> str:
    """Registered name of the HRNet that is the trunk of a file.

    Args:
        state: the published state dict.
        prefix: beginning of the names of the trunk, "backbone.".

    Raises:
        ImportRefusedError: if no registered HRNet has its width.
    """
    name = f"{prefix}stage4.0.branches.0.0.bn1.weight"
    width = length_of(state, name)
    if width not in HRNETS:
        known = " and ".join(map(str, HRNETS))
        raise ImportRefusedError(f"tensor {name!r} is of an HRNet of width {width}; known are widths {known}")
    return HRNETS[width]


def hrnet_rules(prefix: str) -> Rules:
    """Rules of the trunk of an HRNet, below `prefix`."""
    start = re.escape(prefix)
    stem = [(rf"{start}{layer}\.", f"backbone.stem.{place}.") for layer, place in STEM.items()]
    return [
        *stem,
        (rf"{start}layer1\.", "backbone.stages.0.blocks."),
        *((rf"{start}transition{stage}\.", f"backbone.stages.{stage}.transition.") for stage in (1, 2, 3)),
        *((rf"{start}stage{stage + 1}\.", f"backbone.stages.{stage}.exchanges.") for stage in (1, 2, 3)),
    ]


STEM = {"conv1": 0, "bn1": 1, "conv2": 3, "bn2": 4}


def distillation_rules(prefix: str, ours: str, targets: Iterable[str], sources: Iterable[str]) -> Rules:
    """Rules of a multi-modal distillation.

    Args:
        prefix: name of the module in the file.
        ours: name of the module in our method.
        targets: our names of the tasks whose features are refined.
        sources: our names of the tasks whose features are read.
    """
    rules = []
    for target, source in ((target, source) for target in targets for source in sources if target != source):
        pair = re.escape(f"{prefix}.self_attention.{published_task(target)}.{published_task(source)}.")
        rules.append((rf"{pair}attention\.0\.", f"{ours}.gates.{target}.{source}."))
        rules.append((rf"{pair}conv\.", f"{ours}.messages.{target}.{source}."))
    return rules


def task_rules(prefix: str, ours: str, tasks: Iterable[str], inner: tuple[str, str] = ("", "")) -> Rules:
    """Rules of modules that exist once per task.

    Args:
        prefix: part of the name before the task, in the file.
        ours: part of the name before the task, in our method.
        tasks: our names of the tasks.
        inner: parts of the name after the task, in the file and in our method, each with a dot at its end.
    """
    theirs, mine = inner
    return [(re.escape(f"{prefix}.{published_task(task)}.{theirs}"), f"{ours}.{task}.{mine}") for task in tasks]
