"""XY plane: control of the 3D-aware regularizer without the planes xz and yz.

Source: a control of ours for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986; the paper has no such experiment. One thing differs from `three_d_aware`: the third
dimension is an input z of the fields instead of two further planes. Rays, density and compositing are the same.
Differs from the paper: not an experiment of the paper.
Consulted: nothing.
"""

from __future__ import annotations

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.regularizer import ThreeDAware


@REGULARIZERS.register("xy_plane", title="XY plane", paper="regularizers/xy_plane.py", year=2026)
class XYPlane(ThreeDAware, fixed={"rows": "none", "read_z": True, "plane_depth": 1}):
    """`three_d_aware` with a field of the xy plane and z."""

    label = "xy_plane"
