"""PSD: small patterns of local similarity diffuse a task's features within the task and across tasks.

Source: Zhou et al., "Pattern-Structure Diffusion for Multi-Task Learning", CVPR 2020,
https://openaccess.thecvf.com/content_CVPR_2020/html/Zhou_Pattern-Structure_Diffusion_for_Multi-Task_Learning_CVPR_2020_paper.html.
No code is public: this is a re-implementation from the abstract and from a description of the method; small graphlets,
recursive diffusion within a task, and transfer between tasks at the same position by matching degree are the paper's.
Differs from the paper: every number (windows of 3x3, three recursions, cosine matching with a softmax over the tasks,
widths) and where the result is added are ours; any tasks and any backbone, through `decoders.make_decoder`.
Consulted: a written description of the paper; no code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import ConvBNReLU, FCNHead, task_heads, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.convolutions import use_fast_convolutions
from mtl_methods._shared.choices import choose
from mtl_methods._shared.decoders import make_decoder
from mtl_methods._shared.residual_blocks import bottleneck
from mtl_methods._shared.windows import window_inside, window_products, window_sum

PAPER = (
    "https://openaccess.thecvf.com/content_CVPR_2020/html/"
    "Zhou_Pattern-Structure_Diffusion_for_Multi-Task_Learning_CVPR_2020_paper.html"
)


@METHODS.register("psd", title="PSD (re-impl.)", paper=PAPER, year=2020)
class PSD(Method):
    """The encoder and the decoder are shared, the rest is per task. The decoder's map goes to the regularizer.

    | face | row or file | parameters for four tasks: published, here |
    | --- | --- | --- |
    | where="trunk" | the paper's network, on any backbone | not published, 4,430,493 |
    | where="heads" | "PSD" of the NYU-v2 tables on HRNet-W18-small-v2 (inferred) | 4.71 M, 4,714,404 |

    where="trunk": two residual blocks per task, diffusion, and a head on the features before and after it.
    where="heads": diffusion of the hidden features of the heads of hard sharing, as a residual that starts at zero.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        where: "trunk" or "heads".
        width: channels of a task's features with where="trunk", a multiple of 4; half as many for its patterns.
        radius: a pattern (graphlet) is a window of 2 * radius + 1 pixels.
        recursions: applications of a task's own patterns; they reach radius * recursions pixels far.

    Raises:
        ValueError: for another face.
    """

    def __init__(
        self,
        tasks: TaskSet,
        backbone: str,
        where: str = "trunk",
        width: int = 128,
        radius: int = 1,
        recursions: int = 3,
    ) -> None:
        super().__init__(tasks, backbone)
        self.backbone = make_backbone(backbone)
        self.decoder, spec = make_decoder(self.backbone)
        self.face = choose("where", where, FACES)(tasks, spec.channels, width, (radius, recursions))
        self.feature_specs = (spec,)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task."""
        features = self.decoder(self.backbone(images))
        size = images.shape[-2:]
        predictions = {name: upsample_to(logits, size) for name, logits in self.face(features).items()}
        return MultiTaskOutput(predictions, features=(features,))


Reach = tuple[int, int]
"""Radius and recursions, see `PSD`."""


