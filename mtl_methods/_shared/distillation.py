"""Multi-modal distillation: gated messages between the features of the tasks.

Source: Xu et al., "PAD-Net: Multi-Tasks Guided Prediction-and-Distillation Network for Simultaneous Depth Estimation
and Scene Parsing", CVPR 2018, https://arxiv.org/abs/1805.04409, module C.
Differs from the paper: the gate can be computed from the source or the target of a message, see `DISTILLATIONS`.
Consulted: counts, tensor names and outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit
ed3d9ac, CC BY-NC 4.0; nothing copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_methods._shared.choices import choose

WIDE = 64
"""Number of channels from which on each convolution runs by itself; narrower convolutions of the same map run as one.

As one they take a third less time with 18 channels, a tenth less with 36 (4 maps of 48x64, training step on one
processor core). With 256 channels, concatenating the kernels costs more than it saves.
"""


class SourceGatedDistillation(nn.Module):
    """F_t + sum over the other tasks s of sigmoid(gate_ts(F_s)) * message_ts(F_s), as in the public code.

    Each ordered pair of tasks has two 3x3 convolutions without bias, `gates` and `messages` by target and source.

    Args:
        targets: tasks whose features are refined; each is one of the sources.
        sources: tasks that have features.
        channels: channels of the features of a task.
    """

    def __init__(self, targets: Sequence[str], sources: Sequence[str], channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.gates = _pairs(targets, sources, channels)
        self.messages = _pairs(targets, sources, channels)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features (B, C, h, w) of the sources -> refined features of the targets, the same shape."""
        send = self._send_each if self.channels >= WIDE else self._send_together
        refined = {target: features[target] for target in self.messages}
        for source, maps in features.items():
            readers = [target for target in refined if target != source]
            if readers:
                send(source, maps, readers, refined)
        return refined

    def _send_each(self, source: str, maps: Tensor, readers: Sequence[str], refined: dict[str, Tensor]) -> None:
        """Add the messages of one source, pair by pair."""
        for target in readers:
            gate = _of_pair(self.gates, target, source)(maps).sigmoid_()
            refined[target] = torch.addcmul(refined[target], gate, _of_pair(self.messages, target, source)(maps))

    def _send_together(self, source: str, maps: Tensor, readers: Sequence[str], refined: dict[str, Tensor]) -> None:
        """Add the messages of one source, all convolutions of its map as one."""
        kernels = [_of_pair(part, target, source).weight for part in (self.messages, self.gates) for target in readers]
        passed = F.glu(F.conv2d(maps, torch.cat(kernels), padding=1), dim=1)
        for target, message in zip(readers, passed.split(self.channels, dim=1), strict=True):
            refined[target] = refined[target] + message


class TargetGatedDistillation(nn.Module):
    """F_t + sigmoid(gate_t(F_t)) * sum over the other tasks s of message_ts(F_s), as in the paper.

    A target has one gate, a 1x1 convolution, and for each source one 3x3 message, all without bias. One convolution of
    the concatenated sources computes the sum. The kernel size of the gate is inferred from the parameter count of
    PAD-Net in the tables on HRNet-18.

    Args:
        targets: tasks whose features are refined; each is one of the sources.
        sources: tasks that have features.
        channels: channels of the features of a task.
    """

    def __init__(self, targets: Sequence[str], sources: Sequence[str], channels: int) -> None:
        super().__init__()
        self.messages = _pairs(targets, sources, channels)
        self.gates = nn.ModuleDict(
            {target: nn.Conv2d(channels, channels, kernel_size=1, bias=False) for target in targets if len(sources) > 1}
        )

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features (B, C, h, w) of the sources -> refined features of the targets, the same shape."""
        refined = {target: features[target] for target in self.messages}
        for target, gate in self.gates.items():
            others = [source for source in features if source != target]
            kernels = [_of_pair(self.messages, target, source).weight for source in others]
            message = F.conv2d(torch.cat([features[source] for source in others], 1), torch.cat(kernels, 1), padding=1)
            refined[target] = features[target] + gate(features[target]).sigmoid() * message
        return refined


DISTILLATIONS: dict[str, Callable[[Sequence[str], Sequence[str], int], nn.Module]] = {
    "source": SourceGatedDistillation,
    "target": TargetGatedDistillation,
}
"""(targets, sources, channels) -> distillation, by the task that the gate is computed from."""


def make_distillation(gate: str, targets: Sequence[str], sources: Sequence[str], channels: int) -> nn.Module:
    """A distillation whose gates are computed from the "source" or the "target" of a message.

    Raises:
        ValueError: for another gate.
    """
    return choose("gate", gate, DISTILLATIONS)(targets, sources, channels)


def _pairs(targets: Sequence[str], sources: Sequence[str], channels: int) -> nn.ModuleDict:
    """A 3x3 convolution without bias for each target and each other source."""
    return nn.ModuleDict(
        {
            target: nn.ModuleDict(
                {
                    source: nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False)
                    for source in sources
                    if source != target
                }
            )
            for target in targets
        }
    )


def _of_pair(pairs: nn.ModuleDict, target: str, source: str) -> nn.Conv2d:
    return cast(nn.Conv2d, cast(nn.ModuleDict, pairs[target])[source])
