"""A complete network of one task: backbone, decoder, head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from torch import Tensor, nn

from benchmark.heads import upsample_to
from benchmark.tasks import Task
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.decoders import make_head_input, suited_head
from mtl_methods._shared.heads import make_head


class OneTaskNetwork(nn.Module):
    """Backbone, decoder and head of one task.

    Args:
        task: the task to predict.
        backbone: name known to `make_backbone`.
        head: kind of head, see `heads.make_head`; None for `decoders.suited_head`.
    """

    def __init__(self, task: Task, backbone: str, head: str | None) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        kind = head or suited_head(self.backbone)
        self.decoder, spec = make_head_input(kind, self.backbone)
        self.head = make_head(kind, spec.channels, task.channels)
        self.feature_spec = replace(spec, task=task.name)

    def features(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) -> the map that the head reads, (B, C, h, w)."""
        features: Tensor = self.decoder(self.backbone(images))
        return features

    def features_of_states(self, states: Sequence[Tensor | list[Tensor]], size: Sequence[int]) -> Tensor:
        """As `features`, from the states of the stages (see `Backbone`) for images of `size` = (H, W)."""
        features: Tensor = self.decoder(self.backbone.pyramid(states, size))
        return features

    def predict(self, features: Tensor, size: Sequence[int]) -> Tensor:
        """Features (B, C, h, w) -> prediction (B, C_task, H, W) at `size` = (H, W)."""
        return upsample_to(self.head(features), size)


def predict_each(networks: nn.ModuleDict, features: Sequence[Tensor], size: Sequence[int]) -> dict[str, Tensor]:
    """Predictions at `size` = (H, W) of `OneTaskNetwork`s by task, each from its features."""
    of_tasks = cast(Mapping[str, OneTaskNetwork], networks)
    return {name: network.predict(maps, size) for (name, network), maps in zip(of_tasks.items(), features, strict=True)}