class TrunkFace(nn.Module):
    """Task decoders, diffusion of their features, and heads.

    Args:
        tasks: the tasks, in order.
        channels: channels of the shared map.
        width: channels of a task's features.
        reach: see `Reach`.
    """

    def __init__(self, tasks: TaskSet, channels: int, width: int, reach: Reach) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                name: nn.Sequential(bottleneck(channels, width, project=True), bottleneck(width, width, project=False))
                for name in tasks
            }
        )
        self.patterns = nn.ModuleDict({name: Patterns(width, width // 2, reach[0]) for name in tasks})
        self.recursions = reach[1]
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(ConvBNReLU(3 * width, width, kernel_size=1), nn.Conv2d(width, task.channels, 1))
                for name, task in tasks.items()
            }
        )
        use_fast_convolutions(self)

    def forward(self, shared: Tensor) -> dict[str, Tensor]:
        """Shared map (B, C, h, w) -> predictions at its size."""
        features = {name: branch(shared) for name, branch in self.branches.items()}
        graphlets = torch.stack([self.patterns[name](maps) for name, maps in features.items()])
        within, across = diffuse(torch.stack(list(features.values())), graphlets, self.recursions)
        return {
            name: self.heads[name](torch.cat([maps, within[position], across[position]], dim=1))
            for position, (name, maps) in enumerate(features.items())
        }


class HeadsFace(nn.Module):
    """Diffusion of the hidden features of the heads; at initialisation it is hard sharing.

    Args:
        tasks: the tasks, in order.
        channels: channels of the shared map.
        width: not used; the features are as wide as the heads.
        reach: see `Reach`.
    """

    def __init__(self, tasks: TaskSet, channels: int, width: int, reach: Reach) -> None:
        super().__init__()
        self.heads = task_heads(channels, tasks)
        width = cast(FCNHead, next(iter(self.heads.values()))).logits.in_channels
        self.patterns = nn.ModuleDict({name: Patterns(width, width // 2, reach[0]) for name in tasks})
        self.values = nn.ModuleDict({name: projection(width, width) for name in tasks})
        self.recursions = reach[1]
        self.residuals = nn.ModuleDict({name: zero_residual(width) for name in tasks})
        use_fast_convolutions(self.patterns)
        use_fast_convolutions(self.values)

    def forward(self, shared: Tensor) -> dict[str, Tensor]:
        """Shared map (B, C, h, w) -> predictions at its size."""
        heads = cast(Mapping[str, FCNHead], self.heads)
        features = {name: head.features(shared) for name, head in heads.items()}
        graphlets = torch.stack([self.patterns[name](maps) for name, maps in features.items()])
        values = torch.stack([self.values[name](maps) for name, maps in features.items()])
        diffused = torch.add(*diffuse(values, graphlets, self.recursions))
        return {
            name: heads[name].logits(maps + self.residuals[name](diffused[position]))
            for position, (name, maps) in enumerate(features.items())
        }


FACES: dict[str, Callable[[TaskSet, int, int, Reach], nn.Module]] = {"trunk": TrunkFace, "heads": HeadsFace}
"""(tasks, channels of the shared map, width, reach) -> face, see `PSD`."""


def projection(channels: int, width: int) -> nn.Sequential:
    """1x1 convolution and BN."""
    return nn.Sequential(nn.Conv2d(channels, width, kernel_size=1, bias=False), nn.BatchNorm2d(width))


def zero_residual(width: int) -> nn.Sequential:
    """3x3 convolution and BN whose scale starts at zero."""
    layers = nn.Sequential(nn.Conv2d(width, width, kernel_size=3, padding=1, bias=False), nn.BatchNorm2d(width))
    nn.init.zeros_(cast(nn.BatchNorm2d, layers[1]).weight)
    return layers


class Patterns(nn.Module):
    """The graphlet of each position: how similar the positions of its window are to it, as weights that sum to one.

    Args:
        channels: channels of the features.
        width: channels that are compared.
        radius: see `PSD`.
    """

    def __init__(self, channels: int, width: int, radius: int) -> None:
        super().__init__()
        self.query, self.key = projection(channels, width), projection(channels, width)
        self.scale, self.radius = 1 / math.sqrt(width), radius

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, (2 * radius + 1)**2, h, w); places beyond the border have weight zero."""
        products = window_products(self.query(maps) * self.scale, self.key(maps), self.radius)
        inside = window_inside((maps.shape[2], maps.shape[3]), self.radius, maps.device)
        return products.masked_fill(~inside, -math.inf).softmax(dim=1)


def diffuse(values: Tensor, graphlets: Tensor, recursions: int) -> tuple[Tensor, Tensor]:
    """Diffusion within each task, and from its result by the patterns of the tasks that match.

    Args:
        values: (T, B, C, h, w).
        graphlets: (T, B, K, h, w).
        recursions: applications of a task's own graphlets.

    Returns:
        features within and across tasks, both (T, B, C, h, w).
    """
    own, within = graphlets.flatten(0, 1), values.flatten(0, 1)
    for _ in range(recursions):
        within = window_sum(own, within)
    across = window_sum(matched(graphlets).flatten(0, 1), within)
    return within.view_as(values), across.view_as(values)


def matched(graphlets: Tensor) -> Tensor:
    """Graphlets of each task, mixed with those of all tasks at the same position by how well they match.

    The matching degree of two graphlets is their cosine; a softmax over the tasks makes weights of it.

    Args:
        graphlets: (T, B, K, h, w), the sum over K is one.

    Returns:
        the same shape; the sum over K is one again.
    """
    directions = F.normalize(graphlets, dim=2)
    weights = torch.einsum("tbkhw,sbkhw->tsbhw", directions, directions).softmax(dim=1)
    return torch.einsum("tsbhw,sbkhw->tbkhw", weights, graphlets)
