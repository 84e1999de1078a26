"""PAP-Net: affinities between positions are learned per task, mixed across tasks, and propagate each task's features.

Source: Zhang et al., "Pattern-Affinitive Propagation across Depth, Surface Normal and Semantic Segmentation", CVPR
2019, https://arxiv.org/abs/1906.03525. The authors' code is not public; this is a re-implementation from a description.
Differs from the paper: it takes any tasks and any backbone, through the decoder of `decoders.make_decoder`. Affinities
are a softmax of scaled cosines between average-pooled positions, so that their memory is bounded. The reconstruction
stays at the stride of the decoder instead of half the image. The initial and the final predictions have each task's own
loss, and there is no pair-wise affinity loss. The number of iterations and beta are from a third-party implementation.
Consulted: a written description of the paper and of https://github.com/Armanfard-Lab/EMA-Net, commit 59e2e48, and
https://github.com/VITA-Group/M3ViT, commit d448b6f, which supply details that the paper leaves open; no code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Auxiliary, Method, MultiTaskOutput
from benchmark.heads import ConvBNReLU, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.choices import choose
from mtl_methods._shared.decoders import make_decoder
from mtl_methods._shared.refined_heads import Logits, RefinedHeads, projection, residual_branches, zero_residual
from mtl_methods._shared.residual_blocks import bottleneck

POOLING = 4
"""Smallest pooling before affinities, from stride 4 to 16. Their cost grows with the fourth power of a map's side."""


@METHODS.register("pap", title="PAP (re-impl.)", paper="https://arxiv.org/abs/1906.03525", year=2019)
class PAP(Method):
    """Shared encoder and decoder; all further layers are per task. Regularizers read the map of the decoder.

    | placement | row or file | parameters for four tasks: published, here |
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
        positions: largest number of positions that affinities are computed between; rounding up at two borders may
            exceed it. The features are average-pooled by 4, or by more if that leaves too many positions; an image of
            425x560 has 27x35 = 945.

    Raises:
        ValueError: for another `where`, or with where="trunk" for a width that is not a multiple of 4.
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
        propagation = partial(Propagation, tasks, iterations=iterations, beta=beta, positions=positions)
        self.placement = choose("where", where, PLACEMENTS)(tasks, spec.channels, width, propagation)
        self.feature_specs = (spec,)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task; the initial predictions are computed in training only."""
        (features,) = self.share(self.decoder(self.backbone(images)))
        size = images.shape[-2:]
        logits, initial = self.placement(features)
        predictions = {name: upsample_to(maps, size) for name, maps in logits.items()}
        auxiliary = tuple(Auxiliary("initial", name, maps) for name, maps in initial.items())
        return MultiTaskOutput(predictions, (features,), auxiliary)


