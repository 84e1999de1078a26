"""Made-up results for tests of the leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.store import Stored

KINDS = {
    "mIoU": ("semseg", "%", True),
    "rmse@pixel": ("depth", "m", False),
    "mean@pixel": ("normals", "deg", False),
    "odsF@seism": ("boundary", "%", True),
}


@pytest.fixture
def cell() -> Callable[..., Stored]:
    """`cell(method, regularizer, seed, {"mIoU": 40.0, ...}, **changes)`: a stored result with these metrics."""

    def make(method: str, regularizer: str = "none", seed: int = 0, values: Any = None, **changes: Any) -> Stored:
        spec = RunSpec(
            changes.pop("recipe", "smoke"),
            method,
            regularizer,
            changes.pop("backbone", "b"),
            changes.pop("tasks", ("semseg", "depth", "normals")),
            seed,
            changes.pop("overrides", {}),
        )
        metrics: dict[str, dict[str, Any]] = {}
        for name, value in (values or {}).items():
            task, unit, higher = KINDS[name]
            metrics.setdefault(task, {})[name] = {"value": value, "unit": unit, "higher_is_better": higher}
        data = changes.pop("data", {"id": "d", "fingerprint": "f"})
        origin = {"data": data, "commit": "0123456789abcdef", "dirty": False, **changes.pop("provenance", {})}
        error = changes.pop("error", None)
        if error is not None:
            result = failure(spec, changes.pop("status", "failed"), error, origin)
        else:
            result = RunResult(spec, "done", metrics, changes.pop("cost", {}), origin)
        assert not changes, f"unknown changes: {changes}"
        return Stored(result, Path("results/runs") / spec.folder / f"{spec.run_id}.json")

    return make
