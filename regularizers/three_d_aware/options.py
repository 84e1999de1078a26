"""Options of the 3D-aware regularizer: frozen dataclasses in the code, flat keywords in recipes and commands.

`--set regularizer.samples=32` sets `SamplingOptions.samples`. No two groups have a field of the same name.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from benchmark.tasks import TaskSet, suggest


def check_at_least_one(options: Any, *names: str) -> None:
    """Check that fields of `options` are None or at least 1.

    Raises:
        ValueError: for the first other value.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(f"{name} must be at least 1, found {value}")


@dataclass(frozen=True)
class LossSchedule:
    """Loss weight of each task and step, and number of labels.

    Args:
        task_weights: further factor by task, 1 for other tasks; a task of weight 0 is not predicted.
        ramp: share of the training in which the weight grows linearly from 0.
        every_k: only every k-th step has terms, with k times the weight.
        label_stride: 1 to use all labels; s for the labels of an image s times smaller, see `subsample_labels`.

    Raises:
        ValueError: for a value outside of its range.
    """

    task_weights: Mapping[str, float] | None = None
    ramp: float = 0.05
    every_k: int = 1
    label_stride: int = 1

    def __post_init__(self) -> None:
        check_at_least_one(self, "every_k", "label_stride")
        factors = dict(self.task_weights or {})
        if not 0 <= self.ramp <= 1 or any(factor < 0 for factor in factors.values()):
            raise ValueError(
                f"ramp must lie in [0, 1] and no task weight may be negative, found ramp {self.ramp}, "
                f"task_weights {factors}"
            )

    def ramp_factor(self, progress: float) -> float:
        """Factor in [0, 1] after a share `progress` of the training."""
        return min(1.0, progress / self.ramp) if self.ramp else 1.0

    def task_factors(self, tasks: TaskSet) -> dict[str, float]:
        """Factor of every predicted task, including the task's own loss weight.

        Raises:
            ValueError: for a weight of an unknown task, or if no task is left.
        """
        weights = self.task_weights or {}
        unknown = [name for name in weights if name not in tasks]
        if unknown:
            hint = suggest(unknown[0], tasks)
            raise ValueError(f"task_weights names {unknown[0]!r}.{hint} Tasks here: {', '.join(tasks)}")
        factors = {
            name: task.loss_weight * weights.get(name, 1.0)
            for name, task in tasks.items()
            if weights.get(name, 1.0) > 0
        }
        if not factors:
            raise ValueError("every task has weight 0 in task_weights: nothing is rendered; use the regularizer none")
        return factors


@dataclass(frozen=True)
class MapOptions:
    """Feature maps that are read, and size of the predictions.

    Args:
        strides: strides of the feature maps that are read; None for all.
        render_stride: image size divided by the size of the predictions.

    Raises:
        ValueError: for a `render_stride` below 1.
    """

    strides: Collection[int] | None = None
    render_stride: int = 8

    def __post_init__(self) -> None:
        check_at_least_one(self, "render_stride")


@dataclass(frozen=True)
class SamplingOptions:
    """Camera and samples of the rays.

    Args:
        samples: samples per ray.
        depth_map: quantity that is linear in z: "linear" for depth, "log" for its logarithm, "disparity" for its
            inverse; None for "log" with a depth task, else "linear".
        near: start of the rays, metres.
        far: end of the rays, metres.
        metric_rays: True for densities per metre along the ray, which needs intrinsics; False for densities per unit of
            parallel rays in a cube of depth 2, for every camera; None for metres if depth is a task and the batch has
            intrinsics.

    Raises:
        ValueError: for `samples` below 1.
    """

    samples: int = 64
    depth_map: str | None = None
    near: float = 0.5
    far: float = 10.0
    metric_rays: bool | None = None

    def __post_init__(self) -> None:
        check_at_least_one(self, "samples")


@dataclass(frozen=True)
class PlaneOptions:
    """Triplane.

    Args:
        rows: mapping of image rows and columns to z: "axis", "reshape" or "lift"; "none" for an xy plane alone. See
            `planes.TriplaneEncoder`.
        channels: channels of each plane.
        plane_depth: texels of the planes along z.

    Raises:
        ValueError: for `channels` or a `plane_depth` below 1.
    """

    rows: str = "axis"
    channels: int = 32
    plane_depth: int = 64

    def __post_init__(self) -> None:
        check_at_least_one(self, "channels", "plane_depth")


@dataclass(frozen=True)
class FieldOptions:
    """Networks that read the triplane, and compositing of their outputs.

    Args:
        depth: "feature" renders depth like any task, "expected" takes the mean depth of the ray weights; None for
            "expected" if depth in metres is a task.
        opaque_far: extends the last interval of a ray to infinity, so that the weights sum to 1.
        detach_weights_for: tasks that send no gradient into the density.
        per_task_density: one density per task instead of a shared one.
        shared_trunk: one hidden layer for all tasks and densities.
        read_z: z is an input of the hidden layers.
        hidden: width of the hidden layers.
        row_chunk: image rows whose hidden vectors are in memory at once; None to choose by size.

    Raises:
        ValueError: for `hidden` or a `row_chunk` below 1.
    """

    depth: str | None = None
    opaque_far: bool = True
    detach_weights_for: Collection[str] = ()
    per_task_density: bool = False
    shared_trunk: bool = False
    read_z: bool = False
    hidden: int = 64
    row_chunk: int | None = None

    def __post_init__(self) -> None:
        check_at_least_one(self, "hidden", "row_chunk")


def flat_signature(constructor: Any, groups: Sequence[type[Any]], fixed: Collection[str] = ()) -> inspect.Signature:
    """Signature of a constructor with the fields of groups in place of its `**options`.

    Args:
        constructor: an `__init__` that ends with `**options`.
        groups: dataclasses whose fields have defaults.
        fixed: names of fields that cannot be set.
    """
    own = [
        parameter
        for parameter in list(inspect.signature(constructor).parameters.values())[1:]
        if parameter.kind is not parameter.VAR_KEYWORD
    ]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    options = [
        inspect.Parameter(field.name, kind, default=field.default, annotation=get_type_hints(group)[field.name])
        for group in groups
        for field in fields(group)
        if field.name not in fixed
    ]
    return inspect.Signature([*own, *options])


def grouped(groups: Sequence[type[Any]], options: Mapping[str, Any]) -> list[Any]:
    """Instances of the groups from flat options.

    Raises:
        TypeError: for an option of no group.
    """
    names = {group: [field.name for field in fields(group)] for group in groups}
    known = [name for group in groups for name in names[group]]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise TypeError(f"no option named {unknown[0]!r}.{suggest(unknown[0], known)} Options: {', '.join(known)}")
    return [group(**{name: options[name] for name in names[group] if name in options}) for group in groups]
