"""All results as one pandas table, for questions that the leaderboard does not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.leaderboard.rows import setting_of
from benchmark.records.result import DONE, RunResult
from benchmark.records.store import ResultStore, Stored

COLUMNS = (
    "recipe",
    "version",
    "split",
    "data",
    "fingerprint",
    "method",
    "regularizer",
    "backbone",
    "seed",
    "overrides",
    "task",
    "metric",
    "value",
    "unit",
    "higher_is_better",
    "run_id",
)


def results_frame(root: str | Path, recipe: str | None = None, data: str | None = None) -> pd.DataFrame:
    """Every measured number below a folder of results, one row per cell, task and metric.

    Args:
        root: folder of results, the one that holds `runs`.
        recipe: only this recipe; all where None.
        data: only results on the data set of this id; all where None.

    Returns:
        a frame with the columns `COLUMNS`, empty where nothing is measured. `version` is the version of the recipe.
        Results of different `version`, `split`, `data` or `fingerprint` must not be averaged: group by these columns
        too, or choose one value.

    Example:
        frame = results_frame("results", "nyuv2_lite")
        frame.pivot_table("value", ["data", "method", "regularizer", "overrides"], ["task", "metric"])
    """
    stored = (found for found in ResultStore(root).results(recipe) if isinstance(found, Stored))
    records = [record for found in stored if found.result.status == DONE for record in _records(found.result)]
    if data is not None:
        records = [record for record in records if record["data"] == data]
    return pd.DataFrame.from_records(records, columns=list(COLUMNS))


def _records(result: RunResult) -> list[dict[str, Any]]:
    spec, setting = result.spec, setting_of(result)
    cell = {
        "recipe": spec.recipe,
        "version": setting.version,
        "split": setting.split,
        "data": setting.data or None,
        "fingerprint": setting.fingerprint or None,
        "method": spec.method,
        "regularizer": spec.regularizer,
        "backbone": spec.backbone,
        "seed": spec.seed,
        "overrides": str(spec.overrides),
        "run_id": result.run_id,
    }
    return [
        {**cell, "task": task, "metric": metric, **{key: entry[key] for key in ("value", "unit", "higher_is_better")}}
        for task, entries in result.metrics.items()
        for metric, entry in entries.items()
    ]
