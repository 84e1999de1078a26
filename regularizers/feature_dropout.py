"""Feature dropout: random channels of the shared features are zero in training.

Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks" (SpatialDropout), CVPR 2015,
https://arxiv.org/abs/1411.4280.
Differs from the paper: it is applied to the shared features before all further layers, not before one layer. It has no
loss and no parameters: a generic baseline of the other regularizers.
Consulted: nothing.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.losses.batch_parts import random_rows
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet


@REGULARIZERS.register("feature_dropout", title="Feature dropout", paper="https://arxiv.org/abs/1411.4280", year=2015)
class FeatureDropout(Regularizer):
    """Each channel of each map and image is zero with a given probability; the others are scaled to the same mean.

    Args:
        tasks: not used.
        feature_specs: not used.
        weight: factor of the probability, so that weight 0 is training without dropout.
        probability: probability of a channel to be zero.

    Raises:
        ValueError: unless 0 <= weight * probability < 1.
    """

    needs_features = False
    changes_features = True
    by_parts = True

    def __init__(
        self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 1.0, probability: float = 0.1
    ) -> None:
        super().__init__(tasks, feature_specs, weight)
        self.probability = weight * probability
        if not 0 <= self.probability < 1:
            raise ValueError(f"weight * probability must lie in [0, 1), found {weight} * {probability}")

    def change(self, position: int, features: Tensor) -> Tensor:
        """Drop channels of one map (B, C, h, w)."""
        # Drawn on the CPU, so that all devices use the same numbers.
        kept = random_rows(features.shape[:2]) >= self.probability
        scale = kept.to(features, non_blocking=True)[:, :, None, None] / (1 - self.probability)
        return features * scale

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """No terms."""
        return {}
