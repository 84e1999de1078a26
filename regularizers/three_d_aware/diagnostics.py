"""Whether the density has learnt a geometry: numbers to log, no losses.

A camera that never moves lets the xy plane carry every prediction while the weights of the rays stay flat. Then their
entropy is near log D and the expected depth tells nothing of the true one.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from benchmark.tasks import Task
from regularizers.three_d_aware.renderer import Rendering


@torch.no_grad()
def diagnose(renderings: Iterable[Rendering], depth: Tensor, label: tuple[Task, Tensor] | None) -> dict[str, Tensor]:
    """Means over the densities of one batch.

    Args:
        renderings: of the batch.
        depth: (B, D) metres of the samples.
        label: a depth task and its target, where there is one.

    Returns:
        ray_entropy: of the weights of a ray, in nats, at most log D; mean over rays.
        ray_opacity: share of the light that the rays absorb before their far end.
        depth_correlation: of expected with true depth over valid pixels, there with `label`.
    """
    pairs = [(part.weights[name], part.left[name]) for part in renderings for name in part.weights]
    found = {
        "ray_entropy": [ray_entropy(weights) for weights, _ in pairs],
        "ray_opacity": [1 - left.mean() for _, left in pairs],
    }
    if label is not None:
        found["depth_correlation"] = [depth_correlation(weights, depth, *label) for weights, _ in pairs]
    return {name: torch.stack(values).mean() for name, values in found.items()}


def ray_entropy(weights: Tensor) -> Tensor:
    """Mean over the rays of `entropies`."""
    return entropies(weights).mean()


def entropies(weights: Tensor) -> Tensor:
    """(B, h, w) entropy of (B, h, w, D) weights in nats, each ray's scaled to sum to 1."""
    shares = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
    return torch.special.entr(shares).sum(-1)


def depth_correlation(weights: Tensor, depth: Tensor, task: Task, target: Tensor) -> Tensor:
    """Correlation of the mean depth of rays with true depth in the middle of their cells; 0 if either is constant."""
    mean = (weights * depth[:, None, None]).sum(-1) / weights.sum(-1).clamp(min=1e-6)
    height, width = mean.shape[1:]
    rows, columns = (
        ((torch.arange(cells, device=target.device) + 0.5) * extent / cells).long()
        for cells, extent in zip((height, width), target.shape[-2:], strict=True)
    )
    true = target[..., rows[:, None], columns]
    valid = task.valid(true)
    return correlation(mean[valid], true[:, 0][valid])


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's correlation of two vectors, 0 where either is constant or empty."""
    if first.numel() < 2:
        return first.new_zeros(())
    first, second = (values.double() - values.double().mean() for values in (first, second))
    norms = first.norm() * second.norm()
    return torch.where(norms > 0, (first * second).sum() / norms.clamp(min=1e-30), 0.0).float()
