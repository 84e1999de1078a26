"""Cross-task consistency: a task-translation network must give the same output for prediction and label.

Source: Zamir et al., "Robust Learning Through Cross-Task Consistency" (XTC), CVPR 2020,
https://arxiv.org/abs/2006.04096, in its perceptual form: |f_st(prediction of s) - f_st(label of s)| for all s and t.
Differs from the paper: its translation networks are U-Nets trained on millions of images; ours have three convolutions
at a quarter of the image size and are trained on the first 128 frames of the training split, before the first step. All
pairs of tasks have one weight; the paper chooses paths and balances them by gradient norms.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice, permutations

import torch
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.losses import task_loss
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers._shared.task_maps import label_map, labelled_share, map_channels, prediction_map, shrink

STRIDE = 4
BATCHES = 8
"""Batches of labels that the translation networks are trained on. All are in memory during this training."""

Targets = Mapping[str, Tensor]


@REGULARIZERS.register(
    "cross_task_consistency", title="Cross-task consistency", paper="https://arxiv.org/abs/2006.04096", year=2020
)
class CrossTaskConsistency(Regularizer):
    """Mean over pairs of tasks and labelled pixels of |f_st(prediction of s) - f_st(label of s)|.

    The translation networks f_st are trained by `calibrate` and then frozen. With a single task there is no term.

    Args:
        tasks: tasks of the run.
        feature_specs: not used.
        weight: factor of the term.
        width: channels between the convolutions of f_st.
        passes: number of passes of `calibrate` through its labels.
        learning_rate: learning rate of its Adam optimiser.
    """

    needs_features = False

    def __init__(
        self,
        tasks: TaskSet,
        feature_specs: tuple[FeatureSpec, ...],
        weight: float = 0.5,
        width: int = 32,
        passes: int = 25,
        learning_rate: float = 2e-3,
    ) -> None:
        super().__init__(tasks, feature_specs, weight)
        self.tasks = tasks
        self.passes = passes
        self.learning_rate = learning_rate
        self.pairs = list(permutations(tasks, 2))
        self.between = nn.ModuleList(
            task_to_task(map_channels(tasks[source]), width, tasks[target].channels) for source, target in self.pairs
        ).requires_grad_(False)

    def calibrate(self, targets: Iterable[Targets]) -> None:
        """Train every f_st to predict the labels of t from the labels of s."""
        if not self.pairs:
            return
        batches = list(islice(targets, BATCHES))
        self.between.requires_grad_(True)
        optimizer = torch.optim.Adam(self.between.parameters(), lr=self.learning_rate)
        with torch.enable_grad():
            for batch in batches * self.passes:
                optimizer.zero_grad()
                self.translation_loss(batch).backward()
                optimizer.step()
        self.between.requires_grad_(False)

    def translation_loss(self, targets: Targets) -> Tensor:
        """Sum over pairs (s, t) of the loss of task t for f_st(label of s)."""
        maps = {name: shrink(label_map(task, targets[name]), STRIDE) for name, task in self.tasks.items()}
        losses = [
            task_loss(self.tasks[target], network(maps[source]), targets[target])
            for network, (source, target) in zip(self.between, self.pairs, strict=True)
        ]
        return torch.stack(losses).sum()

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """One term, or none with a single task."""
        if not self.pairs:
            return {}
        predicted, labelled, share = {}, {}, {}
        for name, task in self.tasks.items():
            target = batch["targets"][name]
            predicted[name] = shrink(prediction_map(task, output.predictions[name], target), STRIDE)
            labelled[name] = shrink(label_map(task, target), STRIDE)
            share[name] = labelled_share(task, target, STRIDE)
        terms = []
        for network, (source, _) in zip(self.between, self.pairs, strict=True):
            # Unlabelled pixels are zero in the map of the label, so the prediction is masked there too.
            difference = network(predicted[source] * share[source]) - network(labelled[source])
            counted = difference.abs().mean(1, keepdim=True) * share[source]
            terms.append(counted.sum() / share[source].sum().clamp(min=1.0))
        return {"loss_cross_task_consistency": self.weight * torch.stack(terms).mean()}


def task_to_task(in_channels: int, width: int, out_channels: int) -> nn.Sequential:
    """Translation network from the map of one task to the raw prediction of another."""
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=2, dilation=2),
        nn.ReLU(),
        nn.Conv2d(width, out_channels, 3, padding=1),
    )
