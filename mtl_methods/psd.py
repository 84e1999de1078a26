"""PSD: small patterns of local similarity diffuse a task's features within the task and across tasks.

Source: Zhou et al., "Pattern-Structure Diffusion for Multi-Task Learning", CVPR 2020,
https://openaccess.thecvf.com/content_CVPR_2020/html/Zhou_Pattern-Structure_Diffusion_for_Multi-Task_Learning_CVPR_2020_paper.html.
No code is public; this is a re-implementation from the abstract and from a description. From the paper are
small graphlets, recursive diffusion within a task, and transfer between tasks at the same position by matching degree.
Differs from the paper: every number (windows of 3x3, three recursions, cosine matching with a softmax over the tasks,
widths) and the place where the result is added are ours. It takes any tasks and any backbone, through
`decoders.make_decoder`.
Consulted: a written description of the paper; no code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import ConvBNReLU, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.choices import choose
from mtl_methods._shared.decoders import make_decoder
from mtl_methods._shared.refined_heads import Logits, RefinedHeads, projection, residual_branches, zero_residual
from mtl_methods._shared.windows import window_inside, window_products, window_sum

PAPER = (
    "https://openaccess.thecvf.com/content_CVPR_2020/html/"
    "Zhou_Pattern-Structure_Diffusion_for_Multi-Task_Learning_CVPR_2020_paper.html"
)


@METHODS.register("psd", title="PSD (re-impl.)", paper=PAPER, year=2020)
class PSD(Method):
    """Shared encoder and decoder; all further layers are per task. Regularizers read the map of the decoder.

    | placement | row or file | parameters for four tasks: published, here |
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
        radius: a pattern (graphlet) is a square window, 2 * radius + 1 pixels wide.
        recursions: applications of a task's own patterns, which together reach radius * recursions pixels.

    Raises:
        ValueError: for another `where`, or with where="trunk" for a width that is not a multiple of 4.
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
        make_placement = choose("where", where, PLACEMENTS)
        self.placement = make_placement(tasks, spec.channels, width, radius, recursions)
        self.feature_specs = (spec,)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task."""
        (features,) = self.share(self.decoder(self.backbone(images)))
        size = images.shape[-2:]
        predictions = {name: upsample_to(logits, size) for name, logits in self.placement(features)[0].items()}
        return MultiTaskOutput(predictions, (features,))


class TrunkDiffusion(nn.Module):
    """Task decoders, diffusion of their features, and heads.

    Args:
        tasks: the tasks, in order.
        channels: channels of the shared map.
        width: channels of a task's features.
        radius, recursions: see `PSD`.
    """

    def __init__(self, tasks: TaskSet, channels: int, width: int, radius: int, recursions: int) -> None:
        super().__init__()
        self.branches = residual_branches(tasks, channels, width)
        self.patterns = nn.ModuleDict({name: Patterns(width, width // 2, radius) for name in tasks})
        self.recursions = recursions
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(ConvBNReLU(3 * width, width, kernel_size=1), nn.Conv2d(width, task.channels, 1))
                for name, task in tasks.items()
            }
        )

    def forward(self, shared: Tensor) -> Logits:
        """Shared map (B, C, h, w) -> final logits at its size, and no initial logits."""
        features = {name: branch(shared) for name, branch in self.branches.items()}
        graphlets = torch.stack([self.patterns[name](maps) for name, maps in features.items()])
        diffused = zip(*diffuse(torch.stack(list(features.values())), graphlets, self.recursions), strict=True)
        logits = {
            name: self.heads[name](torch.cat([maps, within, across], dim=1))
            for (name, maps), (within, across) in zip(features.items(), diffused, strict=True)
        }
        return logits, {}


class DiffusedResidual(nn.Module):
    """Residual of each task: its diffused features through a 3x3 convolution that starts at zero.

    Args:
        tasks: the tasks, in order.
        width: channels of a task's features.
        radius, recursions: see `PSD`.
    """

    def __init__(self, tasks: TaskSet, width: int, radius: int, recursions: int) -> None:
        super().__init__()
        self.patterns = nn.ModuleDict({name: Patterns(width, width // 2, radius) for name in tasks})
        self.values = nn.ModuleDict({name: projection(width, width) for name in tasks})
        self.recursions = recursions
        self.residuals = nn.ModuleDict({name: zero_residual(width, kernel_size=3) for name in tasks})

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features (B, C, h, w) by task, in order -> residuals of the same shape."""
        graphlets = torch.stack([self.patterns[name](maps) for name, maps in features.items()])
        values = torch.stack([self.values[name](maps) for name, maps in features.items()])
        diffused = torch.add(*diffuse(values, graphlets, self.recursions))
        return {name: self.residuals[name](maps) for name, maps in zip(features, diffused, strict=True)}


def heads_diffusion(tasks: TaskSet, channels: int, width: int, radius: int, recursions: int) -> nn.Module:
    """Diffusion of the hidden features of the heads, of their width; at initialisation it is hard sharing."""
    return RefinedHeads(tasks, channels, lambda hidden: DiffusedResidual(tasks, hidden, radius, recursions))


PLACEMENTS: dict[str, Callable[..., nn.Module]] = {"trunk": TrunkDiffusion, "heads": heads_diffusion}
"""(tasks, channels of the shared map, width, radius, recursions) -> network from the shared map on, by `where`."""


class Patterns(nn.Module):
    """Graphlet of each position: similarities of the position with its window, as weights that sum to one.

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
    """Diffusion within each task, then by a mixture of the patterns of all tasks.

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
    """Graphlets of each task, mixed with the graphlets of all tasks at the same position.

    The matching degree of two graphlets is their cosine. The weights are its softmax over the tasks.

    Args:
        graphlets: (T, B, K, h, w), the sum over K is one.

    Returns:
        the same shape; the sum over K is one again.
    """
    directions = F.normalize(graphlets, dim=2)
    weights = torch.einsum("tbkhw,sbkhw->tsbhw", directions, directions).softmax(dim=1)
    return torch.einsum("tsbhw,sbkhw->tbkhw", weights, graphlets)
