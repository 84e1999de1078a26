"""Uniform weights: control of the 3D-aware regularizer without density.

Source: a control of ours for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986; the paper has no such experiment. One thing differs from
`three_d_aware` with depth="feature": all samples of a ray have the weight 1 / D. The default of `three_d_aware` differs
in its depth too: equal weights have one mean depth for all rays, so here depth is rendered like any task.
Differs from the paper: not an experiment of the paper.
Consulted: nothing.
"""

from __future__ import annotations

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.regularizer import ThreeDAware

WITHOUT_DENSITY = {
    "depth": "feature",
    "metric_rays": False,
    "opaque_far": True,
    "detach_weights_for": (),
    "per_task_density": False,
}
"""Options of a density, which cannot be set."""


@REGULARIZERS.register("uniform_weights", title="Uniform weights", paper="regularizers/uniform_weights.py", year=2026)
class UniformWeights(ThreeDAware, fixed=WITHOUT_DENSITY):
    """`three_d_aware` with ray weights 1 / D, for D samples."""

    label = "uniform_weights"
    has_density = False
