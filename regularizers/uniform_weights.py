"""Uniform weights: the 3D-aware regularizer without density, every sample of a ray counts the same.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. It has planes, rays and task fields, and no compositing: does it matter which
sample is in front?
Differs from the paper: the control is not in it. Depth is rendered as any task: equal weights have the same mean depth
on every ray.
Consulted: nothing.
"""

from __future__ import annotations

from typing import Any

from benchmark.contracts import FeatureSpec
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.regularizer import ThreeDAware, without_options


@REGULARIZERS.register("uniform_weights", title="Uniform weights", paper="https://arxiv.org/abs/2310.00986", year=2024)
class UniformWeights(ThreeDAware):
    """`three_d_aware` with weights of 1 / samples.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        options: those of `three_d_aware`, but for what concerns a density.
    """

    label = "uniform_weights"
    weighing = "equal"
    __signature__ = without_options("depth", "opaque_far", "detach_weights_for", "per_task_density", "metric_rays")

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight, depth="feature", metric_rays=False, **options)
