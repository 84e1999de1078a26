"""Storage of measured costs in the results of their cells."""

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
"""Keys in which two measurements must agree to be stored together."""


def results_of(root: Path, spec: RunSpec) -> list[Stored]:
    """The finished results of a cell, of every seed.

    Args:
        root: folder of results, which contains `runs`.
        spec: the cell, of any seed.

    Raises:
        ValueError: without a result; the message lists the results that exist.
    """
    if not (root / "runs").is_dir():
        raise ValueError(f"--store {root}: no folder of results, it has no runs/")
    stored = [found for found in ResultStore(root).results(spec.recipe) if isinstance(found, Stored)]
    done = [found for found in stored if found.result.status == DONE]
    matching = [found for found in done if replace(found.result.spec, seed=spec.seed) == spec]
    if not matching:
        name = f"{spec.method}+{spec.regularizer} on {spec.backbone}"
        near = {_name(found.result.spec) for found in done}
        names = ", ".join(sorted(near)) or f"nothing of recipe {spec.recipe}"
        same = [found.result.spec for found in done if _name(found.result.spec) == name]
        hint = " with other tasks or overrides" if same else ""
        raise ValueError(f"--store {root}: no finished result of {name}{hint}; found {names}")
    return matching


def check_parameters(found: Stored, cost: Cost) -> None:
    """Check that costs belong to the network that was trained.

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
    """Write costs into a result file, in place of earlier ones.

    Earlier costs that are not measured now are kept if image size, step batch and hardware are the same.

    Args:
        found: the result.
        cost: measured costs.
        origin: provenance of the measurement, stored as `provenance.cost`.
    """
    before = found.result.provenance.get("cost") or {}
    joins = all(before.get(key) == origin.get(key) for key in SAME)
    kept = {name: value for name, value in found.result.cost.items() if joins or not from_measurement(name)}
    result = replace(found.result, cost={**kept, **cost}, provenance={**found.result.provenance, "cost": dict(origin)})
    write_text(found.path, result.to_text())


def _name(spec: RunSpec) -> str:
    return f"{spec.method}+{spec.regularizer} on {spec.backbone}"
