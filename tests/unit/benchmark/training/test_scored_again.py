"""Repeated evaluation of stored weights replaces the metrics and records it in the provenance."""

from __future__ import annotations

import pytest

from benchmark.records.result import RunResult, RunSpec
from benchmark.training.cell import scored_again

SPEC = RunSpec(recipe="smoke", method="constant", regularizer="none", backbone="resnet18", tasks=("depth",), seed=0)
DATA = {"id": "rooms-1", "fingerprint": "1" * 64, "frames": 2}


def metrics(value: float) -> dict[str, dict[str, dict[str, object]]]:
    return {"depth": {"rmse@pixel": {"value": value, "unit": "m", "higher_is_better": False}}}


def stored() -> RunResult:
    origin = {"commit": "of the training", "data": DATA}
    return RunResult(SPEC, "done", metrics(1.0), {"train_seconds": 5.0}, origin)


def test_the_metrics_are_new_and_the_provenance_of_the_training_is_kept():
    result = scored_again(stored(), 0.0, (), metrics(2.0), DATA)
    assert result.metrics == metrics(2.0)
    assert result.cost == stored().cost
    assert result.provenance["commit"] == "of the training"
    assert result.provenance["scored"]["data"] == DATA
    assert "command" in result.provenance["scored"]
    assert RunResult.from_text(result.to_text()) == result


def test_numbers_of_other_data_are_not_stored_over_it():
    with pytest.raises(ValueError, match=r"rooms-1.*rooms-2"):
        scored_again(stored(), 0.0, (), metrics(2.0), DATA | {"id": "rooms-2", "fingerprint": "2" * 64})
