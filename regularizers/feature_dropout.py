"""Feature dropout: whole channels of the shared features are dropped on their way to the heads.

Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks" (SpatialDropout), CVPR 2015,
https://arxiv.org/abs/1411.4280.
Differs from the paper: it stands between the shared features and everything that a method does with them, not before
one layer. The generic rival of a regularizer that costs something: it has no loss and no parameter.
Consulted: nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet


@REGULARIZERS.register("feature_dropout", title="Feature dropout", paper="https://arxiv.org/abs/1411.4280", year=2015)
class FeatureDropout(Regularizer):
    """Each channel of each map and image is zero with some probability; the others are scaled up to the same mean.

    Args:
        tasks: not used.
        feature_specs: not used.
        weight: factor of the probability, so that 0 is no dropout here too.
        probability: that a channel is dropped.

    Raises:
        ValueError: if weight times probability is not below 1.
    """

    needs_features = False
    changes_features = True

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 1.0, probability: float = 0.1
    ) -> None:
        super().__init__(tasks, feature_specs, weight)
        self.dropped = weight * probability
        if not 0 <= self.dropped < 1:
            raise ValueError(f"weight * probability must lie in [0, 1), found {weight} * {probability}")

    def change(self, position: int, features: Tensor) -> Tensor:
        """Drop channels of one map (B, C, h, w)."""
        # Drawn on the CPU, so that every device draws the same.
        kept = torch.rand(features.shape[:2]) >= self.dropped
        scale = kept.to(features)[:, :, None, None] / (1 - self.dropped)
        return features * scale

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """No terms."""
        return {}
