"""The baseline of all regularizers adds nothing."""

from __future__ import annotations

from benchmark.contracts import Batch, MultiTaskOutput
from benchmark.tasks import NYUV2_TASKS
from regularizers.none import NoRegularizer


def test_it_has_no_terms_no_weights_and_needs_no_features():
    regularizer = NoRegularizer(NYUV2_TASKS, ())
    assert regularizer(Batch(), MultiTaskOutput({})) == {}
    assert not list(regularizer.parameters())
    assert not regularizer.needs_features
