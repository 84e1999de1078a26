"""The auxiliary heads of ATRC: every task as a classification, for the label maps of the label contexts.

They read the shared map, and send no gradient into it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Auxiliary
from benchmark.tasks import Task
from mtl_methods.atrc.contexts import ConvBN

CLASSES = 40
"""Depth intervals, and clusters of normals, in the released code."""

POSITIVE_WEIGHT = 0.8
"""Weight of boundary pixels if the loss of the task sets no weight."""

DRAWS = 5
"""Candidates for the start of each cluster; a single draw often misses a small group."""

SAMPLES = 4096
"""Least number of normals per batch of targets that the clusters are computed from, if the batch has as many; less than
twice as many are used."""


def make_auxiliary_head(task: Task, channels: int) -> AuxiliaryHead:
    """The head for the `readout` of a task, see `benchmark.tasks.Task`.

    | readout | classes | loss |
    | --- | --- | --- |
    | class, mask | the task's own | the task's own |
    | value | 40 intervals of log depth | depth_bin_cross_entropy |
    | direction | 40 clusters | normals_cluster_cross_entropy |
    | probability | 2 | boundary_cross_entropy, with the weight of the task's own loss |
    """
    if task.readout == "value":
        return AuxiliaryHead(task, channels, CLASSES, "depth_bin_cross_entropy")
    if task.readout == "direction":
        return DirectionHead(task, channels, CLASSES)
    if task.readout == "probability":
        return BoundaryHead(task, channels, 2, "boundary_cross_entropy")
    return AuxiliaryHead(task, channels, task.channels)


class AuxiliaryHead(nn.Module):
    """1x1 ConvBNReLU of the same width and a 1x1 convolution to class logits.

    Args:
        task: the task.
        channels: channels of the shared map.
        classes: number of classes.
        loss: name of the loss; None for the task's own.
    """

    def __init__(self, task: Task, channels: int, classes: int, loss: str | None = None) -> None:
        super().__init__()
        self.task = task
        self.loss = loss
        self.hidden = ConvBN(channels, channels, kernel_size=1)
        self.logits = nn.Conv2d(channels, classes, kernel_size=1)
        nn.init.normal_(self.logits.weight, std=0.01)
        if self.logits.bias is not None:
            nn.init.zeros_(self.logits.bias)

    def forward(self, features: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, classes, H, W)."""
        logits: Tensor = self.logits(self.hidden(features.detach()).relu_())
        return logits

    def supervised(self, logits: Tensor) -> Auxiliary:
        """The logits with the loss that trains them."""
        return Auxiliary("aux", self.task.name, logits, loss=self.loss, loss_options=self.loss_options())

    def loss_options(self) -> dict[str, Any]:
        """Keywords of the loss."""
        return {}


def supervised(heads: nn.ModuleDict, logits: Mapping[str, Tensor]) -> tuple[Auxiliary, ...]:
    """The logits of all heads, by task, each with the loss that trains it."""
    return tuple(head.supervised(logits[name]) for name, head in heads.items() if isinstance(head, AuxiliaryHead))


class BoundaryHead(AuxiliaryHead):
    """Two classes, boundary or not, with the weights of the loss of the task."""

    def loss_options(self) -> dict[str, Any]:
        """The weight of boundary pixels."""
        weight = self.task.loss_options.get("positive_weight")
        return {"positive_weight": POSITIVE_WEIGHT if weight is None else weight}


class DirectionHead(AuxiliaryHead):
    """Classification of normals by the nearest of a set of directions.

    The directions cover the sphere evenly until `calibrate` takes them from the normals of the training split. They are
    saved with the model, since they define the classes of its label maps.
    """

    centroids: Tensor

    def __init__(self, task: Task, channels: int, classes: int) -> None:
        super().__init__(task, channels, classes, "normals_cluster_cross_entropy")
        self.register_buffer("centroids", even_directions(classes))

    def loss_options(self) -> dict[str, Any]:
        """The directions."""
        return {"centroids": self.centroids}

    def sampled(self, target: Tensor) -> Tensor:
        """Evenly spaced valid normals of a batch (B, 3, H, W), as (N, 3) unit vectors."""
        normals = target.movedim(1, -1)[self.task.valid(target)].cpu()
        return F.normalize(normals[:: max(1, len(normals) // SAMPLES)].float(), dim=1)

    def fit(self, normals: Tensor) -> None:
        """Cluster unit vectors (N, 3); with fewer vectors than clusters, the directions are left unchanged."""
        if len(normals) >= len(self.centroids):
            self.centroids.copy_(clustered(normals, len(self.centroids)))


def even_directions(count: int) -> Tensor:
    """Unit vectors (count, 3) that cover the sphere evenly: a Fibonacci spiral from pole to pole."""
    position = torch.arange(count, dtype=torch.float64)
    height = 1 - (2 * position + 1) / count
    angle = position * math.pi * (3 - math.sqrt(5))
    radius = (1 - height.square()).sqrt()
    return torch.stack([radius * angle.cos(), radius * angle.sin(), height], dim=1).float()


def clustered(directions: Tensor, count: int, rounds: int = 50) -> Tensor:
    """Spherical k-means of unit vectors (N, 3) -> `count` unit vectors; deterministic.

    The start is greedy k-means++ with a fixed seed.
    """
    centroids = _far_apart(directions, count)
    for _ in range(rounds):
        nearest = (directions @ centroids.T).argmax(1)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, directions)
        length = sums.norm(dim=1, keepdim=True)
        # A cluster without members, or whose members sum to zero, keeps its centroid.
        moved = torch.where(length > 0, sums / length.clamp(min=torch.finfo(sums.dtype).tiny), centroids)
        if torch.equal(moved, centroids):
            break
        centroids = moved
    return centroids


def _far_apart(directions: Tensor, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    chosen = [int(torch.randint(len(directions), (1,), generator=generator))]
    distance = (1 - directions @ directions[chosen[0]]).clamp(min=0)
    for _ in range(count - 1):
        # The small constant allows a choice if every direction is already a centroid.
        cumulative = (distance.double() + 1e-12).cumsum(0)
        positions = torch.rand(DRAWS, generator=generator, dtype=torch.float64) * cumulative[-1]
        drawn = torch.searchsorted(cumulative, positions).clamp(max=len(directions) - 1)
        left = (1 - directions @ directions[drawn].T).clamp(min=0).minimum(distance.unsqueeze(1))
        best = int(left.sum(0).argmin())
        chosen.append(int(drawn[best]))
        distance = left[:, best]
    return directions[chosen]


def calibrate_directions(heads: Iterable[nn.Module], targets: Iterable[Mapping[str, Tensor]]) -> None:
    """Cluster the training targets for the direction heads among `heads`; without one, targets are not read."""
    learning = [head for head in heads if isinstance(head, DirectionHead)]
    samples: dict[str, list[Tensor]] = {head.task.name: [] for head in learning}
    for batch in targets if learning else ():
        for head in learning:
            samples[head.task.name].append(head.sampled(batch[head.task.name]))
    for head in learning:
        head.fit(torch.cat([torch.zeros(0, 3), *samples[head.task.name]]))
