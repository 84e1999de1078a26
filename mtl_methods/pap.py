"""PAP-Net: affinities between positions are learned per task, mixed across tasks, and propagate each task's features.

Source: Zhang et al., "Pattern-Affinitive Propagation across Depth, Surface Normal and Semantic Segmentation", CVPR
2019, https://arxiv.org/abs/1906.03525. The authors' code is not public: a re-implementation from a description.
Differs from the paper: any tasks and any backbone, through the decoder of `decoders.make_decoder`; the affinities are
a softmax of scaled cosines over average-pooled positions, so that their memory is bounded; the reconstruction stays at
the stride of the decoder instead of half the image; each task's own loss on the initial and the final prediction, and
no pair-wise affinity loss. The number of iterations and beta are those of a third-party implementation.
Consulted: a written description of the paper and of https://github.com/Armanfard-Lab/EMA-Net, commit 59e2e48, and
https://github.com/VITA-Group/M3ViT, commit d448b6f, which fill in what it leaves open; no code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Auxiliary, Method, MultiTaskOutput
from benchmark.heads import ConvBNReLU, FCNHead, task_heads, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.convolutions import use_fast_convolutions
from mtl_methods._shared.choices import choose
from mtl_methods._shared.decoders import make_decoder
from mtl_methods._shared.residual_blocks import bottleneck

POOLING = 4
"""Least pooling before affinities, from stride 4 to 16; their cost grows with the fourth power of a map's side."""


