"""3D-aware regularizer on pairs of views: a second view is rendered from the triplane of the first.

Source: Li, McDonagh, Leonardis, Bilen, "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986: its multi-view extension, in which video frames with depth labels alone join the
training set, and the losses of second views have a weight of their own.
Differs from the paper: all labels of a second view are used, with normals rotated into its camera. Pixels whose surface
lies outside of the frustum of the first view are not used. Occlusions are left to the volume. Poses are part of the
data, see `datasets.loading.pairs`; the paper runs COLMAP. Other points are as in `three_d_aware`.
Consulted: no code of the paper is public.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, SecondView
from benchmark.registry import REGULARIZERS
from benchmark.tasks import IGNORE_LABEL, Task, TaskSet
from regularizers.three_d_aware.camera import Camera, inside_cube
from regularizers.three_d_aware.rays import Rays
from regularizers.three_d_aware.regularizer import ThreeDAware, source_camera
from regularizers.three_d_aware.sampler import Triplane

NORMAL_AXES = (1.0, 1.0, -1.0)
"""Axes of labelled normals, in camera axes: z of a normal points towards the camera."""


@REGULARIZERS.register(
    "three_d_aware_multiview",
    title="3D-aware, multi-view",
    paper="https://arxiv.org/abs/2310.00986",
    year=2024,
    version=3,
)
class ThreeDAwareMultiview(ThreeDAware, fixed={"depth": None, "metric_rays": None}):
    """`three_d_aware`, and the same losses on the second views of a batch.

    Without posed pairs in the training split (`train_dataloader.dataset.pairs` of the recipe) it is `three_d_aware`.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of all terms, multiplied with the tasks' own loss weights.
        view_weight: further factor of the losses of second views.
        options: options of `three_d_aware` except `depth` and `metric_rays`: a depth task is predicted as the mean
            depth of the ray weights, and lengths are metres.

    Raises:
        ValueError: for a value outside of its range, or if a task has no feature map to read.
    """

    label = "three_d_aware_multiview"
    # A part may have no second view, and would then not take part in the sums over parts.
    by_parts = False

    def __init__(
        self,
        tasks: TaskSet,
        feature_specs: tuple[FeatureSpec, ...],
        weight: float = 0.5,
        view_weight: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(tasks, feature_specs, weight, **options)
        if view_weight < 0:
            raise ValueError(f"view_weight must not be negative, found {view_weight}")
        self.view_weight = view_weight
        # Another view needs lengths in metres, also without a depth task.
        self.sampler = replace(self.sampler, metric=None)

    def terms(self, batch: Batch, output: MultiTaskOutput, factor: float) -> dict[str, Tensor]:
        """Terms of the first views, and `loss_three_d_aware_multiview_view_<task>` of the second views."""
        planes = self.triplanes(batch, output.features)
        terms = self.weighted(self.label, self.render(batch, planes), batch["targets"], factor)
        label = f"{self.label}_view"
        paired = (
            batch["second_view"]["has_second_view"].nonzero()[:, 0]
            if "second_view" in batch
            else torch.zeros(0, dtype=torch.int64)
        )
        self.found = {**self.found, "paired": torch.tensor(len(paired) / len(batch["images"]))}
        if not len(paired) or not self.view_weight:
            return terms | {f"loss_{label}_{name}": batch["images"].new_zeros(()) for name in self.task_factors}
        predictions, targets = self.second_views(batch, planes, paired)
        return terms | self.weighted(label, predictions, targets, factor * self.view_weight)

    def second_views(
        self, batch: Batch, planes: Sequence[Triplane], paired: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Predictions and targets of the second views of some samples.

        Args:
            batch: with "second_view".
            planes: triplanes of all images of the batch.
            paired: indices of samples that have a second view.

        Returns:
            raw predictions (N, C, h, w), and targets without the pixels outside of the frustum of the first view.

        Raises:
            ValueError: for a batch without intrinsics.
        """
        second = select_views(batch["second_view"], paired)
        cameras = source_camera(batch, planes[0].xy)
        if cameras is None:
            raise ValueError("a second view needs the camera of the first: the batch has no intrinsics")
        source = Camera(cameras.intrinsics[paired], cameras.size)
        target = Camera(second["intrinsics"].to(source.intrinsics), cameras.size, invert_pose(second["pose"]))
        selected = [Triplane(triplane.xy[paired], triplane.xz[paired], triplane.yz[paired]) for triplane in planes]
        rays, renderings = self.novel_view(selected, source, target, self.training)
        predictions = {name: maps for part in renderings for name, maps in part.predictions.items()}
        rotation = second["pose"][:, :3, :3]
        for name, maps in predictions.items():
            if self.tasks[name].readout == "direction":
                predictions[name] = rotate_normals(maps, rotation)
        depth = second["targets"][self.depth_task] if self.depth_task else None
        visible = self.visible_mask(source, target, rays, depth)
        self.found["seen"] = visible.float().mean()
        targets = {name: mask_labels(self.tasks[name], labels, visible) for name, labels in second["targets"].items()}
        return predictions, targets

    def visible_mask(self, source: Camera, target: Camera, rays: Rays, depth: Tensor | None) -> Tensor:
        """(B, H, W) True for pixels of the second view whose surface lies in the frustum of the first view.

        Labelled depth gives the surface. At other pixels at least half of the samples of a ray must lie inside.
        """
        mostly = rays.located()[1].float().mean(-1) >= 0.5
        mask = F.interpolate(mostly[:, None].float(), size=source.size, mode="nearest-exact")[:, 0] > 0
        if depth is None or self.depth_task is None:
            return mask
        valid = self.tasks[self.depth_task].valid(depth)
        metres = torch.where(valid, depth[:, 0], 1.0)
        points = target.to_world(target.directions(source.size) * metres[..., None])
        inside = inside_cube(source.to_cube(points, self.sampler.depth_map))
        return torch.where(valid, inside & (source.from_world(points)[..., 2] > 0), mask)


def select_views(views: SecondView, samples: Tensor) -> SecondView:
    """Second views of some samples."""
    return SecondView(
        targets={name: labels[samples] for name, labels in views["targets"].items()},
        intrinsics=views["intrinsics"][samples],
        pose=views["pose"][samples],
        has_second_view=views["has_second_view"][samples],
    )


def invert_pose(pose: Tensor) -> Tensor:
    """Inverse of rigid transforms (B, 4, 4)."""
    rotation = pose[:, :3, :3].mT
    inverse = pose.clone()
    inverse[:, :3, :3] = rotation
    inverse[:, :3, 3:] = -rotation @ pose[:, :3, 3:]
    return inverse


def rotate_normals(normals: Tensor, rotation: Tensor) -> Tensor:
    """Normals (B, 3, h, w) of the first camera, in the axes of the second camera.

    Args:
        normals: x right, y down, z towards the camera.
        rotation: (B, 3, 3) from the first camera to the second; x right, y down, z forward.
    """
    axes = rotation.new_tensor(NORMAL_AXES)
    return torch.einsum("bij,bjhw->bihw", axes[:, None] * rotation * axes, normals)


def mask_labels(task: Task, labels: Tensor, visible: Tensor) -> Tensor:
    """Labels with the value of a missing label outside of a mask (B, H, W)."""
    missing = 0 if task.readout in ("value", "direction") else IGNORE_LABEL
    return torch.where(visible if labels.ndim == 3 else visible[:, None], labels, labels.new_tensor(missing))
