"""How strongly a regularizer pulls at the shared features, what it costs in a step, and a weight that follows from it.

Both compare gradients on the feature maps that the method hands out, which the tasks' own losses reach too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

Terms = Mapping[str, Tensor]

LOOKS = 5
"""The training is looked at each time that another such part of it is done: a look costs as much as a few steps."""
RATIO = "gradient_ratio"
CALIBRATED = "calibrated"
CALIBRATED_RATIO = 0.3
CALIBRATION_STEPS = 100


def calibrated_ratio(weight: Any) -> float | None:
    """The ratio that a weight of "calibrated" (0.3) or "calibrated:0.1" asks for; None for a number.

    Raises:
        ValueError: for another text, or a ratio that is not positive.
    """
    if not isinstance(weight, str):
        return None
    name, colon, text = weight.partition(":")
    try:
        ratio = float(text) if colon else CALIBRATED_RATIO
    except ValueError:
        ratio = 0.0
    if name != CALIBRATED or not 0 < ratio < float("inf"):
        raise ValueError(
            f"a regularizer's weight is a number, {CALIBRATED!r} or {CALIBRATED}:RATIO such as {CALIBRATED}:0.1, "
            f"found {weight!r}"
        )
    return ratio


class Calibration(nn.Module):
    """Scales a regularizer so that its gradient on the shared features has a given size beside that of the tasks.

    The factor is `ratio` over the mean of |gradient of the regularizer| / |gradient of the tasks| in the steps so far;
    after the first steps it stays. A regularizer without a gradient on the features is left as it is.

    Args:
        ratio: of the norms of the two gradients.
        steps: after which the factor stays.
    """

    total: Tensor
    count: Tensor

    def __init__(self, ratio: float, steps: int = CALIBRATION_STEPS) -> None:
        super().__init__()
        self.ratio, self.steps = ratio, steps
        # Buffers, so that a resumed run has the same factor.
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    @property
    def settled(self) -> bool:
        """Whether the factor stays from now on."""
        return int(self.count) >= self.steps

    def factor(self) -> float:
        """What the terms are multiplied by."""
        return self.ratio * int(self.count) / float(self.total) if self.total > 0 else 1.0

    def forward(self, terms: Terms, losses: Terms, features: Sequence[Tensor], training: bool) -> dict[str, Tensor]:
        """The terms, scaled; see `gradient_ratio` for the arguments."""
        if training and not self.settled:
            measured = gradient_ratio(terms.values(), losses.values(), features)
            if measured > 0:
                self.total += measured
                self.count += 1
        factor = self.factor()
        return {name: factor * term for name, term in terms.items()}

    def applied(self, measured: Terms) -> dict[str, Tensor]:
        """What a `Watch` measured of terms that were not scaled yet, for the scaled ones; with the factor."""
        factor = self.factor()
        ratios = {name: factor * value for name, value in measured.items() if name.startswith(RATIO)}
        return {**measured, **ratios, "calibrated_factor": torch.tensor(factor)}


def gradient_ratio(terms: Iterable[Tensor], losses: Iterable[Tensor], features: Sequence[Tensor]) -> Tensor:
    """|gradient of the sum of `terms`| / |gradient of the sum of `losses`| on the feature maps; 0 if either is 0.

    Args:
        terms: of the regularizer.
        losses: of the tasks.
        features: the maps, with their graph.
    """
    ours, theirs = gradient_norm(terms, features), gradient_norm(losses, features)
    return torch.where(theirs > 0, ours / theirs.clamp(min=1e-30), 0.0)


def gradient_norm(terms: Iterable[Tensor], features: Sequence[Tensor]) -> Tensor:
    """Norm of the gradient of the sum of the terms on all maps together; the graph stays."""
    gradients = [gradient.float().norm() for gradient in _gradients(terms, features) if gradient is not None]
    return torch.stack(gradients).norm() if gradients else torch.zeros(())


def _gradients(terms: Iterable[Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    reached = [term for term in terms if term.requires_grad]
    inputs = [tensor for tensor in inputs if tensor.requires_grad]
    if not reached or not inputs:
        return ()
    return torch.autograd.grad(torch.stack(reached).sum(), inputs, retain_graph=True, allow_unused=True)


class Watch:
    """Measures a regularizer at a few steps of the training; not at its beginning, where weights may still grow.

    Args:
        looks: parts of the training, each of which ends with a measurement.
    """

    def __init__(self, looks: int = LOOKS) -> None:
        self.looks = looks
        self.done = 0

    def terms(
        self,
        work: Callable[[], dict[str, Tensor]],
        losses: Terms,
        features: Sequence[Tensor],
        weights: Sequence[Tensor],
        tasks: Iterable[str],
        progress: float,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The terms of a regularizer, and what was measured in this step.

        Args:
            work: computes the terms.
            losses: of the tasks, `loss_<task>` and auxiliary ones that end so too.
            features: the maps of the method.
            weights: parameters of the regularizer.
            tasks: names of the tasks.
            progress: share of the training that is done.

        Returns:
            the terms; and, in a step that is looked at, `seconds` of the regularizer's forward and backward pass,
            `memory_mb` that it keeps from the one to the other, `gradient_ratio` of all terms, and
            `gradient_ratio_<task>` of the terms that end with the name of a task to the losses of that task.
        """
        part = int(progress * self.looks)
        if part <= self.done or not torch.is_grad_enabled():
            return work(), {}
        kept = KeptMemory(exclude=[*features, *weights])
        before = time.perf_counter()
        with torch.autograd.graph.saved_tensors_hooks(kept.note, lambda saved: saved):
            terms = work()
        if not terms:
            return terms, {}
        self.done = part
        _gradients(terms.values(), [*features, *weights])
        found = {"seconds": torch.tensor(time.perf_counter() - before), "memory_mb": torch.tensor(kept.mb)}
        found[RATIO] = gradient_ratio(terms.values(), losses.values(), features)
        for task in tasks:
            own, of_task = ([term for name, term in part.items() if _is_of(name, task)] for part in (terms, losses))
            if own:
                found[f"{RATIO}_{task}"] = gradient_ratio(own, of_task, features)
        return terms, found


class KeptMemory:
    """Bytes that the graph keeps for its backward pass, each storage once.

    Args:
        exclude: tensors that are kept anyway.
    """

    def __init__(self, exclude: Iterable[Tensor]) -> None:
        self.sizes: dict[int, int] = {}
        self.exclude = {tensor.untyped_storage().data_ptr() for tensor in exclude}

    def note(self, tensor: Tensor) -> Tensor:
        """Called with each tensor that is saved."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.exclude:
            self.sizes[storage.data_ptr()] = storage.nbytes()
        # An operation that keeps its own result would otherwise keep itself: the memory would never come back.
        return tensor.detach()

    @property
    def mb(self) -> float:
        """In MiB."""
        return sum(self.sizes.values()) / 2**20


def _is_of(name: str, task: str) -> bool:
    return name.endswith(f"_{task}")
