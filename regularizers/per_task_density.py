"""Per-task density: the 3D-aware regularizer with a geometry for each task instead of one that all share.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. The density is what couples the tasks: does sharing it matter?
Differs from the paper: the control is not in it; its text can be read either way.
Consulted: nothing.
"""

from __future__ import annotations

from typing import Any

from benchmark.contracts import FeatureSpec
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.regularizer import ThreeDAware, without_options


@REGULARIZERS.register(
    "per_task_density", title="Per-task density", paper="https://arxiv.org/abs/2310.00986", year=2024
)
class PerTaskDensity(ThreeDAware):
    """`three_d_aware` with a density head for each task.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        options: the others of `three_d_aware`.
    """

    label = "per_task_density"

    __signature__ = without_options("per_task_density")

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight, per_task_density=True, **options)
