"""ATRC search: a weighted sum of all contexts for every pair of tasks, until one context is chosen.

Source: Bruggemann et al., "Exploring Relational Context for Multi-Task Dense Prediction", ICCV 2021, sec. 3.4,
https://arxiv.org/abs/2104.13874.
Differs from the paper: steps are training batches, even if gradients of several batches are accumulated. The other
blocks of a decided edge are not computed; the released code computes them with weight 0. See also `method`.
Consulted: https://github.com/brdav/atrc, commit 76d8055, MIT licence, for the schedules; nothing copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import PredictionLayer, head_width, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.hrnet import upsample_by_factors
from mtl_methods._shared.decoders import make_decoder
from mtl_methods.atrc.auxiliary import calibrate_directions, make_auxiliary_head, supervised
from mtl_methods.atrc.contexts import ContextBlock, ConvBN, Distillation, Sources, blocks_of
from mtl_methods.atrc.genotypes import CONTEXTS, NONE, S_LABEL, Genotype
from mtl_methods.atrc.method import PAPER, task_features

TEMPERATURE = (1.0, 0.05)
"""Temperature of the Gumbel softmax at the first and the last step; linear in between."""

ENTROPY_WEIGHT = (-0.02, 0.06)
"""Weight of the mean entropy of the choices in the loss at the first and the last step; linear in between."""

DECIDED = 0.3
"""Smallest difference between the two largest probabilities of an edge at which the edge is decided."""

NEVER = -1e9
"""Logit of a context that an edge cannot have; finite, since infinite logits would make gradients NaN."""

OPEN = -1
"""Value of `decided` for an edge that is not decided."""

Choices = dict[str, dict[str, dict[str, "Tensor | float"]]]
"""`{target: {source: {context: weight}}}` of the contexts that are computed."""


@METHODS.register("atrc_search", title="ATRC search", paper=PAPER, year=2021, in_all=False)
class ATRCSearch(Method):
    """ATRC with every context on every edge. The result is a genotype, with which ATRC is trained from scratch.

    An edge is the sum of its contexts (and of "none", which is zero) with weights drawn by a Gumbel softmax. On the
    diagonal, S-label equals T-label and is left out. In eval mode each edge has its most probable context only.
    `tools/export_genotype.py` writes the genotype of a trained cell for `method.genotype` of `atrc`. The released code
    clips gradients at 10: `optim_wrapper.clip_grad={"max_norm": 10}` in a recipe.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        total_steps: training batches from the first to the last temperature; set it to the `max_iters` of the recipe.
        learning_rate: learning rate of Adam on the logits of the choices; the recipe trains all other parameters.

    Raises:
        ValueError: if `total_steps` is less than 1.
    """

    step: Tensor
    decided: Tensor

    def __init__(self, tasks: TaskSet, backbone: str, total_steps: int = 40_000, learning_rate: float = 5e-4) -> None:
        super().__init__(tasks, backbone)
        if total_steps < 1:
            raise ValueError(f"total_steps must be at least 1, found {total_steps}")
        self.total_steps, self.learning_rate = total_steps, learning_rate
        self.names = list(tasks)
        self.backbone = make_backbone(backbone)
        upsample_by_factors(self.backbone)
        self.decoder, spec = make_decoder(self.backbone)
        self.feature_specs = (spec,)
        width = head_width(spec.channels)
        self.width = width // 2
        self.branches = nn.ModuleDict({name: ConvBN(spec.channels, width, kernel_size=3) for name in tasks})
        self.auxiliary_heads = nn.ModuleDict(
            {name: make_auxiliary_head(task, spec.channels) for name, task in tasks.items()}
        )
        self.contexts = nn.ModuleDict(
            {
                target: nn.ModuleDict({source: all_contexts(width, target == source) for source in tasks})
                for target in tasks
            }
        )
        self.distillation = nn.ModuleDict(
            {name: Distillation(width, len(tasks) * (width // 2), dropout=0.0) for name in tasks}
        )
        self.logits = nn.ModuleDict({name: PredictionLayer(width, task.channels) for name, task in tasks.items()})
        edges = (len(tasks), len(tasks))
        # Their values choose the layers that run, so they are on the CPU even in a network on the meta device.
        self.architecture = nn.Parameter(torch.zeros(*edges, len(CONTEXTS), device="cpu"))
        self.register_buffer("decided", torch.full(edges, OPEN, device="cpu"))
        self.register_buffer("step", torch.zeros((), dtype=torch.long, device="cpu"))

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task with drawn weights in training mode, with the most probable contexts in eval mode."""
        choices = self._drawn() if self.training else self._choices(chosen(self.architecture, self.decided))
        (shared,) = self.share(self.decoder(self.backbone(images)))
        features = task_features(self.branches, shared)
        labels = {name: head(shared) for name, head in self.auxiliary_heads.items()}
        sources = Sources(features, labels, share=True)
        refined = {name: self._refined(name, sources, choices) for name in features}
        size = images.shape[-2:]
        return MultiTaskOutput(
            {name: upsample_to(self.logits[name](maps), size) for name, maps in refined.items()},
            features=(shared,),
            auxiliary=supervised(self.auxiliary_heads, labels),
            penalties={"choice_entropy": self._entropy_penalty()} if self.training else {},
        )

    def calibrate(self, targets: Iterable[Mapping[str, Tensor]]) -> None:
        """Cluster the normals of the training split."""
        calibrate_directions(self.auxiliary_heads.values(), targets)

    def separate_optimizers(self) -> Mapping[str, Mapping[str, Any]]:
        """Adam without decay for the logits of the choices."""
        return {"architecture": {"type": "Adam", "lr": self.learning_rate, "weight_decay": 0.0}}

    def genotype(self) -> Genotype:
        """The most probable context of every edge."""
        return genotype_of(self.names, self.architecture, self.decided)

    def _refined(self, target: str, sources: Sources, choices: Choices) -> Tensor:
        own = sources.features[target]
        mixtures = [self._mixture(target, source, sources, weights) for source, weights in choices[target].items()]
        refined: Tensor = self.distillation[target](own, mixtures)
        return refined

    def _mixture(self, target: str, source: str, sources: Sources, weights: Mapping[str, Tensor | float]) -> Tensor:
        own, blocks = sources.features[target], blocks_of(self.contexts, target, source)
        if not weights:
            return torch.zeros_like(own[:, : self.width])
        terms = [weight * blocks[name](own, sources.of(target, source, name)) for name, weight in weights.items()]
        return reduce(add, terms)

    def _drawn(self) -> Choices:
        """Decide the edges whose most probable context leads clearly, then draw the weights of this step."""
        progress = (self.step / self.total_steps).clamp(max=1)
        self.step += 1
        logits = possible(self.architecture)
        with torch.no_grad():
            first, second = logits.softmax(2).topk(2).values.unbind(2)
            newly = (first - second >= DECIDED) & (self.decided == OPEN)
            self.decided.copy_(torch.where(newly, logits.argmax(2), self.decided))
        noise = -torch.empty_like(logits).exponential_().log()
        weights = ((logits + noise) / between(TEMPERATURE, progress)).softmax(2)
        return self._choices(self.decided, weights)

    def _choices(self, decided: Tensor, weights: Tensor | None = None) -> Choices:
        """Weights of the contexts of each edge; of a decided edge, the decided context only."""
        indices = decided.tolist()
        choices: Choices = {target: {} for target in self.names}
        for row, target in enumerate(self.names):
            for column, source in enumerate(self.names):
                index = indices[row][column]
                names = list(blocks_of(self.contexts, target, source)) if index == OPEN else [CONTEXTS[index]]
                choices[target][source] = {
                    name: 1.0 if weights is None or index != OPEN else weights[row, column, CONTEXTS.index(name)]
                    for name in names
                    if name != NONE
                }
        return choices

    def _entropy_penalty(self) -> Tensor:
        """Mean entropy of the choices, weighted for the step just taken."""
        logarithms = possible(self.architecture).log_softmax(2)
        entropy = -(logarithms.exp() * logarithms).sum(2).mean()
        return between(ENTROPY_WEIGHT, ((self.step - 1) / self.total_steps).clamp(max=1)) * entropy


