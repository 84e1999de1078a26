"""Per-task density: control of the 3D-aware regularizer without a shared density.

Source: a control of ours for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. One thing differs from `three_d_aware`: each task has a density of its own.
Differs from the paper: not an experiment of the paper. Its text permits this reading of the method.
Consulted: nothing.
"""

from __future__ import annotations

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.regularizer import ThreeDAware


@REGULARIZERS.register(
    "per_task_density", title="Per-task density", paper="regularizers/per_task_density.py", year=2026
)
class PerTaskDensity(ThreeDAware, fixed={"per_task_density": True}):
    """`three_d_aware` with a density head for each task."""

    label = "per_task_density"
