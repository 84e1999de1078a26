"""Measured costs, written into the results of the cells that they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.leaderboard.cost_table import from_measurement
from benchmark.records.atomic import write_text
from benchmark.records.result import DONE, RunSpec
from benchmark.records.store import ResultStore, Stored

Cost = Mapping[str, float | None]
SAME = ("size", "step_batch", "hardware")
"""Of what measurements must agree in to stand side by side."""


def results_of(root: Path, spec: RunSpec) -> list[Stored]:
    """The finished results of a cell, of every seed.

    Args:
        root: folder of results, the one with `runs`.
        spec: what the results must share: recipe, method, regularizer, backbone, tasks and overrides.

    Raises:
        ValueError: if there is none, saying what there is.
    """
    if not (root / "runs").is_dir():
        raise ValueError(f"--store {root}: no folder of results, it has no runs/")
    stored = [found for found in ResultStore(root).results(spec.recipe) if isinstance(found, Stored)]
    done = [found for found in stored if found.result.status == DONE]
    matching = [found for found in done if replace(found.result.spec, seed=spec.seed) == spec]
    if not matching:
        name = f"{spec.method}+{spec.regularizer} on {spec.backbone}"
        near = {_name(found.result.spec) for found in done}
        there = ", ".join(sorted(near)) or f"nothing of recipe {spec.recipe}"
        same = [found.result.spec for found in done if _name(found.result.spec) == name]
        hint = " with other tasks or overrides" if same else ""
        raise ValueError(f"--store {root}: no finished result of {name}{hint}; there is {there}")
    return matching


def check_parameters(found: Stored, cost: Cost) -> None:
    """Refuse costs of another network than the one that was trained.

    Raises:
        ValueError: if the numbers of parameters differ.
    """
    for name in ("parameters_training", "parameters_inference"):
        before, now = found.result.cost.get(name), cost.get(name)
        if before is not None and now is not None and before != now:
            raise ValueError(
                f"{found.path}: trained with {name} {before:.0f}, measured here {now:.0f}: "
                "the network has changed since"
            )


def store_cost(found: Stored, cost: Cost, origin: Mapping[str, Any]) -> None:
    """Write costs into a result file, in place of those that were measured before.

    What was measured of images of the same size on the same hardware, and is not measured now, stays.

    Args:
        found: the result.
        cost: what was measured.
        origin: where and how, kept as `provenance.cost`.
    """
    before = found.result.provenance.get("cost") or {}
    joins = all(before.get(key) == origin.get(key) for key in SAME)
    kept = {name: value for name, value in found.result.cost.items() if joins or not from_measurement(name)}
    result = replace(found.result, cost={**kept, **cost}, provenance={**found.result.provenance, "cost": dict(origin)})
    write_text(found.path, result.to_text())


def _name(spec: RunSpec) -> str:
    return f"{spec.method}+{spec.regularizer} on {spec.backbone}"
