"""3D-aware regularizer: a triplane is computed from the shared features, and every task is rendered from it.

Source: Li, McDonagh, Leonardis, Bilen, "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. The planes follow EG3D (Chan et al., CVPR 2022), the rendering NeRF (Mildenhall et
al., ECCV 2020), rendered logits Semantic-NeRF (Zhi et al., ICCV 2021).
Differs from the paper: the accessible text leaves open how image rows become the third axis of the planes, the sizes of
planes and networks, the samples per ray, the loss weights, and how small predictions are compared with labels. The
defaults are ours; `options` describes them and their alternatives. All tasks share one density. The last interval of a
ray is infinite, so that every pixel has a prediction. Depth is the mean depth of the ray weights instead of a further
rendered value: on NYU-v2 the density learnt no surfaces without it, see results/history/THREE_D.md. Lengths are metres
if intrinsics are given. The reading closest to the paper is metric_rays=False and depth="feature".
Consulted: no code of the paper is public.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec
from benchmark.losses.batch_parts import random_rows
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet, suggest
from regularizers.three_d_aware.camera import Camera, DepthMap
from regularizers.three_d_aware.diagnostics import diagnose
from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.options import FieldOptions, LossSchedule, MapOptions, PlaneOptions, SamplingOptions
from regularizers.three_d_aware.planes import TriplaneEncoder
from regularizers.three_d_aware.rays import Rays, RaySampler
from regularizers.three_d_aware.renderer import Renderer, Rendering
from regularizers.three_d_aware.sampler import Triplane
from regularizers.three_d_aware.scene import Scene, tasks_by_maps
from regularizers.three_d_aware.supervision import SmallPredictions, depth_task
from regularizers.three_d_aware.volume import composite


@REGULARIZERS.register("three_d_aware", title="3D-aware", paper="https://arxiv.org/abs/2310.00986", year=2024)
class ThreeDAware(SmallPredictions):
    """Rendered predictions of all tasks under the tasks' own losses.

    The triplane is computed from the feature maps that all tasks share. A method without shared maps has one triplane
    per task.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of all terms, multiplied with the tasks' own loss weights.
        options: fields of `LossSchedule`, `MapOptions`, `SamplingOptions`, `PlaneOptions` and `FieldOptions`.

    Raises:
        ValueError: for a value outside of its range, or if a task has no feature map to read.
    """

    label = "three_d_aware"
    groups = (LossSchedule, MapOptions, SamplingOptions, PlaneOptions, FieldOptions)
    has_density: ClassVar[bool] = True
    """False for equal weights of all samples of a ray."""

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight, **options)
        sampling, planes, fields = self.options
        self.depth_task = depth_task(tasks)
        expected = self.depth_task if fields.depth in (None, "expected") else None
        _check(tasks, fields, self.depth_task, expected)
        depth_map = DepthMap(
            sampling.depth_map or ("log" if self.depth_task else "linear"), sampling.near, sampling.far
        )
        metric = False if sampling.metric_rays is None and self.depth_task is None else sampling.metric_rays
        self.sampler = RaySampler(sampling.samples, depth_map, metric)
        weigh = self.weigh if self.has_density else None
        self.renderer = Renderer(fields.opaque_far, weigh, frozenset(fields.detach_weights_for), fields.row_chunk)
        densities = "none" if weigh is None else "per_task" if fields.per_task_density else "shared"
        self.scenes = nn.ModuleList()
        for maps, names in tasks_by_maps(feature_specs, self.task_factors, self.maps.strides).items():
            channels = [feature_specs[position].channels for position in maps]
            outputs = {name: None if name == expected else tasks[name].channels for name in names}
            encoder = TriplaneEncoder(channels, planes.channels, planes.plane_depth, planes.rows)
            field = TaskField(planes.channels, outputs, fields.hidden, densities, fields.shared_trunk, fields.read_z)
            self.scenes.append(Scene(maps, encoder, field))
        self.found: dict[str, Tensor] = {}

    @staticmethod
    def weigh(density: Tensor, lengths: Tensor, opaque_far: bool) -> tuple[Tensor, Tensor]:
        """Ray weights and transmittance, see `volume.composite`."""
        return composite(density, lengths, opaque_far)

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Raw predictions (B, C, h, w) of every task; computes the diagnostics."""
        return self.render(batch, self.triplanes(batch, features))

    def triplanes(self, batch: Batch, features: Sequence[Tensor]) -> list[Triplane]:
        """Triplanes of a batch, one for each of `scenes`."""
        return [cast(Scene, scene).planes(features, self.grid(batch)) for scene in self.scenes]

    def render(self, batch: Batch, planes: Sequence[Triplane]) -> dict[str, Tensor]:
        """`predict` from the triplanes of a batch."""
        rays, renderings = self.source_view(batch, planes, self.training)
        label = (self.tasks[self.depth_task], batch["targets"][self.depth_task]) if self.depth_task else None
        self.found = diagnose(renderings, rays.depth, label)
        return {name: maps for part in renderings for name, maps in part.predictions.items()}

    def source_view(self, batch: Batch, planes: Sequence[Triplane], jittered: bool) -> tuple[Rays, list[Rendering]]:
        """Render the views that the images of a batch show.

        Args:
            batch: images and, for metric rays, intrinsics.
            planes: triplanes of these images, one for each of `scenes`.
            jittered: True for random places of the samples in their intervals, False for the centres.

        Returns:
            the rays, and one rendering per triplane.
        """
        like = planes[0].xy
        rays = self.sampler.source_view(self._jitter(like, jittered), self.grid(batch), source_camera(batch, like))
        return rays, self._rendered(self.renderer.source_view, planes, rays)

    def novel_view(
        self, planes: Sequence[Triplane], source: Camera, target: Camera, jittered: bool
    ) -> tuple[Rays, list[Rendering]]:
        """Render views of other cameras, at the size of the source views.

        Args:
            planes: triplanes of the source images, one for each of `scenes`.
            source: cameras of the source images.
            target: cameras to render, one for each source camera.
            jittered: see `source_view`.

        Raises:
            ValueError: if rays are not metric, see `RaySampler.novel_view`.
        """
        height, width = planes[0].xy.shape[-2:]
        jitter = self._jitter(planes[0].xy, jittered)
        rays = self.sampler.novel_view(jitter, (height, width), source, target)
        return rays, self._rendered(self.renderer.novel_view, planes, rays)

    def skip(self) -> None:
        """Clear the diagnostics in a step without terms."""
        self.found = {}

    def diagnostics(self) -> dict[str, Tensor]:
        """See `diagnostics.diagnose`; empty after a step without terms."""
        return self.found

    def _jitter(self, like: Tensor, jittered: bool) -> Tensor:
        """(B, D) place of each sample in its interval, in [0, 1)."""
        shape = (len(like), self.sampler.samples)
        # Drawn on the CPU, so that all devices use the same numbers.
        return random_rows(shape).to(like, non_blocking=True) if jittered else like.new_full(shape, 0.5)

    def _rendered(
        self, render: Callable[[TaskField, Triplane, Rays], Rendering], planes: Sequence[Triplane], rays: Rays
    ) -> list[Rendering]:
        with torch.autocast(planes[0].xy.device.type, enabled=False):
            pairs = zip(self.scenes, planes, strict=True)
            return [render(cast(Scene, scene).fields, triplane, rays) for scene, triplane in pairs]


def source_camera(batch: Batch, like: Tensor) -> Camera | None:
    """Cameras of the images of a batch, in the dtype of `like`; None without intrinsics."""
    if "intrinsics" not in batch:
        return None
    height, width = batch["images"].shape[-2:]
    return Camera(batch["intrinsics"].to(like), (height, width))


def _check(tasks: TaskSet, fields: FieldOptions, task: str | None, expected: str | None) -> None:
    if fields.depth not in (None, "feature", "expected"):
        raise ValueError(f"depth must be 'feature' or 'expected', or None to choose, found {fields.depth!r}")
    if fields.depth == "expected" and task is None:
        raise ValueError(f"depth='expected' needs a task of depth in metres, found {', '.join(tasks)}")
    unknown = [name for name in fields.detach_weights_for if name not in tasks]
    if unknown:
        hint = suggest(unknown[0], tasks)
        raise ValueError(f"detach_weights_for names {unknown[0]!r}.{hint} Tasks here: {', '.join(tasks)}")
    if expected is not None and expected in fields.detach_weights_for:
        raise ValueError(f"detach_weights_for={expected!r}: its expected depth has no gradient but into the density")
