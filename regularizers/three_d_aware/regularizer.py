"""3D-aware regularizer: the shared features become a triplane, and every task is rendered from it, in training only.

Source: Li, McDonagh, Leonardis, Bilen, "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. The planes follow EG3D (Chan et al., CVPR 2022), the rendering NeRF (Mildenhall et
al., ECCV 2020), rendered logits Semantic-NeRF (Zhi et al., ICCV 2021).
Differs from the paper: what could be read of it leaves open how image rows become the third axis of the planes, the
sizes of planes and networks, the samples per ray, the weights, and how small predictions meet large labels; the
defaults here are ours, each beside its alternatives in the arguments. The density is shared by all tasks. The last
interval of a ray has no end, so that every pixel has a prediction. Depth is the mean depth that the weights of a ray
give, not a further prediction: on NYU-v2 the density learnt no surfaces without, see results/THREE_D.md. Lengths are
metres where the camera is known; metric_rays=False and depth="feature" is the reading closest to the paper.
Consulted: no code of the paper is public.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from torch import Tensor, nn

from benchmark.contracts import Batch, FeatureSpec
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.camera import DepthMap
from regularizers.three_d_aware.diagnostics import diagnose
from regularizers.three_d_aware.field import TaskField
from regularizers.three_d_aware.planes import TriplaneEncoder
from regularizers.three_d_aware.rays import RaySampler
from regularizers.three_d_aware.renderer import Renderer, Weigh
from regularizers.three_d_aware.sampler import Triplane
from regularizers.three_d_aware.scene import Scene, Views, image_size, tasks_by_maps
from regularizers.three_d_aware.supervision import SmallPredictions, Strength, depth_task
from regularizers.three_d_aware.volume import composite, shuffled_composite

WEIGHINGS: dict[str, Weigh | None] = {"density": composite, "shuffled": shuffled_composite, "equal": None}


@REGULARIZERS.register("three_d_aware", title="3D-aware", paper="https://arxiv.org/abs/2310.00986", year=2024)
class ThreeDAware(SmallPredictions):
    """Rendered predictions under the losses of the tasks.

    The triplane is made of the maps that all tasks share; a method that has none gets one triplane per task.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        task_weights: further factor by task, 1 where not named; a task of 0 is not rendered.
        ramp: share of the training over which the weight grows from 0.
        every_k: render every k-th step only, with k times the weight.
        label_stride: compare with labels of an image that many times smaller; 1 for all labels.
        strides: of the feature maps that are read; None for all.
        render_stride: image size divided by rendered size.
        samples: per ray.
        depth_map: what z is linear in, "linear", "log" or "disparity"; None for "log" with a depth task, else "linear".
        near: metres at the near end of the rays.
        far: metres at their far end.
        metric_rays: True for densities per metre along the ray, by the camera's intrinsics; False for densities per
            unit of parallel rays in the cube of the planes, whatever the camera; None for metres with a depth task
            where a batch has intrinsics.
        depth: "feature" renders depth as any task, "expected" takes the mean depth of the weights; None for "expected"
            where depth in metres is a task.
        opaque_far: the last interval of a ray has no end, so that its weights sum to 1.
        detach_weights_for: tasks that send no gradient into the density.
        per_task_density: a density for each task instead of one for all.
        shared_trunk: one hidden layer for all tasks and densities.
        read_z: give the hidden layers z beside what the planes hold.
        rows: how image rows become z, "axis", "reshape" or "lift", or "none", see `planes.TriplaneEncoder`.
        channels: of each plane.
        plane_depth: texels of the planes along z.
        hidden: width of the hidden layers.
        row_chunk: rows whose hidden vectors are held at once where they are held at all, see `hidden.AxisHidden`.

    Raises:
        ValueError: for an option that means nothing, or if a task has no map to read.
    """

    label = "three_d_aware"
    weighing: ClassVar[str] = "density"
    """How the samples of a ray are weighed, a key of `WEIGHINGS`."""

    def __init__(
        self,
        tasks: TaskSet,
        feature_specs: tuple[FeatureSpec, ...],
        weight: float = 0.5,
        task_weights: Mapping[str, float] | None = None,
        ramp: float = 0.05,
        every_k: int = 1,
        label_stride: int = 1,
        strides: Collection[int] | None = None,
        render_stride: int = 8,
        samples: int = 64,
        depth_map: str | None = None,
        near: float = 0.5,
        far: float = 10.0,
        metric_rays: bool | None = None,
        depth: str | None = None,
        opaque_far: bool = True,
        detach_weights_for: Collection[str] = (),
        per_task_density: bool = False,
        shared_trunk: bool = False,
        read_z: bool = False,
        rows: str = "axis",
        channels: int = 32,
        plane_depth: int = 64,
        hidden: int = 64,
        row_chunk: int | None = None,
    ) -> None:
        strength = Strength(tasks, task_weights or {}, ramp, every_k)
        super().__init__(tasks, feature_specs, weight, strength, label_stride)
        self.depth_task = depth_task(tasks)
        expected = self.depth_task if depth in (None, "expected") else None
        _check(tasks, depth, self.depth_task, expected, detach_weights_for)
        depths = DepthMap(depth_map or ("log" if self.depth_task else "linear"), near, far)
        metric = False if metric_rays is None and self.depth_task is None else metric_rays
        weigh = WEIGHINGS[self.weighing]
        renderer = Renderer(opaque_far, weigh, frozenset(detach_weights_for), row_chunk)
        densities = "none" if weigh is None else "per_task" if per_task_density else "shared"
        self.views = Views(RaySampler(samples, depths, metric), renderer, render_stride)
        self.scenes = nn.ModuleList()
        for maps, names in tasks_by_maps(feature_specs, self.strength.rendered, strides).items():
            outputs = {name: None if name == expected else tasks[name].channels for name in names}
            encoder = TriplaneEncoder([feature_specs[at].channels for at in maps], channels, plane_depth, rows)
            fields = TaskField(channels, outputs, hidden, densities, shared_trunk, read_z)
            self.scenes.append(Scene(maps, encoder, fields))
        self.found: dict[str, Tensor] = {}

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """Render every task, and note what the rays look like."""
        return self.render(batch, self.triplanes(batch, features))

    def triplanes(self, batch: Batch, features: Sequence[Tensor]) -> list[Triplane]:
        """Those of a batch, one for each of `scenes`."""
        return self.views.triplanes(self.scenes, features, image_size(batch))

    def render(self, batch: Batch, planes: Sequence[Triplane]) -> dict[str, Tensor]:
        """`predict` of the triplanes of a batch."""
        rays, renderings = self.views.source(self.scenes, planes, batch, self.training)
        label = (self.tasks[self.depth_task], batch["targets"][self.depth_task]) if self.depth_task else None
        self.found = diagnose(renderings, rays.depth, label)
        return {name: maps for part in renderings for name, maps in part.predictions.items()}

    def skip(self) -> None:
        """Nothing was rendered."""
        self.found = {}

    def diagnostics(self) -> dict[str, Tensor]:
        """See `diagnostics.diagnose`; empty after a step that was left out."""
        return self.found


def _check(tasks: TaskSet, depth: str | None, task: str | None, expected: str | None, cut: Collection[str]) -> None:
    if depth not in (None, "feature", "expected"):
        raise ValueError(f"depth must be 'feature' or 'expected', or None to choose, found {depth!r}")
    if depth == "expected" and task is None:
        raise ValueError(f"depth='expected' needs a task of depth in metres, found {', '.join(tasks)}")
    unknown = [name for name in cut if name not in tasks]
    if unknown:
        raise ValueError(f"detach_weights_for names {unknown[0]!r}, tasks here are {', '.join(tasks)}")
    if expected is not None and expected in cut:
        raise ValueError(f"detach_weights_for={expected!r}: its expected depth has no gradient but into the density")
