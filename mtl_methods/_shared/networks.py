"""A complete network of one task: backbone, decoder, head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

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

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) -> prediction (B, C, H, W), features (B, C', h, w)."""
        return self._decode(self.backbone(images), images.shape[-2:])

    def from_states(self, states: Sequence[Tensor | list[Tensor]], size: Sequence[int]) -> tuple[Tensor, Tensor]:
        """As `forward`, from the states of the stages (see `Backbone`) of images of `size` = (H, W)."""
        return self._decode(self.backbone.pyramid(states, size), size)

    def _decode(self, maps: Sequence[Tensor], size: Sequence[int]) -> tuple[Tensor, Tensor]:
        features: Tensor = self.decoder(maps)
        return upsample_to(self.head(features), size), features
