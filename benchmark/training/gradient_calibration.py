"""Ratio of the gradients of a regularizer and of the tasks, and a loss weight from this ratio.

Both gradients are computed on the shared feature maps of the method, which the task losses reach too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.losses.batch_parts import num_parts, sum_over_parts

Terms = Mapping[str, Tensor]

NUM_PROBES = 5
"""Measurements per training, in the middle of equal parts. A measurement takes as long as a few steps."""
RATIO = "gradient_ratio"
CALIBRATED = "calibrated"
CALIBRATED_RATIO = 0.3
CALIBRATION_STEPS = 100


def calibrated_ratio(weight: Any) -> float | None:
    """Gradient ratio requested by the weight "calibrated" (0.3) or "calibrated:0.1"; None for a number.

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
    """Weight of a regularizer that gives its gradient on the shared features a fixed ratio to the tasks' gradient.

    The weight is `ratio` divided by the mean of |gradient of the regularizer| / |gradient of the tasks| in the first
    steps, without steps of ratio 0. The weight is 1 for a regularizer without a gradient on the features.

    Args:
        ratio: requested ratio of the gradient norms.
        steps: number of steps that are measured.
    """

    total: Tensor
    count: Tensor
    tried: Tensor

    def __init__(self, ratio: float, steps: int = CALIBRATION_STEPS) -> None:
        super().__init__()
        self.ratio, self.steps = ratio, steps
        # Buffers, so that a resumed run has the same factor.
        self.register_buffer("total", torch.zeros((), dtype=torch.float64))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("tried", torch.zeros((), dtype=torch.int64))

    @property
    def settled(self) -> bool:
        """True if the factor no longer changes."""
        return int(self.tried) >= self.steps

    def factor(self) -> float:
        """Factor of the terms, from the steps measured so far."""
        return self.ratio * int(self.count) / float(self.total) if self.total > 0 else 1.0

    def measure(self, terms: Iterable[Tensor], losses: Iterable[Tensor], features: Sequence[Tensor]) -> None:
        """Add one step to the measurement; arguments as in `gradient_ratio`.

        A step in which no term has a graph does not count, such as a step that the option `every_k` leaves out.
        """
        terms = [term for term in terms if term.requires_grad]
        if self.settled or not terms:
            return
        self.tried += 1
        ratio = gradient_ratio(terms, losses, features)
        if ratio > 0:
            self.total += ratio
            self.count += 1


def gradient_ratio(terms: Iterable[Tensor], losses: Iterable[Tensor], features: Sequence[Tensor]) -> Tensor:
    """|gradient of the sum of `terms`| / |gradient of the sum of `losses`| on the feature maps; 0 if either is 0.

    Args:
        terms: scalar terms of the regularizer.
        losses: scalar losses of the tasks.
        features: the feature maps, part of the graph of both.
    """
    of_terms = gradient_norm(terms, features)
    if of_terms == 0:
        return of_terms
    of_losses = gradient_norm(losses, features)
    return torch.where(of_losses > 0, of_terms / of_losses.clamp(min=1e-30), 0.0)


def gradient_norm(terms: Iterable[Tensor], features: Sequence[Tensor]) -> Tensor:
    """Norm of the gradient of the summed terms on all maps of the batch together. The graph is kept."""
    gradients = [gradient.float().norm() for gradient in _gradients(terms, features) if gradient is not None]
    if not gradients:
        return torch.zeros(())
    norm = torch.stack(gradients).norm()
    return norm if num_parts() == 1 else sum_over_parts(norm.square()).sqrt()


def _gradients(terms: Iterable[Tensor], inputs: Sequence[Tensor]) -> tuple[Tensor | None, ...]:
    reached = [term for term in terms if term.requires_grad]
    inputs = [tensor for tensor in inputs if tensor.requires_grad]
    if not reached or not inputs:
        return ()
    return torch.autograd.grad(torch.stack(reached).sum(), inputs, retain_graph=True, allow_unused=True)


class GradientProbe(nn.Module):
    """Measures a regularizer in the middle of each of several equal parts of the training.

    The number of the last measured part belongs to the state dict, so a resumed run repeats no measurement.

    Args:
        num_probes: number of parts.
    """

    def __init__(self, num_probes: int = NUM_PROBES) -> None:
        super().__init__()
        self.num_probes = num_probes
        self.done = 0

    def get_extra_state(self) -> dict[str, int]:
        """Number of the part that was measured last."""
        return {"done": self.done}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Continue from `get_extra_state`."""
        self.done = state["done"]

    def terms(
        self,
        work: Callable[[], dict[str, Tensor]],
        losses: Terms,
        task_losses: Terms,
        features: Sequence[Tensor],
        weights: Sequence[Tensor],
        progress: float,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Terms of a regularizer, and the measurements of this step.

        Args:
            work: computes the terms.
            losses: all terms of the method.
            task_losses: loss of each task, by task name.
            features: shared feature maps of the method.
            weights: trained parameters of the regularizer.
            progress: completed share of the training.

        Returns:
            The terms; and the measurements, empty in most steps: `seconds` of the regularizer's forward and backward
            pass, `memory_mb` kept between the two, `gradient_ratio` of all terms, and `gradient_ratio_<task>` between
            the terms of a task (see `task_of`) and its loss.
        """
        part = int(progress * self.num_probes + 0.5)
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
        for task, loss in task_losses.items():
            terms_of_task = [term for name, term in terms.items() if task_of(name, task_losses) == task]
            if terms_of_task:
                found[f"{RATIO}_{task}"] = gradient_ratio(terms_of_task, [loss], features)
        return terms, found


def task_of(name: str, tasks: Iterable[str]) -> str | None:
    """Task of a term named `<prefix>_<task>`; the longest match, so `loss_sensor_depth` is not a term of `depth`."""
    return max((task for task in tasks if name.endswith(f"_{task}")), key=len, default=None)


class KeptMemory:
    """Memory that a graph keeps for its backward pass. Each storage counts once.

    Args:
        exclude: tensors that exist without the graph.
    """

    def __init__(self, exclude: Iterable[Tensor]) -> None:
        self.sizes: dict[int, int] = {}
        self.exclude = {tensor.untyped_storage().data_ptr() for tensor in exclude}

    def note(self, tensor: Tensor) -> Tensor:
        """Count a tensor that is saved for the backward pass; a hook of `saved_tensors_hooks`."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.exclude:
            self.sizes[storage.data_ptr()] = storage.nbytes()
        # Without detach, an operation that saves its own result would hold a reference to itself.
        return tensor.detach()

    @property
    def mb(self) -> float:
        """Size in MiB."""
        return sum(self.sizes.values()) / 2**20
