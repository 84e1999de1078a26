"""3D-aware regularizer on pairs of views: a second view is rendered from the triplane of the first.

Source: Li, McDonagh, Leonardis, Bilen, "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986: its multi-view extension, where frames of videos with depth alone join the training
set and the second view has a weight of its own.
Differs from the paper: any label that the second view has supervises it, normals turned into its camera. Pixels whose
surface lies outside the frustum of the first view count nothing; what is hidden in it is left to the volume. Poses come
with the data, see `datasets.loading.pairs`, where the paper runs COLMAP. The rest is as in `three_d_aware`.
Consulted: no code of the paper is public.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, SecondView
from benchmark.registry import REGULARIZERS
from benchmark.tasks import IGNORE_LABEL, Task, TaskSet
from regularizers.three_d_aware.camera import Camera, inside_cube
from regularizers.three_d_aware.rays import Rays
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.sampler import Triplane
from regularizers.three_d_aware.scene import source_camera
from regularizers.three_d_aware.variant import without_options

TOWARDS_CAMERA = (1.0, 1.0, -1.0)
"""The axes of labelled normals in those of the camera: z is counted towards it."""


@REGULARIZERS.register(
    "three_d_aware_multiview", title="3D-aware, multi-view", paper="https://arxiv.org/abs/2310.00986", year=2024
)
class ThreeDAwareMultiview(ThreeDAware):
    """`three_d_aware`, and the same losses on second views where a batch has them.

    Without posed pairs in the training split (`train_dataloader.dataset.pairs` of the recipe) it is `three_d_aware`.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        view_weight: further factor of the losses of second views.
        options: the others of `three_d_aware`; depth is always that of the weights, and lengths are metres.
    """

    label = "three_d_aware_multiview"
    __signature__ = without_options("depth", "metric_rays", also={"view_weight": 1.0})

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

    def terms(self, batch: Batch, output: MultiTaskOutput, factor: float) -> dict[str, Tensor]:
        """Those of the first views, and `loss_three_d_aware_multiview_view_<task>` of the second ones."""
        planes = self.triplanes(batch, output.features)
        own = self.weighted(self.label, self.render(batch, planes), batch["targets"], factor)
        label = f"{self.label}_view"
        chosen = (
            batch["second_view"]["has_second_view"].nonzero()[:, 0]
            if "second_view" in batch
            else torch.zeros(0, dtype=torch.int64)
        )
        self.found = {**self.found, "paired": torch.tensor(len(chosen) / len(batch["images"]))}
        if not len(chosen) or not self.view_weight:
            return own | {f"loss_{label}_{name}": batch["images"].new_zeros(()) for name in self.strength.rendered}
        predictions, targets = self.second_views(batch, planes, chosen)
        return own | self.weighted(label, predictions, targets, factor * self.view_weight)

    def second_views(
        self, batch: Batch, planes: Sequence[Triplane], chosen: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Predictions for the second views of some samples, and their labels where the first view shows the place.

        Args:
            batch: with "second_view".
            planes: the triplanes of all its images.
            chosen: indices of the samples.

        Raises:
            ValueError: if the batch has no intrinsics.
        """
        other = selected(batch["second_view"], chosen)
        whole = source_camera(batch, planes[0].xy)
        if whole is None:
            raise ValueError("a second view needs the camera of the first: the batch has no intrinsics")
        source = Camera(whole.intrinsics[chosen], whole.size)
        target = Camera(other["intrinsics"].to(source.intrinsics), whole.size, inverted(other["pose"]))
        those = [Triplane(made.xy[chosen], made.xz[chosen], made.yz[chosen]) for made in planes]
        rays, renderings = self.views.novel(self.scenes, those, source, target, self.training)
        predictions = {name: maps for part in renderings for name, maps in part.predictions.items()}
        rotation = other["pose"][:, :3, :3]
        for name, maps in predictions.items():
            if self.tasks[name].readout == "direction":
                predictions[name] = turned(maps, rotation)
        depth = other["targets"][self.depth_task] if self.depth_task else None
        seen = shown(source, target, rays, depth, self)
        self.found["seen"] = seen.float().mean()
        return predictions, {name: hidden(self.tasks[name], labels, seen) for name, labels in other["targets"].items()}


def selected(other: SecondView, chosen: Tensor) -> SecondView:
    """The second views of some samples."""
    return SecondView(
        targets={name: labels[chosen] for name, labels in other["targets"].items()},
        intrinsics=other["intrinsics"][chosen],
        pose=other["pose"][chosen],
        has_second_view=other["has_second_view"][chosen],
    )


def inverted(pose: Tensor) -> Tensor:
    """The inverse of rigid transforms (B, 4, 4)."""
    turned_back = pose[:, :3, :3].mT
    found = pose.clone()
    found[:, :3, :3] = turned_back
    found[:, :3, 3:] = -turned_back @ pose[:, :3, 3:]
    return found


def turned(normals: Tensor, rotation: Tensor) -> Tensor:
    """Normals (B, 3, h, w) of the first camera as the second sees them.

    Args:
        normals: x right, y down, z towards the camera.
        rotation: (B, 3, 3) from the first camera to the second, z forward.
    """
    axes = rotation.new_tensor(TOWARDS_CAMERA)
    return torch.einsum("bij,bjhw->bihw", axes[:, None] * rotation * axes, normals)


def shown(source: Camera, target: Camera, rays: Rays, depth: Tensor | None, beside: ThreeDAware) -> Tensor:
    """(B, H, W) which pixels of the second view show a place in the frustum of the first.

    Where depth is labelled it says which place that is; elsewhere half of the samples of a ray must lie inside.
    """
    if rays.inside is None:
        raise ValueError("these rays are those of the first view")
    mostly = rays.inside.float().mean(-1) >= 0.5
    whole = F.interpolate(mostly[:, None].float(), size=source.size, mode="nearest-exact")[:, 0] > 0
    if depth is None or beside.depth_task is None:
        return whole
    known = beside.tasks[beside.depth_task].valid(depth)
    metres = torch.where(known, depth[:, 0], 1.0)
    points = target.to_world(target.directions(source.size) * metres[..., None])
    inside = inside_cube(source.to_cube(points, beside.views.sampler.depth_map))
    return torch.where(known, inside & (source.from_world(points)[..., 2] > 0), whole)


def hidden(task: Task, labels: Tensor, seen: Tensor) -> Tensor:
    """Labels without those of pixels that are not seen."""
    missing = 0 if task.readout in ("value", "direction") else IGNORE_LABEL
    return torch.where(seen if labels.ndim == 3 else seen[:, None], labels, labels.new_tensor(missing))
