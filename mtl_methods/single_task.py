"""Single task: one complete network per task, the reference of the multi-task gain.

Source: the "STL" baseline of Bruggemann et al., "Exploring Relational Context for Multi-Task Dense Prediction", ICCV
2021, https://arxiv.org/abs/2104.13874.
Differs from the paper: the networks are trained side by side in one run; they share nothing but the samples and the
schedule, so for an optimiser that treats each tensor by itself this is the same as one run per task. Backbones other
than HRNet have a light decoder, see `decoders.make_decoder`.
Consulted: https://github.com/brdav/atrc, commit 76d8055, for widths and initialisation; nothing copied.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import FCNHead, head_width, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import Task, TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.decoders import make_decoder


@METHODS.register("single_task", title="Single task", paper="https://arxiv.org/abs/2104.13874", year=2021)
class SingleTask(Method):
    """Nothing is shared. The decoder's map of each network goes to the regularizer, marked with its task.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
    """

    def __init__(self, tasks: TaskSet, backbone: str) -> None:
        super().__init__(tasks, backbone)
        networks = {name: OneTaskNetwork(task, backbone) for name, task in tasks.items()}
        self.feature_specs = tuple(network.feature_spec for network in networks.values())
        self.networks = nn.ModuleDict(networks)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict each task with its own network."""
        outputs = {name: network(images) for name, network in self.networks.items()}
        predictions = {name: prediction for name, (prediction, _) in outputs.items()}
        return MultiTaskOutput(predictions, features=tuple(features for _, features in outputs.values()))


class OneTaskNetwork(nn.Module):
    """Backbone, decoder and head of one task.

    Args:
        task: the task to predict.
        backbone: name known to `make_backbone`.
    """

    def __init__(self, task: Task, backbone: str) -> None:
        super().__init__()
        self.backbone = make_backbone(backbone)
        self.decoder, spec = make_decoder(self.backbone)
        self.head = FCNHead(spec.channels, head_width(spec.channels), task.channels)
        self.feature_spec = replace(spec, task=task.name)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) -> prediction (B, C, H, W), features (B, C', h, w)."""
        features = self.decoder(self.backbone(images))
        return upsample_to(self.head(features), images.shape[-2:]), features
