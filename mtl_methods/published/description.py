"""What a published state dict turns out to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Published:
    """The network that a published state dict belongs to, in the terms of this suite.

    Args:
        method: registered name of the method.
        backbone: registered name of the backbone, without weights.
        channels: by task in the order of the file, under our task names: channels of its prediction.
        options: constructor arguments of the method.
    """

    method: str
    backbone: str
    channels: Mapping[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)
