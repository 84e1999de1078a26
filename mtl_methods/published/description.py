"""Description of a published network, and the task names of public code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

OUR_TASKS = {"edge": "boundary", "sal": "saliency"}
"""Task names of public code that differ from ours, and our names."""

PUBLISHED_TASKS = {ours: theirs for theirs, ours in OUR_TASKS.items()}


def our_task(name: str) -> str:
    """Our name of a published task."""
    return OUR_TASKS.get(name, name)


def published_task(name: str) -> str:
    """The published name of one of our tasks."""
    return PUBLISHED_TASKS.get(name, name)


@dataclass(frozen=True)
class Published:
    """The network of a published state dict, in the terms of this suite.

    Args:
        method: registered name of the method.
        backbone: registered name of the backbone, without weights.
        channels: channels of the prediction of each task, by our task names in the order of the file.
        options: constructor arguments of the method.
    """

    method: str
    backbone: str
    channels: Mapping[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)
