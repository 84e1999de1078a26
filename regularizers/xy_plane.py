"""XY plane: the 3D-aware regularizer with one plane, and depth as a number that the task fields read.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. Rays, density and compositing stay: are the planes xz and yz needed?
Differs from the paper: the control is not in it.
Consulted: nothing.
"""

from __future__ import annotations

from typing import Any

from benchmark.contracts import FeatureSpec
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet
from regularizers.three_d_aware.regularizer import ThreeDAware, without_options


@REGULARIZERS.register("xy_plane", title="XY plane", paper="https://arxiv.org/abs/2310.00986", year=2024)
class XYPlane(ThreeDAware):
    """`three_d_aware` whose field reads the plane of the image and z.

    Args:
        tasks: tasks of the run.
        feature_specs: maps of the method.
        weight: factor beside the tasks' own loss weights.
        options: the others of `three_d_aware`.
    """

    label = "xy_plane"

    __signature__ = without_options("rows", "read_z", "plane_depth")

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.5, **options: Any
    ) -> None:
        super().__init__(tasks, feature_specs, weight, rows="none", read_z=True, **options)
