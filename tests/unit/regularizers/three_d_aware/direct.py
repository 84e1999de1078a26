"""Direct formulation: every point is read from the planes, and every sample passes the whole network.

Reference for values, gradients and time of the fast paths. It shares no code with them but the parameters: planes are
read by torch's grid_sample, transmittance is a product, and layers are applied in their order.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.sampler import Triplane


def axis_points(grid: tuple[int, int], z: Tensor) -> Tensor:
    """(B, H, W, D, 3) points of the rays through pixel centres, in the cube."""
    height, width = grid
    y = (torch.arange(height, dtype=z.dtype) + 0.5) * 2 / height - 1
    x = (torch.arange(width, dtype=z.dtype) + 0.5) * 2 / width - 1
    shape = (len(z), height, width, z.shape[1])
    return torch.stack(
        [x[None, None, :, None].expand(shape), y[None, :, None, None].expand(shape), z[:, None, None].expand(shape)],
        dim=-1,
    )


def read(planes: Triplane, points: Tensor) -> Tensor:
    """(B, H, W, D, C) means of the planes at points."""
    batch, height, width, samples, _ = points.shape
    flat = points.reshape(batch, height * width, samples, 3)
    x, y, z = flat.unbind(-1)
    found = [
        F.grid_sample(plane, torch.stack(axes, -1), padding_mode="border", align_corners=False)
        for plane, axes in ((planes.xy, (x, y)), (planes.xz, (x, z)), (planes.yz, (y, z)))
    ]
    return torch.stack(found).mean(0).movedim(1, -1).reshape(batch, height, width, samples, -1)


def weigh(density: Tensor, lengths: Tensor, opaque_far: bool) -> Tensor:
    """(..., D) weights from products of transmittances."""
    through = torch.exp(-density * lengths)
    if opaque_far:
        through = torch.cat([through[..., :-1], torch.zeros_like(through[..., -1:])], dim=-1)
    before = torch.cat([torch.ones_like(through[..., :1]), through.cumprod(-1)[..., :-1]], dim=-1)
    return before * (1 - through)


def network(fields: TaskField, head: str, features: Tensor, z: Tensor) -> Tensor:
    """Output of a head for every sample."""
    first = fields.first[fields.trunks[head]]
    inputs = torch.cat([features, z[..., None]], -1) if first.in_features > features.shape[-1] else features
    return fields.last[head](torch.relu(first(inputs)))


def render(
    fields: TaskField, planes: Triplane, points: Tensor, lengths: Tensor, depth: Tensor, opaque_far: bool = True
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Predictions by task (B, C, H, W) and weights by density (B, H, W, D)."""
    features = read(planes, points)
    weights = {
        name: weigh(F.softplus(network(fields, name, features, points[..., 2])[..., 0] - 1), lengths, opaque_far)
        for name in dict.fromkeys(fields.densities.values())
    }
    predictions = {}
    for task, channels in fields.outputs.items():
        share = weights[fields.densities[task]][..., None]
        values = (
            depth[:, None, None, :, None] / (1 if opaque_far else share.sum(-2, keepdim=True))
            if channels is None
            else network(fields, f"task_{task}", features, points[..., 2])
        )
        predictions[task] = (share * values).sum(-2).movedim(-1, 1)
    return predictions, weights
