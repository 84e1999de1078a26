"""Shuffled depth: the 3D-aware regularizer with the samples of a ray in a random order.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. In each step and image the order in which samples hide each other is drawn
anew, labels and sample depths stay: does the order matter?
Differs from the paper: the control is not in it.
Consulted: nothing.
"""

from __future__ import annotations

from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.regularizer import ThreeDAware


@REGULARIZERS.register("shuffled_depth", title="Shuffled depth", paper="https://arxiv.org/abs/2310.00986", year=2024)
class ShuffledDepth(ThreeDAware):
    """`three_d_aware` composited in a random order of depth, the same for all rays of an image."""

    label = "shuffled_depth"
    weighing = "shuffled"