class TrunkPropagation(nn.Module):
    """The paper's network from the shared map on.

    Args:
        tasks: the tasks, in order.
        channels: channels of the shared map.
        width: channels of a task's features.
        make_propagation: (channels of the features, channels of the affinities) -> `Propagation`.
    """

    def __init__(
        self, tasks: TaskSet, channels: int, width: int, make_propagation: Callable[[int, int], Propagation]
    ) -> None:
        super().__init__()
        self.branches = residual_branches(tasks, channels, width)
        self.initial = nn.ModuleDict({name: nn.Conv2d(width, task.channels, 1) for name, task in tasks.items()})
        self.propagation = make_propagation(width, width // 2)
        self.shared = ConvBNReLU(channels, width // 2, kernel_size=1)
        self.own = nn.ModuleDict({name: ConvBNReLU(width, width - width // 2, kernel_size=1) for name in tasks})
        self.heads = nn.ModuleDict(
            {
                name: nn.Sequential(bottleneck(width, width, project=False), nn.Conv2d(width, task.channels, 1))
                for name, task in tasks.items()
            }
        )

    def forward(self, shared: Tensor) -> Logits:
        """Shared map (B, C, h, w) -> final logits at its size, and initial logits (none in eval mode)."""
        features = {name: branch(shared) for name, branch in self.branches.items()}
        initial = {name: self.initial[name](maps) for name, maps in features.items()} if self.training else {}
        reduced = self.shared(shared)
        logits = {}
        for name, change in self.propagation(features).items():
            own = self.own[name](features[name] + upsample_to(change, shared.shape[-2:]))
            logits[name] = self.heads[name](torch.cat([reduced, own], dim=1))
        return logits, initial


class PropagatedResidual(nn.Module):
    """Residual of each task: its propagated features through a 1x1 convolution that starts at zero.

    Args:
        tasks: the tasks, in order.
        width: channels of a task's features.
        propagation: the propagation.
    """

    def __init__(self, tasks: TaskSet, width: int, propagation: Propagation) -> None:
        super().__init__()
        self.propagation = propagation
        self.residuals = nn.ModuleDict({name: zero_residual(width, kernel_size=1) for name in tasks})

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features (B, C, h, w) by task, in order -> residuals of the same shape."""
        pooled = {name: self.propagation.pool(maps) for name, maps in features.items()}
        # The 1x1 convolution and its normalisation commute with bilinear upsampling (in training except for the
        # statistics of the batch), and run on fewer positions here.
        return {
            name: upsample_to(self.residuals[name](pooled[name] + change), features[name].shape[-2:])
            for name, change in self.propagation(features).items()
        }


def heads_propagation(
    tasks: TaskSet, channels: int, width: int, make_propagation: Callable[[int, int], Propagation]
) -> nn.Module:
    """Propagation of the hidden features of the heads, of their width; at initialisation it is hard sharing."""
    return RefinedHeads(
        tasks, channels, lambda hidden: PropagatedResidual(tasks, hidden, make_propagation(hidden, hidden // 2))
    )


PLACEMENTS: dict[str, Callable[..., nn.Module]] = {"trunk": TrunkPropagation, "heads": heads_propagation}
"""(tasks, channels of the shared map, width, make_propagation) -> network from the shared map on, by `where`."""


class Propagation(nn.Module):
    """Affinities of each task, their mixture across tasks, and diffusion by the mixture.

    Args:
        tasks: the tasks, in order.
        channels: channels of a task's features.
        width: channels that affinities are computed from.
        iterations, beta, positions: see `PAP`.
    """

    def __init__(self, tasks: TaskSet, channels: int, width: int, iterations: int, beta: float, positions: int) -> None:
        super().__init__()
        self.iterations, self.beta, self.positions = iterations, beta, positions
        self.embeddings = nn.ModuleDict({name: projection(channels, width) for name in tasks})
        # At the start, a task's own affinities weigh more than the affinities of another task.
        self.mixture = nn.Parameter(torch.eye(len(tasks)))

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Change of the features of each task by diffusion.

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
    """Smallest factor, at least `POOLING`, that leaves at most `positions` positions; rounding up may exceed this."""
    return max(POOLING, math.ceil(math.sqrt(size[0] * size[1] / positions)))


def affinities(embedded: Tensor) -> Tensor:
    """Similarity of all positions as transition probabilities: (B, T, C, n) -> (B, T, n, n), rows sum to one.

    Cosines are multiplied by the square root of C. Without it, the softmax over hundreds of positions is almost
    uniform.
    """
    directions = F.normalize(embedded, dim=2)
    scores = directions.transpose(2, 3) @ (directions * math.sqrt(embedded.shape[2]))
    return scores.softmax(dim=3)


def mixed(transitions: Tensor, weights: Tensor) -> Tensor:
    """Mixture over tasks: transitions (B, T, n, n), weights (target T, source T) -> transitions (B, T, n, n)."""
    return (weights @ transitions.flatten(2)).view_as(transitions)


def diffused(values: Tensor, transitions: Tensor, iterations: int) -> Tensor:
    """Values (B, T, n, C) after a number of applications of the transitions (B, T, n, n)."""
    for _ in range(iterations):
        values = transitions @ values
    return values
