"""Reports of costs: each cost is measured once, and a measurement that fails ends nothing."""

from __future__ import annotations

from typing import Any

import pytest

from benchmark.cost import measure, report
from benchmark.cost.measure import MeasurementError, inference_cost
from benchmark.cost.report import Report
from benchmark.cost.target import CostTarget
from benchmark.records.result import RunSpec

SIZE = (32, 64)
TASKS = ("semseg", "depth")


def target(method: str = "hard_sharing", regularizer: str = "none") -> CostTarget:
    return CostTarget(RunSpec("smoke", method, regularizer, "timm:test_resnet", TASKS, 0), SIZE, runs=3)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str, int]]:
    """Work, method, regularizer and batch of each measurement; all costs are 2, with a regularizer 3."""
    made: list[tuple[str, str, str, int]] = []

    def in_own_process(work: Any, target: CostTarget, batch: int) -> dict[str, float]:
        made.append((work.__name__, target.spec.method, target.spec.regularizer, batch))
        if work is inference_cost:
            return {f"{name}_batch{batch}": 2.0 for name in ("latency_p50_seconds", "latency_p95_seconds")}
        if work is measure.step_time_ratio:
            return {"step_time_ratio": 1.5}
        value = 2.0 if target.spec.regularizer == "none" else 3.0
        return {"step_seconds": value, "step_memory_mb": value}

    for module in (measure, report):
        monkeypatch.setattr(module, "in_own_process", in_own_process)
    return made


def test_a_regularizer_uses_the_measurements_of_its_method(measured: list[Any]) -> None:
    """Inference is measured once for each batch, and the step without the regularizer once."""
    found = Report(target(), (1, 4), 8, ("inference", "step"))
    assert found.measure(target()) == found.measure(target(regularizer="aux_heads")) == []
    assert measured == [
        ("inference_cost", "hard_sharing", "none", 1),
        ("inference_cost", "hard_sharing", "none", 4),
        ("step_cost", "hard_sharing", "none", 8),
        ("step_cost", "hard_sharing", "aux_heads", 8),
        ("step_time_ratio", "hard_sharing", "aux_heads", 8),
    ]
    plain, regularized = (row.cost for row in found.rows)
    assert plain["latency_p50_seconds_batch4"] == regularized["latency_p50_seconds_batch4"] == 2
    assert (regularized["step_time_ratio"], regularized["step_memory_ratio"]) == (1.5, 1.5)
    assert "step_time_ratio" not in plain


def test_a_regularizer_alone_measures_its_method_too(measured: list[Any]) -> None:
    found = Report(target(), (), 8, ("step",))
    found.measure(target(regularizer="aux_heads"))
    assert ("step_cost", "hard_sharing", "none", 8) in measured
    assert found.rows[0].cost["step_memory_ratio"] == 1.5


def test_a_method_without_parameters_has_no_step(measured: list[Any]) -> None:
    Report(target("constant"), (1,), 8, ("inference", "step")).measure(target("constant"))
    assert measured == [("inference_cost", "constant", "none", 1)]


def test_a_failure_is_reported_and_the_other_costs_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(work: Any, target: CostTarget, batch: int) -> dict[str, float]:
        raise MeasurementError(f"{work.__name__} failed at {batch}")

    for module in (measure, report):
        monkeypatch.setattr(module, "in_own_process", fail)
    found = Report(target(), (1, 4), None, ("parameters", "macs", "inference", "step"))
    failures = ["inference_cost failed at 1", "inference_cost failed at 4", "step_cost failed at 2"]
    assert found.measure(target()) == failures
    written = found.to_json()
    assert written["failures"] == failures
    (row,) = written["rows"]
    assert row["cost"]["gmacs"] > 0
    assert row["cost"]["parameters_training"] == row["cost"]["parameters_inference"] > 1000
    assert (written["origin"]["size"], written["origin"]["step_batch"], written["origin"]["runs"]) == ([32, 64], 2, 3)


def test_only_the_kinds_that_were_asked_for(measured: list[Any]) -> None:
    found = Report(target(), (1,), 8, ("parameters",))
    found.measure(target())
    assert not measured
    assert "gmacs" not in found.rows[0].cost
    title, table = found.markdown().split("\n\n")
    assert title.startswith(
        "Recipe smoke, backbone timm:test_resnet, images of 32x64, training steps of 8, 3 timed runs; "
    )
    assert "hard_sharing" in table
