"""Shuffled depth: control of the 3D-aware regularizer without an order of the samples along a ray.

Source: a control of ours for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986; the paper has no such experiment. One thing differs from `three_d_aware`: samples are
composited in a random order, drawn for each image and step. Labels and depths of the samples are the same.
Differs from the paper: not an experiment of the paper.
Consulted: nothing.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.volume import shuffled_composite


@REGULARIZERS.register("shuffled_depth", title="Shuffled depth", paper="regularizers/shuffled_depth.py", year=2026)
class ShuffledDepth(ThreeDAware):
    """`three_d_aware` composited in a random order of depth. All rays of an image share the order."""

    label = "shuffled_depth"

    @staticmethod
    def weigh(density: Tensor, lengths: Tensor, opaque_far: bool) -> tuple[Tensor, Tensor]:
        """See `ThreeDAware.weigh`."""
        return shuffled_composite(density, lengths, opaque_far)
