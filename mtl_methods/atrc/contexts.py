"""The context blocks of ATRC, from a source task to a target task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtl_methods._shared.dynamic_layers import DynamicConv2d
from mtl_methods.atrc.attention import (
    WINDOW,
    class_contexts,
    global_attention,
    label_attention,
    local_attention,
    over_pixels,
)
from mtl_methods.atrc.genotypes import GLOBAL, LOCAL, S_LABEL, T_LABEL


class ConvBN(nn.Module):
    """Convolution without bias and batch normalisation, padded so that the size is kept.

    In eval mode the two are one convolution.

    Args:
        channels: channels of the incoming map.
        out_channels: channels of the outgoing map.
        kernel_size: odd width of the kernel.
        affine: True if the normalisation has a learned scale and shift.
    """

    def __init__(self, channels: int, out_channels: int, kernel_size: int, affine: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, affine=affine)
        self.convolve = DynamicConv2d()

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, out_channels, H, W)."""
        if self.training:
            normalised: Tensor = self.bn(self.conv(maps))
            return normalised
        convolved: Tensor = self.convolve(maps, *self.folded())
        return convolved

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the one convolution of eval mode.

        Raises:
            ValueError: if the normalisation has no running statistics.
        """
        mean, variance = self.bn.running_mean, self.bn.running_var
        if mean is None or variance is None:
            raise ValueError("a batch normalisation without running statistics cannot be run in eval mode")
        scale = (variance + self.bn.eps).rsqrt()
        if self.bn.affine:
            scale = scale * self.bn.weight
        shift = -mean * scale
        return self.conv.weight * scale.view(-1, 1, 1, 1), shift + self.bn.bias if self.bn.affine else shift


def side_by_side(layers: Sequence[ConvBN], maps: Tensor) -> list[Tensor]:
    """Outputs of several layers on one map, each with a ReLU; computed by one wide convolution, which is faster."""
    widths, convolve = [layer.conv.out_channels for layer in layers], layers[0].convolve
    if layers[0].training:
        parts = convolve(maps, torch.cat([layer.conv.weight for layer in layers])).split(widths, dim=1)
        packed = [part.contiguous(memory_format=torch.channels_last) for part in parts]
        return [layer.bn(part).relu_() for layer, part in zip(layers, packed, strict=True)]
    weights, biases = zip(*(layer.folded() for layer in layers), strict=True)
    activated = convolve(maps, torch.cat(weights), torch.cat(biases)).relu_()
    return [part.contiguous(memory_format=torch.channels_last) for part in activated.split(widths, dim=1)]


class Projection(nn.Module):
    """Two 1x1 ConvBN, a ReLU between them; for queries and keys.

    Args:
        channels: channels of the incoming map.
        width: channels of the outgoing map.
        positive: softplus at the end in place of ReLU, so that no value is zero.
    """

    def __init__(self, channels: int, width: int, positive: bool) -> None:
        super().__init__()
        self.first = ConvBN(channels, width, kernel_size=1)
        self.second = ConvBN(width, width, kernel_size=1)
        self.positive = positive

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, width, H, W), not negative."""
        projected = self.second(self.first(maps).relu_())
        return F.softplus(projected) if self.positive else projected.relu_()


class ContextBlock(nn.Module):
    """Queries from the target; keys and values from the source, or from its class contexts.

    Args:
        channels: channels of the task features.
        width: channels of queries, keys, values.
        context: "global", "local", "t_label" or "s_label".
        affine: True if the normalisation of the values has a learned scale and shift; False in the search, so that the
            outputs of the candidates are comparable.
    """

    def __init__(self, channels: int, width: int, context: str, affine: bool = True) -> None:
        super().__init__()
        self.context = context
        self.query = Projection(channels, width, positive=context == GLOBAL)
        self.key = Projection(channels, width, positive=context == GLOBAL)
        self.value = ConvBN(channels, width, kernel_size=1, affine=affine)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, target: Tensor, source: Tensor) -> Tensor:
        """Context for each pixel of the target.

        Args:
            target: (B, channels, H, W).
            source: (B, channels, H, W), for a label context the class contexts (B, channels, K, 1).

        Returns:
            (B, width, H, W).
        """
        queries, keys, values = self.query(target), self.key(source), self.value(source).relu_()
        if self.context == GLOBAL:
            return global_attention(queries, keys, values)
        if self.context == LOCAL:
            attended: Tensor = local_attention(queries, keys, values, WINDOW)
            return attended
        return label_attention(queries, keys, values)


def blocks_of(contexts: nn.ModuleDict, *names: str) -> nn.ModuleDict:
    """The modules in `contexts[first name][second name]...`, by name."""
    for name in names:
        contexts = cast(nn.ModuleDict, contexts[name])
    return contexts


class Sources:
    """Inputs of the context blocks in a forward pass: task features, and their means over the classes of label maps.

    Args:
        features: (B, C, H, W) by task.
        logits: (B, K, H, W) of the auxiliary heads by task, for the tasks whose label map is needed.
        share: True to gather the contexts of a label map and a source once for all blocks that read them.
    """

    def __init__(self, features: Mapping[str, Tensor], logits: Mapping[str, Tensor], share: bool) -> None:
        self.features = features
        self.where = {task: over_pixels(maps) for task, maps in logits.items()}
        self.share = share
        self.gathered: dict[tuple[str, str], Tensor] = {}

    def of(self, target: str, source: str, context: str) -> Tensor:
        """Input of a block: the class contexts for a label context, else the features of the source."""
        if context not in (T_LABEL, S_LABEL):
            return self.features[source]
        labels = target if context == T_LABEL else source
        if self.share and (labels, source) in self.gathered:
            return self.gathered[labels, source]
        contexts = class_contexts(self.where[labels], self.features[source])
        self.gathered[labels, source] = contexts
        return contexts


class Distillation(nn.Module):
    """The contexts of one target task, added to its features.

    Args:
        channels: channels of the task features.
        contexts: channels of all contexts together; 0 if the task has no source.
        dropout: probability with which a whole channel of the result is dropped.
    """

    def __init__(self, channels: int, contexts: int, dropout: float) -> None:
        super().__init__()
        self.project = ConvBN(contexts, channels, kernel_size=1) if contexts else None
        if self.project is not None:
            # The contexts are zero at first, so that training starts from the task's own features.
            nn.init.zeros_(self.project.bn.weight)
        self.fuse = ConvBN(2 * channels if contexts else channels, channels, kernel_size=1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, features: Tensor, contexts: Sequence[Tensor]) -> Tensor:
        """(B, channels, H, W) and maps of that size -> (B, channels, H, W)."""
        parts = [features]
        if self.project is not None:
            parts.append(self.project(torch.cat(list(contexts), dim=1)))
        refined: Tensor = self.dropout(self.fuse(torch.cat(parts, dim=1) if len(parts) > 1 else features).relu_())
        return refined
