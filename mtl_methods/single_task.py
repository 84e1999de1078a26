"""Single task: one complete network per task, the reference of the multi-task gain.

Source: the "STL" baseline of Bruggemann et al., "Exploring Relational Context for Multi-Task Dense Prediction", ICCV
2021, https://arxiv.org/abs/2104.13874.
Differs from the paper: all networks are trained in one run. They share only the samples and the schedule, so for an
optimizer that treats each tensor separately this equals one run per task. Backbones other than HRNet have a light
decoder, see `decoders.make_decoder`.
Consulted: https://github.com/brdav/atrc, commit 76d8055, for widths and initialisation; for the other two heads the
counts, tensor names and outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac;
nothing copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.networks import OneTaskNetwork, predict_each


@METHODS.register("single_task", title="Single task", paper="https://arxiv.org/abs/2104.13874", year=2021)
class SingleTask(Method):
    """Separate networks. Regularizers read the map of each head, marked with its task.

    | variant | row or file | parameters: published, here |
    | --- | --- | --- |
    | head="fcn" | ATRC harness: "STL" of the NYU-v2 tables on HRNet-W18-small-v2 | 16.09 M, 16,097,716 (4 tasks) |
    | head="hrnet" | MTL-PyTorch on the same backbone, semseg alone | 3,945,270, 3,945,270 |
    | head="deeplab" | MTL-PyTorch on resnet50_dilated, semseg alone | 39,643,752, 39,643,752 |

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        head: "fcn", "hrnet" or "deeplab", see `heads.make_head`; a DeepLab head reads the encoder's last map.
    """

    def __init__(self, tasks: TaskSet, backbone: str, head: str = "fcn") -> None:
        super().__init__(tasks, backbone)
        networks = {name: OneTaskNetwork(task, backbone, head) for name, task in tasks.items()}
        self.feature_specs = tuple(network.feature_spec for network in networks.values())
        self.networks = nn.ModuleDict(networks)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict each task with its own network."""
        networks = cast(Mapping[str, OneTaskNetwork], self.networks)
        features = self.share(*(network.features(images) for network in networks.values()))
        return MultiTaskOutput(predict_each(self.networks, features, images.shape[-2:]), features)
