"""Differences between a stored result and its reproduction."""

from __future__ import annotations

from benchmark.records.result import RunResult, RunSpec
from benchmark.training.reproduction import data_of_runs


def scored_on(**data: object) -> RunResult:
    """A result on some data."""
    spec = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
    return RunResult(spec, "done", {}, provenance={"data": data})


def test_data_of_two_runs_differ_by_name_content_and_number_of_frames() -> None:
    stored = scored_on(id="rooms-1", fingerprint="ab", frames=654)
    assert data_of_runs(stored, scored_on(id="rooms-1", fingerprint="ab", frames=654)) == []
    assert data_of_runs(stored, scored_on(id="rooms-2", fingerprint="ab", frames=10)) == [
        "data id rooms-1 -> rooms-2",
        "data frames 654 -> 10",
    ]
    assert data_of_runs(stored, scored_on(id="rooms-1", frames=654)) == ["data fingerprint ab -> none"]
