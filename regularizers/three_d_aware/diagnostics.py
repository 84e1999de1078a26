"""Statistics of the density that show if it has learnt a geometry.

With a camera that never moves, the xy plane alone can carry every prediction, with equal weights of all D samples of a
ray. The entropy of the weights is then near log D, and the expected depth is unrelated to the true depth.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from benchmark.losses.batch_parts import gather_rows
from benchmark.tasks import Task
from regularizers.three_d_aware.renderer import Rendering


@torch.no_grad()
def diagnose(renderings: Iterable[Rendering], depth: Tensor, label: tuple[Task, Tensor] | None) -> dict[str, Tensor]:
    """Means over the densities of one batch.

    Args:
        renderings: renderings of the batch.
        depth: (B, D) depth of the samples, metres.
        label: a depth task and its target; None without such a task.

    Returns:
        ray_entropy: mean entropy of the ray weights, in nats, at most log D.
        ray_opacity: mean share of the light that is absorbed before the far end of a ray.
        depth_correlation: correlation of expected and true depth over valid pixels; only with `label`.
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
    """Mean of `entropies` over all rays."""
    return entropies(weights).mean()


def entropies(weights: Tensor) -> Tensor:
    """(B, h, w) entropy, in nats, of ray weights (B, h, w, D) scaled to sum to 1."""
    shares = weights / weights.sum(-1, keepdim=True).clamp(min=1e-6)
    return torch.special.entr(shares).sum(-1)


def depth_correlation(weights: Tensor, depth: Tensor, task: Task, target: Tensor) -> Tensor:
    """Correlation of the mean depth of rays with the true depth at their centres; 0 if either is constant."""
    mean = (weights * depth[:, None, None]).sum(-1) / weights.sum(-1).clamp(min=1e-6)
    height, width = mean.shape[1:]
    rows, columns = (
        ((torch.arange(cells, device=target.device) + 0.5) * extent / cells).long()
        for cells, extent in zip((height, width), target.shape[-2:], strict=True)
    )
    true = target[..., rows[:, None], columns]
    # A correlation over the parts of a split batch is not a mean of their correlations.
    mean, true = gather_rows(mean), gather_rows(true)
    valid = task.valid(true)
    return correlation(mean, true[:, 0], valid)


def correlation(first: Tensor, second: Tensor, valid: Tensor) -> Tensor:
    """Pearson's correlation of the valid values of two tensors, 0 where either is constant or empty.

    The mask is applied by `torch.where`, since a boolean index would wait for the GPU.
    """
    count = valid.sum().clamp(min=1)
    first, second = (torch.where(valid, values.double(), 0.0) for values in (first, second))
    first, second = (torch.where(valid, values - values.sum() / count, 0.0) for values in (first, second))
    norms = first.norm() * second.norm()
    return torch.where(norms > 0, (first * second).sum() / norms.clamp(min=1e-30), 0.0).float()
