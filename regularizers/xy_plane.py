"""XY plane: the 3D-aware regularizer with one plane, and depth as a number that the task fields read.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. Rays, density and compositing stay: are the planes xz and yz needed?
Differs from the paper: the control is not in it.
Consulted: nothing.
"""

from __future__ import annotations

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.variant import Variant


@REGULARIZERS.register("xy_plane", title="XY plane", paper="https://arxiv.org/abs/2310.00986", year=2024)
class XYPlane(Variant, fixed={"rows": "none", "read_z": True, "plane_depth": 1}):
    """`three_d_aware` whose field reads the plane of the image and z."""

    label = "xy_plane"
