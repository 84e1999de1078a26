"""Frozen planes: control of the 3D-aware regularizer without a gradient into the shared features.

Source: a control of ours for Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986; the paper has no such experiment. One thing differs from `three_d_aware`: the gradient
stops before the features. The model must be bit-identical to the model of `none`, which a test checks.
Differs from the paper: not an experiment of the paper.
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
    paper="regularizers/frozen_planes.py",
    year=2026,
    expected_failures={"sends_a_gradient_into_its_inputs": "stops the gradient, by definition of this control"},
)
class FrozenPlanes(ThreeDAware):
    """`three_d_aware` on detached features."""

    label = "frozen_planes"
    needs_features = False

    def predict(self, batch: Batch, features: Sequence[Tensor]) -> dict[str, Tensor]:
        """See `ThreeDAware.predict`."""
        return super().predict(batch, [maps.detach() for maps in features])
