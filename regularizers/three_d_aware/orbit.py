"""A walk of the camera around what an image shows, rendered from the triplane of that image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from regularizers.three_d_aware.camera import Camera
from regularizers.three_d_aware.renderer import Rendering
from regularizers.three_d_aware.sampler import Triplane
from regularizers.three_d_aware.scene import Scene, Views
from regularizers.three_d_aware.volume import expected_depth

STEPS = 16


@dataclass(frozen=True)
class OrbitView:
    """One view of the walk.

    Args:
        offset: of the camera to the right of where the image was taken, in metres.
        depth: (h, w) expected depth in this view, in metres.
        seen: (h, w) where most of the weight of a ray lies in the frustum of the image.
        predictions: by task name, (C, h, w).
    """

    offset: float
    depth: Tensor
    seen: Tensor
    predictions: Mapping[str, Tensor]


def arc(swing: float, distance: float, steps: int = STEPS) -> list[Tensor]:
    """Poses (4, 4), camera to world, of a camera that swings right, left and back, once around.

    It keeps its distance from the point of the optical axis that it looks at; the first pose is the identity.

    Args:
        swing: largest offset to either side, in metres.
        distance: depth of that point, in metres.
        steps: number of poses.

    Raises:
        ValueError: if the swing is not between 0 and the distance.
    """
    if not 0 < swing < distance:
        raise ValueError(f"the swing must lie between 0 and the median depth of {distance:.2f} m, found {swing:g} m")
    turns = [math.asin(swing / distance) * math.sin(2 * math.pi * step / steps) for step in range(steps)]
    return [_facing(turn, distance) for turn in turns]


def _facing(turn: float, distance: float) -> Tensor:
    """The pose at an angle of the arc, in radians, positive to the right; columns are right, down and forward."""
    sine, cosine = math.sin(turn), math.cos(turn)
    return torch.tensor(
        [
            [cosine, 0.0, -sine, distance * sine],
            [0.0, 1.0, 0.0, 0.0],
            [sine, 0.0, cosine, distance * (1 - cosine)],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def walk(
    views: Views,
    scenes: nn.ModuleList,
    planes: Sequence[Triplane],
    source: Camera,
    poses: Sequence[Tensor],
    depth_task: str | None,
) -> Iterator[OrbitView]:
    """Render one image from other places.

    Args:
        views: how to render.
        scenes: `Scene`s.
        planes: their triplanes of the one image.
        source: its camera.
        poses: cameras to render, in the frame of that of the image.
        depth_task: the task whose density gives the depth, where there is a choice.
    """
    for pose in poses:
        target = Camera(source.intrinsics, source.size, pose.to(source.intrinsics)[None])
        rays, renderings = views.novel(scenes, planes, source, target, jittered=False)
        weights = weights_of(scenes, renderings, depth_task)
        inside = torch.ones_like(weights) if rays.inside is None else rays.inside.to(weights)
        predictions = {name: maps[0] for part in renderings for name, maps in part.predictions.items()}
        depth = expected_depth(weights, rays.depth, views.renderer.opaque_far)[0]
        yield OrbitView(float(pose[0, 3]), depth, ((weights * inside).sum(-1) > 0.5)[0], predictions)


def weights_of(scenes: nn.ModuleList, renderings: Sequence[Rendering], task: str | None) -> Tensor:
    """(B, h, w, D) weights of the density that a task is rendered with, or of the first where the task is not."""
    for scene, rendering in zip(scenes, renderings, strict=True):
        densities = densities_of(scene)
        if task in densities:
            return rendering.weights[densities[str(task)]]
    return next(iter(renderings[0].weights.values()))


def densities_of(scene: nn.Module) -> Mapping[str, str]:
    """The names of the densities of a `Scene` by the tasks that are rendered with them."""
    return cast(Scene, scene).fields.densities
