"""Cross-task mapping: prediction of one task and label of another are mapped to one space, where they must agree.

Source: Li, Liu, Bilen, "Learning Multiple Dense Prediction Tasks from Partially Annotated Data" (MTPSL), CVPR 2022,
https://arxiv.org/abs/2111.14893.
Differs from the paper: its mapping is a network of SegNet blocks on full images; ours has three convolutions at the
stride of the shared map. The term is a mean over ordered pairs of tasks: twelve pairs of four tasks, where the paper
has six. Every task has labels here, so every pair is supervised. As in the paper, segmentation passes a Gumbel softmax,
depth is divided by its largest value, and every pair has its own scale and shift (FiLM) of the shared mapping.
Consulted: file names and constants of https://github.com/VICO-UoE/MTPSL (weight 2, factor 0.5); nothing copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.heads import concatenate_maps, upsample_to
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers._shared.task_maps import label_map, labelled_share, map_channels, prediction_map, shrink

FEATURE_SHARE = 0.5
"""Weight of the agreement with the shared features; the agreement of prediction and label has weight 1."""


@REGULARIZERS.register(
    "cross_task_mapping", title="Cross-task mapping", paper="https://arxiv.org/abs/2111.14893", year=2022
)
class CrossTaskMapping(Regularizer):
    """1 - cos(m(prediction of s), m(label of t)) for all s and t, and 0.5 (1 - cos) of both with the shared features.

    The shared features are detached, so the gradient reaches the method through its predictions alone. With a single
    task there is no term.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method; without a map that all tasks share, the second part is left out.
        weight: factor of all terms.
        width: channels of the mapping.
        temperature: temperature of the Gumbel softmax.
    """

    needs_features = False

    def __init__(
        self,
        tasks: TaskSet,
        feature_specs: tuple[FeatureSpec, ...],
        weight: float = 2.0,
        width: int = 64,
        temperature: float = 1.0,
    ) -> None:
        super().__init__(tasks, feature_specs, weight)
        self.tasks = tasks
        self.temperature = temperature
        self.pairs = list(permutations(tasks, 2))
        shared = [position for position, spec in enumerate(feature_specs) if spec.task is None]
        self.shared = sorted(shared, key=lambda position: feature_specs[position].stride)
        self.stride = min(spec.stride for spec in feature_specs)
        channels = sum(feature_specs[position].channels for position in self.shared)
        self.entries = nn.ModuleDict(
            {name: nn.Conv2d(map_channels(task), width, 3, padding=1) for name, task in tasks.items()}
        )
        self.mapping = PairMapping(len(self.pairs), width, channels or width)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """One term, a mean over pairs and labelled pixels; none with a single task."""
        if not self.pairs:
            return {}
        predicted, labelled, share = self._joint_maps(batch, output)
        agreement = disagreement(predicted, labelled, share)
        if self.shared:
            features = concatenate_maps([output.features[position].detach() for position in self.shared])
            target = upsample_to(features, predicted.shape[-2:]).repeat(len(self.pairs), 1, 1, 1)
            both = disagreement(predicted, target, share) + disagreement(labelled, target, share)
            agreement = agreement + FEATURE_SHARE * both
        return {"loss_cross_task_mapping": self.weight * agreement}

    def _joint_maps(self, batch: Batch, output: MultiTaskOutput) -> tuple[Tensor, Tensor, Tensor]:
        """m(prediction), m(label) and labelled shares of all pairs, concatenated along the batch."""
        predicted, labelled, share = {}, {}, {}
        for name, task in self.tasks.items():
            target = batch["targets"][name]
            prediction = prediction_map(task, output.predictions[name], target, self._soften)
            predicted[name] = self.entries[name](shrink(prediction, self.stride))
            labelled[name] = self.entries[name](shrink(label_map(task, target), self.stride))
            share[name] = labelled_share(task, target, self.stride)
        return (
            self._mapped([predicted[source] for source, _ in self.pairs]),
            self._mapped([labelled[target] for _, target in self.pairs]),
            torch.cat([share[target] for _, target in self.pairs]),
        )

    def _mapped(self, maps: Sequence[Tensor]) -> Tensor:
        mapped: Tensor = self.mapping(torch.stack(list(maps)))
        return mapped

    def _soften(self, logits: Tensor) -> Tensor:
        return F.gumbel_softmax(logits, tau=self.temperature, dim=1)


class PairMapping(nn.Module):
    """Convolutions shared by all pairs of tasks, with scale and shift per pair (FiLM, Perez et al., 2018).

    Args:
        pairs: number of pairs.
        width: channels of the input.
        channels: channels of the output.
    """

    def __init__(self, pairs: int, width: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.scale = nn.Parameter(torch.ones(pairs, 1, width, 1, 1))
        self.shift = nn.Parameter(torch.zeros(pairs, 1, width, 1, 1))
        self.last = nn.Conv2d(width, channels, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """(pairs, B, width, h, w) -> (pairs * B, channels, h, w)."""
        hidden = self.first(maps.flatten(0, 1).relu()).view(maps.shape)
        conditioned = (hidden * self.scale + self.shift).relu().flatten(0, 1)
        mapped: Tensor = self.last(conditioned)
        return mapped


def disagreement(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Mean of 1 - cosine between maps (N, C, h, w), weighted by the labelled shares (N, 1, h, w)."""
    different = (1 - F.cosine_similarity(first, second, dim=1))[:, None] * share
    return different.sum() / share.sum().clamp(min=1.0)
