"""None: training with the task losses alone, the baseline of every regularizer.

Source: ours; every comparison of regularizers has this row.
Differs from a paper: no paper is needed.
Consulted: nothing.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet


@REGULARIZERS.register("none", title="None", paper="regularizers/none.py", year=2026)
class NoRegularizer(Regularizer):
    """No terms and no parameters.

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
