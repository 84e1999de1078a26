"""Made-up results and boards for tests of the leaderboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmark.leaderboard.analysis import Analysis, analyse
from benchmark.leaderboard.plan import Plan, RowKey
from benchmark.leaderboard.tables import tables
from benchmark.records.identity import Ingredients
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.store import Stored

KINDS = {
    "mIoU": ("semseg", "%", True),
    "pixAcc": ("semseg", "%", True),
    "rmse@pixel": ("depth", "m", False),
    "mean@pixel": ("normals", "deg", False),
    "odsF@seism": ("boundary", "%", True),
}


def make_cell(method: str, regularizer: str = "none", seed: int = 0, values: Any = None, **changes: Any) -> Stored:
    """A stored result. `version` gives it ingredients with this version of the recipe."""
    version, settings = changes.pop("version", None), changes.pop("settings", {})
    ingredients = None if version is None else Ingredients(settings, {"recipe": version})
    spec = RunSpec(
        changes.pop("recipe", "smoke"),
        method,
        regularizer,
        changes.pop("backbone", "b"),
        changes.pop("tasks", ("semseg", "depth", "normals")),
        seed,
        changes.pop("overrides", {}),
        changes.pop("split", "test"),
        ingredients,
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
        cost, diagnostics = changes.pop("cost", {}), changes.pop("diagnostics", {})
        result = RunResult(spec, "done", metrics, cost, origin, diagnostics=diagnostics)
    assert not changes, f"unknown changes: {changes}"
    return Stored(result, Path("results/runs") / spec.folder / f"{spec.run_id}.json")


def cells_of_two_tasks(values: Mapping[tuple[str, str], Sequence[tuple[float, float]]], **changes: Any) -> list[Stored]:
    """Cells with mIoU and depth error of seeds 0, 1, ... by method and regularizer."""
    return [
        make_cell(*row, seed, {"mIoU": miou, "rmse@pixel": rmse}, tasks=("semseg", "depth"), **changes)
        for row, pairs in values.items()
        for seed, (miou, rmse) in enumerate(pairs)
    ]


def make_plan(
    rows: Sequence[tuple[str, str]],
    seeds: Sequence[int] = range(5),
    primary: Sequence[tuple[str, str]] = (("aux", "none"),),
    **changes: Any,
) -> Plan:
    """A board of the recipe "smoke", version 2, with the same seeds in every row.

    Args:
        rows: method and regularizer of each row.
        seeds: of every row.
        primary: regularizer and baseline regularizer, declared for every method that has both.
        changes: other fields of the plan.
    """
    keys = [RowKey(*row) for row in rows]
    declared = frozenset(
        (RowKey(key.method, regularizer), RowKey(key.method, over))
        for key in keys
        for regularizer, over in primary
        if {RowKey(key.method, regularizer), RowKey(key.method, over)} <= set(keys)
    )
    fields: dict[str, Any] = {
        "name": "board",
        "title": "A board",
        "recipe": "smoke",
        "version": 2,
        "split": "test",
        "rows": {key: tuple(seeds) for key in keys},
        "primary": declared,
    }
    return Plan(**fields | changes)


def board_of(plan: Plan, cells: Sequence[Stored]) -> Analysis:
    """The analysis of a board."""
    return analyse(tables(cells, [plan]))[0]


def cells_with(method: str, regularizer: str, mious: Mapping[int, float] | Sequence[float], **changes: Any) -> list:
    """Cells of one task, current for `make_plan`, with these mIoU values by seed."""
    by_seed = mious if isinstance(mious, Mapping) else dict(enumerate(mious))
    fields = {"tasks": ("semseg",), "version": 2, **changes}
    return [make_cell(method, regularizer, seed, {"mIoU": value}, **fields) for seed, value in by_seed.items()]
