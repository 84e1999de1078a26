"""Small networks from the features of a point to its density and to the raw prediction of each task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from regularizers.three_d_aware.factored_mlp import AxisHidden, DenseHidden
from regularizers.three_d_aware.sampler import AxisSamples

SHARED = "density"
"""Name of the density head of all tasks."""
DENSITY_SHIFT = 1.0
"""Subtracted before the softplus, so that an untrained field has low density (EG3D)."""


class TaskField(nn.Module):
    """One hidden layer with ReLU for each task and each density.

    Args:
        channels: C of the triplane.
        outputs: channels of each task; None for a task that is computed from ray weights alone.
        hidden: width of a hidden layer.
        densities: "shared" for one density of all tasks, "per_task", or "none".
        shared_trunk: one hidden layer for all tasks and densities: T + 1 times fewer operations with T tasks.
        read_z: z is a further input of the hidden layers.
    """

    def __init__(
        self,
        channels: int,
        outputs: Mapping[str, int | None],
        hidden: int = 64,
        densities: str = "shared",
        shared_trunk: bool = False,
        read_z: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.outputs = dict(outputs)
        self.densities = {name: f"{SHARED}_{name}" if densities == "per_task" else SHARED for name in outputs}
        sizes: dict[str, int] = {} if densities == "none" else dict.fromkeys(self.densities.values(), 1)
        sizes |= {f"task_{name}": count for name, count in outputs.items() if count is not None}
        self.trunks = {head: "trunk" if shared_trunk else head for head in sizes}
        self.first = nn.ModuleDict(
            {trunk: nn.Linear(channels + read_z, hidden) for trunk in dict.fromkeys(self.trunks.values())}
        )
        self.last = nn.ModuleDict({head: nn.Linear(hidden, count) for head, count in sizes.items()})

    def hidden_on_axis(self, samples: AxisSamples, trunk: str, row_chunk: int | None = None) -> AxisHidden:
        """Hidden vectors of a trunk on rays along z. Its layer is applied to the planes."""
        weight, bias, per_z = self._first_layer(trunk)
        # 1/3: mean over the planes. Interpolation weights sum to 1, so the linear layer may be applied before reading.
        xy = F.linear(samples.xy.movedim(1, -1), weight / 3, bias)
        xz = F.linear(samples.xz.permute(0, 3, 2, 1), weight / 3)
        yz = F.linear(samples.yz.permute(0, 3, 2, 1), weight / 3)
        if per_z is not None:
            yz = yz + samples.z[:, None, :, None] * per_z
        return AxisHidden(xy, xz, yz, row_chunk)

    def hidden_at_points(self, features: Tensor, z: Tensor, trunk: str) -> DenseHidden:
        """Hidden vectors of a trunk for features (B, h, w, D, C) of points with z (B, h, w, D)."""
        weight, bias, per_z = self._first_layer(trunk)
        before = F.linear(features, weight, bias)
        return DenseHidden(F.relu(before if per_z is None else before + z[..., None] * per_z))

    def density(self, name: str, hidden: AxisHidden | DenseHidden) -> Tensor:
        """(B, h, w, D) non-negative output of the density head `name`."""
        layer = cast(nn.Linear, self.last[name])
        return F.softplus(hidden.project(layer.weight[0]) + layer.bias - DENSITY_SHIFT)

    def rendered(self, name: str, sums: Tensor, total: Tensor) -> Tensor:
        """(B, C, h, w) prediction of a task from composited hidden vectors (B, h, w, N), summed weights (B, h, w)."""
        layer = cast(nn.Linear, self.last[f"task_{name}"])
        # The last layer is linear: applied after the weighted sum, with the bias times the summed weights.
        return (F.linear(sums, layer.weight) + total[..., None] * layer.bias).movedim(-1, 1)

    def _first_layer(self, trunk: str) -> tuple[Tensor, Tensor, Tensor | None]:
        layer = cast(nn.Linear, self.first[trunk])
        weight = layer.weight
        per_z = weight[:, self.channels] if weight.shape[1] > self.channels else None
        return weight[:, : self.channels], layer.bias, per_z
