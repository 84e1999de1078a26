"""Renderings of a trained 3D-aware regularizer for figures: the view of an image, and views of a moving camera."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from benchmark.contracts import Batch, MultiTaskOutput
from benchmark.visualization.colors import Picture
from benchmark.visualization.triplane_figures import Density, NovelView, RenderedImage
from regularizers.three_d_aware.camera import Camera
from regularizers.three_d_aware.diagnostics import entropies
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.renderer import Rendering
from regularizers.three_d_aware.sampler import Triplane
from regularizers.three_d_aware.scene import Scene
from regularizers.three_d_aware.volume import expected_depth

NUM_POSES = 16


def render_image(
    image: Picture, batch: Batch, output: MultiTaskOutput, planes: Sequence[Triplane], regularizer: ThreeDAware
) -> RenderedImage:
    """Render a batch of one image from its own camera.

    Args:
        image: the image as RGB.
        batch: the batch of this image alone.
        output: output of the method for the batch.
        planes: triplanes of the batch.
        regularizer: the trained regularizer, in eval mode.
    """
    rays, renderings = regularizer.source_view(batch, planes, jittered=False)
    rendered = {name: maps[0] for part in renderings for name, maps in part.predictions.items()}
    opaque_far = regularizer.renderer.opaque_far
    densities = [
        Density(
            [task for task, density in densities_of(scene).items() if density == name],
            weights[0],
            expected_depth(weights, rays.depth, opaque_far)[0],
            entropies(weights)[0],
        )
        for scene, part in zip(regularizer.scenes, renderings, strict=True)
        for name, weights in part.weights.items()
    ]
    weights, _ = depth_density(regularizer, renderings)
    return RenderedImage(
        image,
        regularizer.tasks,
        {name: target[0] for name, target in batch["targets"].items()},
        {name: maps[0] for name, maps in output.predictions.items()},
        {name: rendered[name] for name in regularizer.tasks if name in rendered},
        rays.depth[0],
        densities,
        expected_depth(weights, rays.depth, opaque_far)[0],
        regularizer.depth_task,
    )


def camera_arc(swing: float, distance: float, num_poses: int = NUM_POSES) -> list[Tensor]:
    """Poses (4, 4), camera to world, of a camera that swings right, left and back to the start.

    The camera keeps its distance from a point of the optical axis and looks at this point. The first pose is the
    identity.

    Args:
        swing: largest offset to either side, metres.
        distance: depth of the point, metres.
        num_poses: number of poses.

    Raises:
        ValueError: unless 0 < swing < distance.
    """
    if not 0 < swing < distance:
        raise ValueError(f"the swing must lie between 0 and the median depth of {distance:.2f} m, found {swing:g} m")
    largest = math.asin(swing / distance)
    angles = [largest * math.sin(2 * math.pi * step / num_poses) for step in range(num_poses)]
    return [_pose_on_arc(angle, distance) for angle in angles]


def _pose_on_arc(angle: float, distance: float) -> Tensor:
    """Pose at an angle of the arc, in radians, positive to the right. Columns are right, down and forward."""
    sine, cosine = math.sin(angle), math.cos(angle)
    return torch.tensor(
        [
            [cosine, 0.0, -sine, distance * sine],
            [0.0, 1.0, 0.0, 0.0],
            [sine, 0.0, cosine, distance * (1 - cosine)],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def novel_views(
    regularizer: ThreeDAware, planes: Sequence[Triplane], source: Camera, poses: Sequence[Tensor]
) -> Iterator[NovelView]:
    """Render the scene of one image for other cameras.

    Args:
        regularizer: the trained regularizer, in eval mode.
        planes: triplanes of the image.
        source: camera of the image.
        poses: poses (4, 4) of the other cameras in the frame of `source`, camera to world.
    """
    for pose in poses:
        target = Camera(source.intrinsics, source.size, pose.to(source.intrinsics)[None])
        rays, renderings = regularizer.novel_view(planes, source, target, jittered=False)
        weights, left = depth_density(regularizer, renderings)
        opaque_far = regularizer.renderer.opaque_far
        _, inside = rays.located()
        absorbed = torch.where(inside[..., -1] & opaque_far, 1.0, 1 - left)
        predictions = {name: maps[0] for part in renderings for name, maps in part.predictions.items()}
        depth = expected_depth(weights, rays.depth, opaque_far)[0]
        yield NovelView(float(pose[0, 3]), depth, (absorbed > 0.5)[0], predictions)


def depth_density(regularizer: ThreeDAware, renderings: Sequence[Rendering]) -> tuple[Tensor, Tensor]:
    """Ray weights (B, h, w, D) and transmittance (B, h, w) of the density of the depth task, or of the first density.

    Args:
        regularizer: the regularizer.
        renderings: one rendering for each of its scenes.
    """
    for scene, rendering in zip(regularizer.scenes, renderings, strict=True):
        name = densities_of(scene).get(str(regularizer.depth_task))
        if name is not None:
            return rendering.weights[name], rendering.left[name]
    name = next(iter(renderings[0].weights))
    return renderings[0].weights[name], renderings[0].left[name]


def densities_of(scene: nn.Module) -> Mapping[str, str]:
    """Name of the density of each task of a `Scene`."""
    return cast(Scene, scene).fields.densities
