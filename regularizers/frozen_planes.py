"""Frozen planes: the 3D-aware regularizer without a gradient into the shared features.

Source: a control for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986. It learns to render and teaches nothing, so the model must be that of no
regularizer, bit for bit: a check of the suite, and the time of a step without its use.
Differs from the paper: the control is not in it.
Consulted: nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from benchmark.contracts import Batch
from benchmark.registry import REGULARIZERS
from regularizers.three_d_aware.regularizer import ThreeDAware


@REGULARIZERS.register(
    "frozen_planes",
    title="Frozen planes",
    paper="https://arxiv.org/abs/2310.00986",
    year=2024,
    expected_failures={"sends_a_gradient_into_what_it_reads": "it stops the gradient: that is what it is for"},
)
class FrozenPlanes(ThreeDAware):
    """`three_d_aware` behind a stopped gradient."""

    label = "frozen_planes"
    needs_features = False

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """See `ThreeDAware.predict`."""
        return super().predict(batch, [maps.detach() for maps in features])
