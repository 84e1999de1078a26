"""Uniform weights: the 3D-aware regularizer without density, every sample of a ray counts the same.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. It has planes, rays and task fields, and no compositing: does it matter which
sample is in front?
Differs from the paper: the control is not in it. Depth is rendered as any task: equal weights have the same mean depth
on every ray.
Consulted: nothing.
"""

from __future__ import annotations

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.variant import Variant

WITHOUT_DENSITY = {
    "depth": "feature",
    "metric_rays": False,
    "opaque_far": True,
    "detach_weights_for": (),
    "per_task_density": False,
}


@REGULARIZERS.register("uniform_weights", title="Uniform weights", paper="https://arxiv.org/abs/2310.00986", year=2024)
class UniformWeights(Variant, fixed=WITHOUT_DENSITY):
    """`three_d_aware` with weights of 1 / samples; what concerns a density cannot be chosen."""

    label = "uniform_weights"
    weighing = "equal"
