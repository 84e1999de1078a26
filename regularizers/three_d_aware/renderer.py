"""Rendering of every task from one triplane, on rays of the source camera or of another camera."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from regularizers.three_d_aware.factored_mlp import AxisHidden, DenseHidden
from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.rays import Rays
from regularizers.three_d_aware.sampler import Triplane, sample_axis_aligned, sample_points
from regularizers.three_d_aware.volume import composite, equal_weights, expected_depth, inside_weights

Hidden = AxisHidden | DenseHidden
Weigh = Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Rendering:
    """Rendered images of one view.

    Args:
        predictions: (B, C, h, w) by task.
        weights: (B, h, w, D) ray weights by density.
        left: (B, h, w) transmittance of whole rays by density.
    """

    predictions: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    left: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Renderer:
    """Compositing of fields along rays.

    Args:
        opaque_far: see `volume.composite`.
        weigh: (densities, lengths, opaque_far) -> (weights, transmittance), such as `volume.composite`; None for equal
            weights of a field without density.
        detached: tasks that send no gradient into the density.
        row_chunk: image rows whose hidden vectors are in memory at once; None to choose by size on rays along z, and
            for all rows of other views.
    """

    opaque_far: bool = True
    weigh: Weigh | None = composite
    detached: Collection[str] = ()
    row_chunk: int | None = None

    def source_view(self, fields: TaskField, planes: Triplane, rays: Rays) -> Rendering:
        """Render rays along z."""
        samples = sample_axis_aligned(planes, rays.z)
        return self._render(fields, lambda trunk: fields.hidden_on_axis(samples, trunk, self.row_chunk), rays)

    def novel_view(self, fields: TaskField, planes: Triplane, rays: Rays) -> Rendering:
        """Render rays at their `points`, in bands of rows. Space outside of the triplane is empty.

        Raises:
            ValueError: if the rays have no points.
        """
        points, _ = rays.located()
        height = points.shape[1]
        step = self.row_chunk or height
        bands = [
            checkpoint(
                self._band, fields, planes, rays, slice(top, top + step), use_reentrant=False, preserve_rng_state=False
            )
            for top in range(0, height, step)
        ]
        return _joined(bands)

    def _band(self, fields: TaskField, planes: Triplane, rays: Rays, rows: slice) -> Rendering:
        points, inside = (values[:, rows] for values in rays.located())
        features = sample_points(planes, points)
        band = replace(rays, lengths=rays.lengths[:, rows] * inside, points=points, inside=inside)
        return self._render(fields, lambda trunk: fields.hidden_at_points(features, points[..., 2], trunk), band)

    def _render(self, fields: TaskField, hidden_of: Callable[[str], Hidden], rays: Rays) -> Rendering:
        volumes, rendering = Volumes(fields, hidden_of), Rendering()
        for name in dict.fromkeys(fields.densities.values()):
            rendering.weights[name], rendering.left[name] = self._weights(fields, name, volumes, rays)
        for task, channels in fields.outputs.items():
            weights = rendering.weights[fields.densities[task]]
            if task in self.detached:
                weights = weights.detach()
            if channels is None:
                rendering.predictions[task] = expected_depth(weights, rays.depth, self.opaque_far).unsqueeze(1)
            else:
                sums = volumes.of(f"task_{task}").composite(weights)
                rendering.predictions[task] = fields.rendered(task, sums, weights.sum(-1))
        return rendering

    def _weights(self, fields: TaskField, name: str, volumes: Volumes, rays: Rays) -> tuple[Tensor, Tensor]:
        """Ray weights (B, h, w, D) and transmittance (B, h, w) of one density."""
        if self.weigh is None:
            return equal_weights(volumes.of(next(iter(fields.trunks))).samples, rays.z)
        weights, left = self.weigh(fields.density(name, volumes.of(name)), rays.lengths, self.opaque_far)
        if self.opaque_far and rays.inside is not None:
            weights = inside_weights(weights, rays.inside)
        return weights, left


class Volumes:
    """Hidden vectors of one trunk at a time; memory of the previous trunk is released."""

    def __init__(self, fields: TaskField, hidden_of: Callable[[str], Hidden]) -> None:
        self.trunks = fields.trunks
        self.hidden_of = hidden_of
        self.current: dict[str, Hidden] = {}

    def of(self, head: str) -> Hidden:
        """Hidden vectors that a head reads."""
        trunk = self.trunks[head]
        if trunk not in self.current:
            self.current = {trunk: self.hidden_of(trunk)}
        return self.current[trunk]


def _joined(bands: list[Rendering]) -> Rendering:
    """Concatenate bands of rows."""

    def rows(parts: list[dict[str, Tensor]], axis: int) -> dict[str, Tensor]:
        return {name: torch.cat([part[name] for part in parts], dim=axis) for name in parts[0]}

    return Rendering(
        rows([band.predictions for band in bands], 2),
        rows([band.weights for band in bands], 1),
        rows([band.left for band in bands], 1),
    )