def possible(architecture: Tensor) -> Tensor:
    """The logits of the choices, with `NEVER` for contexts that an edge cannot have."""
    diagonal = torch.eye(len(architecture), dtype=torch.bool, device=architecture.device)
    s_label = torch.arange(len(CONTEXTS), device=architecture.device) == CONTEXTS.index(S_LABEL)
    return architecture.masked_fill(diagonal.unsqueeze(2) & s_label, NEVER)


def chosen(architecture: Tensor, decided: Tensor) -> Tensor:
    """Index in `CONTEXTS` of the decided context of every edge, or of the most probable one if undecided."""
    return torch.where(decided == OPEN, possible(architecture).argmax(2), decided)


def genotype_of(tasks: Sequence[str], architecture: Tensor, decided: Tensor) -> Genotype:
    """The genotype of a search.

    Args:
        tasks: names of the tasks, in the order of the search.
        architecture: parameter `architecture` of the search.
        decided: buffer `decided` of the search.
    """
    rows = chosen(architecture, decided).tolist()
    return {
        target: {source: CONTEXTS[index] for source, index in zip(tasks, row, strict=True)}
        for target, row in zip(tasks, rows, strict=True)
    }


def between(ends: tuple[float, float], progress: Tensor) -> Tensor:
    """Linear interpolation between two ends at a progress in 0..1."""
    return ends[0] + (ends[1] - ends[0]) * progress


def all_contexts(width: int, diagonal: bool) -> nn.ModuleDict:
    """A block for every context, whose values are normalised without scale and shift; no S-label on the diagonal."""
    left_out = {NONE, S_LABEL} if diagonal else {NONE}
    return nn.ModuleDict(
        {name: ContextBlock(width, width // 2, name, affine=False) for name in CONTEXTS if name not in left_out}
    )
