"""Rendering every task of one triplane, on rays along its axis or of another camera."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from regularizers.three_d_aware.factored_mlp import AxisHidden, DenseHidden
from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.rays import Rays
from regularizers.three_d_aware.sampler import Triplane, sample_axis_aligned, sample_points
from regularizers.three_d_aware.volume import composite, equal_weights, expected_depth

HiddenOf = Callable[[str], AxisHidden | DenseHidden]
Weigh = Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Rendering:
    """What the rays of one view gather.

    Args:
        predictions: by task name, (B, C, h, w).
        weights: by name of the density, (B, h, w, D).
        left: by name of the density, (B, h, w) share of the light that passes everything.
    """

    predictions: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    left: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Renderer:
    """How rays are composited.

    Args:
        opaque_far: see `volume.composite`.
        weigh: densities, lengths and `opaque_far` -> weights and what is left, as `volume.composite`; None for equal
            weights, for a field without density.
        detached: tasks that send no gradient into the density.
        row_chunk: rows whose hidden vectors are held at once where they are held; None for what memory suggests on rays
            along z, and for all elsewhere.
    """

    opaque_far: bool = True
    weigh: Weigh | None = composite
    detached: Collection[str] = ()
    row_chunk: int | None = None

    def source_view(self, fields: TaskField, planes: Triplane, rays: Rays) -> Rendering:
        """Render on rays along z."""
        samples = sample_axis_aligned(planes, rays.z)
        return self._render(fields, lambda trunk: fields.hidden_on_axis(samples, trunk, self.row_chunk), rays)

    def novel_view(self, fields: TaskField, planes: Triplane, rays: Rays) -> Rendering:
        """Render rays with points of their own, some rows at a time; nothing is outside the cube of the triplane.

        Raises:
            ValueError: if the rays have no points.
        """
        if rays.points is None or rays.inside is None:
            raise ValueError("these rays have no points: they are those of the source view")
        height = rays.points.shape[1]
        step = self.row_chunk or height
        bands = [slice(top, top + step) for top in range(0, height, step)]
        parts = [
            checkpoint(self._band, fields, planes, rays, rows, use_reentrant=False, preserve_rng_state=False)
            for rows in bands
        ]
        return _joined(parts)

    def _band(self, fields: TaskField, planes: Triplane, rays: Rays, rows: slice) -> Rendering:
        if rays.points is None or rays.inside is None:
            raise ValueError("these rays have no points: they are those of the source view")
        points, inside = rays.points[:, rows], rays.inside[:, rows]
        features = sample_points(planes, points)
        band = Rays(rays.z, rays.depth, rays.lengths[:, rows] * inside, points, inside)
        return self._render(fields, lambda trunk: fields.hidden_at_points(features, points[..., 2], trunk), band)

    def _render(self, fields: TaskField, hidden_of: HiddenOf, rays: Rays) -> Rendering:
        volumes, rendering = Volumes(fields, hidden_of), Rendering()
        for name in dict.fromkeys(fields.densities.values()):
            if self.weigh is None:
                rendering.weights[name], rendering.left[name] = equal_weights(volumes.any().samples, rays.z)
            else:
                density = fields.density(name, volumes.of(name))
                rendering.weights[name], rendering.left[name] = self.weigh(density, rays.lengths, self.opaque_far)
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


class Volumes:
    """The hidden vectors of one trunk at a time: what they take is free again for the next trunk."""

    def __init__(self, fields: TaskField, hidden_of: HiddenOf) -> None:
        self.trunks = fields.trunks
        self.hidden_of = hidden_of
        self.held: dict[str, AxisHidden | DenseHidden] = {}

    def any(self) -> AxisHidden | DenseHidden:
        """The hidden vectors that the first head reads."""
        return self.of(next(iter(self.trunks)))

    def of(self, head: str) -> AxisHidden | DenseHidden:
        """The hidden vectors that a head reads."""
        trunk = self.trunks[head]
        if trunk not in self.held:
            self.held = {trunk: self.hidden_of(trunk)}
        return self.held[trunk]


def _joined(parts: list[Rendering]) -> Rendering:
    """Bands of rows, one below the other."""
    first = parts[0]
    return Rendering(
        {name: torch.cat([part.predictions[name] for part in parts], dim=2) for name in first.predictions},
        {name: torch.cat([part.weights[name] for part in parts], dim=1) for name in first.weights},
        {name: torch.cat([part.left[name] for part in parts], dim=1) for name in first.left},
    )