@METHODS.register("pap", title="PAP (re-impl.)", paper="https://arxiv.org/abs/1906.03525", year=2019)
class PAP(Method):
    """The encoder and the decoder are shared, the rest is per task. The decoder's map goes to the regularizer.

    | face | row or file | parameters for four tasks: published, here |
    | --- | --- | --- |
    | where="trunk" | the paper's network, on any backbone | not published, 4,327,258 |
    | where="heads" | "PAP" of the NYU-v2 tables on HRNet-W18-small-v2 (inferred) | 4.54 M, 4,543,172 |

    where="trunk": two residual blocks per task, an initial prediction (`MultiTaskOutput.auxiliary`, supervised with the
    task's own loss), propagation, and a reconstruction from the propagated and the shared features.
    where="heads": propagation of the hidden features of the heads of hard sharing, as a residual that starts at zero.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        where: "trunk" or "heads".
        width: channels of a task's features with where="trunk", a multiple of 4; half as many for its affinities.
        iterations: applications of the affinities.
        beta: share of the propagated features in the result.
        positions: about the most positions that affinities are computed between. The features are average-pooled by
            4, and further where that leaves more; 945 are the 27x35 that are left of an image of 425x560.

    Raises:
        ValueError: for another face.
    """

    def __init__(
        self,
        tasks: TaskSet,
        backbone: str,
        where: str = "trunk",
        width: int = 128,
        iterations: int = 6,
        beta: float = 0.05,
        positions: int = 945,
    ) -> None:
        super().__init__(tasks, backbone)
        self.backbone = make_backbone(backbone)
        self.decoder, spec = make_decoder(self.backbone)
        face = choose("where", where, FACES)
        self.face = face(tasks, spec.channels, width, (iterations, beta, positions))
        self.feature_specs = (spec,)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task; the initial predictions are computed in training only."""
        features = self.decoder(self.backbone(images))
        logits, auxiliary = self.face(features)
        size = images.shape[-2:]
        predictions = {name: upsample_to(maps, size) for name, maps in logits.items()}
        return MultiTaskOutput(predictions, features=(features,), auxiliary=auxiliary)


Settings = tuple[int, float, int]
"""Iterations, beta and positions, see `PAP`."""

Result = tuple[dict[str, Tensor], tuple[Auxiliary, ...]]


class TrunkFace(nn.Module):
    """The paper's network from the shared map on.

    Args:
        tasks: the tasks, in order.
        channels: channels of the shared map.
        width: channels of a task's features.
        settings: see `Settings`.
    """

    def __init__(self, tasks: TaskSet, channels: int, width: int, settings: Settings) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(
            {
                name: nn.Sequential(bottleneck(channels, width, project=True), bottleneck(width, width, project=False))
                for name in tasks
            }
        )
        self.initial = nn.ModuleDict({name: nn.Conv2d(width, task.channels, 1) for name, task in tasks.items()})
        self.propagation = Propagation(tasks, width, width // 2, settings)
        self.shared = ConvBNReLU(channels, width // 2, kernel_size=1)
        self.own = nn.ModuleDict({name: ConvBNReLU(width, width - width // 2, kernel_size=1) for name in tasks})
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(bottleneck(width, width, project=False), nn.Conv2d(width, task.channels, 1))
                for name, task in tasks.items()
            }
        )
        use_fast_convolutions(self)

    def forward(self, shared: Tensor) -> Result:
        """Shared map (B, C, h, w) -> final predictions at its size, initial ones in training."""
        features = {name: branch(shared) for name, branch in self.branches.items()}
        auxiliary: tuple[Auxiliary, ...] = ()
        if self.training:
            auxiliary = tuple(Auxiliary("initial", name, self.initial[name](maps)) for name, maps in features.items())
        reduced = self.shared(shared)
        logits = {}
        for name, change in self.propagation(features).items():
            own = self.own[name](features[name] + upsample_to(change, shared.shape[-2:]))
            logits[name] = self.heads[name](torch.cat([reduced, own], dim=1))
        return logits, auxiliary


class HeadsFace(nn.Module):
    """Propagation of the hidden features of the heads; at initialisation it is hard sharing.

    Args:
        tasks: the tasks, in order.
        channels: channels of the shared map.
        width: not used; the features are as wide as the heads.
        settings: see `Settings`.
    """

    def __init__(self, tasks: TaskSet, channels: int, width: int, settings: Settings) -> None:
        super().__init__()
        self.heads = task_heads(channels, tasks)
        width = cast(FCNHead, next(iter(self.heads.values()))).logits.in_channels
        self.propagation = Propagation(tasks, width, width // 2, settings)
        self.residuals = nn.ModuleDict({name: zero_residual(width) for name in tasks})
        use_fast_convolutions(self.propagation)
        use_fast_convolutions(self.residuals)

    def forward(self, shared: Tensor) -> Result:
        """Shared map (B, C, h, w) -> predictions at its size."""
        heads = cast(Mapping[str, FCNHead], self.heads)
        features = {name: head.features(shared) for name, head in heads.items()}
        pooled = {name: self.propagation.pool(maps) for name, maps in features.items()}
        logits = {}
        for name, change in self.propagation(features).items():
            # A 1x1 convolution, normalisation and bilinear upsampling change places; here they run on fewer positions.
            residual = upsample_to(self.residuals[name](pooled[name] + change), shared.shape[-2:])
            logits[name] = heads[name].logits(features[name] + residual)
        return logits, ()


FACES: dict[str, Callable[[TaskSet, int, int, Settings], nn.Module]] = {"trunk": TrunkFace, "heads": HeadsFace}
"""(tasks, channels of the shared map, width, settings) -> face, see `PAP`."""


def zero_residual(width: int) -> nn.Sequential:
    """1x1 convolution and BN whose scale starts at zero."""
    layers = nn.Sequential(nn.Conv2d(width, width, kernel_size=1, bias=False), nn.BatchNorm2d(width))
    nn.init.zeros_(cast(nn.BatchNorm2d, layers[1]).weight)
    return layers


class Propagation(nn.Module):
    """Affinities of each task, their mixture across tasks, and diffusion by it.

    Args:
        tasks: the tasks, in order.
        channels: channels of a task's features.
        width: channels that affinities are computed from.
        settings: see `Settings`.
    """

    def __init__(self, tasks: TaskSet, channels: int, width: int, settings: Settings) -> None:
        super().__init__()
        self.iterations, self.beta, self.positions = settings
        self.embeddings = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Conv2d(channels, width, kernel_size=1, bias=False), nn.BatchNorm2d(width))
                for name in tasks
            }
        )
        # A task begins with its own affinities before those of the others.
        self.mixture = nn.Parameter(torch.eye(len(tasks)))

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What diffusion changes in the features of each task.

        Args:
            features: by task, in order, (B, C, h, w).

        Returns:
            by task beta * (diffused - pooled), (B, C, h', w') at the size of the pooled features.
        """
        pooled = {name: self.pool(maps) for name, maps in features.items()}
        embedded = torch.stack([self.embeddings[name](maps).flatten(2) for name, maps in pooled.items()], dim=1)
        stacked = torch.stack([maps.flatten(2) for maps in pooled.values()], dim=1).transpose(2, 3)
        transitions = mixed(affinities(embedded), self.weights())
        change = self.beta * (diffused(stacked, transitions, self.iterations) - stacked)
        size = next(iter(pooled.values())).shape[-2:]
        parts = change.transpose(2, 3).unflatten(3, size).unbind(1)
        return dict(zip(pooled, parts, strict=True))

    def weights(self) -> Tensor:
        """Weights of the tasks' affinities (source) in the mixture of each task (target); rows sum to one."""
        return self.mixture.softmax(dim=1)

    def pool(self, maps: Tensor) -> Tensor:
        """Average pooling of (B, C, h, w) to at most about `positions` positions."""
        factor = pooling_factor(maps.shape[-2:], self.positions)
        return F.avg_pool2d(maps, factor, ceil_mode=True, count_include_pad=False)


def pooling_factor(size: Sequence[int], positions: int) -> int:
    """A factor that leaves no more positions than asked for (but for rounding up at the border), at least `POOLING`."""
    return max(POOLING, math.ceil(math.sqrt(size[0] * size[1] / positions)))


def affinities(embedded: Tensor) -> Tensor:
    """Similarity of all positions as transition probabilities: (B, T, C, n) -> (B, T, n, n), rows sum to one.

    Cosines are multiplied by the square root of C, the scale of a product of normalised vectors: the softmax of bare
    cosines over hundreds of positions is next to uniform.
    """
    directions = F.normalize(embedded, dim=2)
    scores = directions.transpose(2, 3) @ (directions * math.sqrt(embedded.shape[2]))
    return scores.softmax(dim=3)


def mixed(transitions: Tensor, weights: Tensor) -> Tensor:
    """Mixture over tasks: (B, T, n, n), (T, T) -> (B, T, n, n); rows that sum to one give rows that sum to one."""
    return (weights @ transitions.flatten(2)).view_as(transitions)


def diffused(values: Tensor, transitions: Tensor, iterations: int) -> Tensor:
    """Values (B, T, n, C) after so many applications of the transitions (B, T, n, n)."""
    for _ in range(iterations):
        values = transitions @ values
    return values
