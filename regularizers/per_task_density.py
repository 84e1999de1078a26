"""Per-task density: the 3D-aware regularizer with a geometry for each task instead of one that all share.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. The density is what couples the tasks: does sharing it matter?
Differs from the paper: the control is not in it; its text can be read either way.
Consulted: nothing.
"""

from __future__ import annotations

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.variant import Variant


@REGULARIZERS.register(
    "per_task_density", title="Per-task density", paper="https://arxiv.org/abs/2310.00986", year=2024
)
class PerTaskDensity(Variant, fixed={"per_task_density": True}):
    """`three_d_aware` with a density head for each task."""

    label = "per_task_density"
