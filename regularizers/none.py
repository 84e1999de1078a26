"""None: training with the task losses alone, the baseline of every regularizer.

Source: the rows without a regularizer in Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024,
https://arxiv.org/abs/2310.00986.
Differs from the paper: nothing.
Consulted: nothing.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet


@REGULARIZERS.register("none", title="None", paper="https://arxiv.org/abs/2310.00986", year=2024)
class NoRegularizer(Regularizer):
    """Adds nothing and asks for nothing.

    Args:
        tasks: tasks of the run.
        feature_specs: not used.
        weight: not used.
    """

    needs_features = False

    def __init__(self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 1.0) -> None:
        super().__init__(tasks, feature_specs, weight)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """No terms."""
        return {}
