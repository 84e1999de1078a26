"""Submitted results compared with this checkout: ingredients, and scores of their weights."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmark.records.result import RunResult
from benchmark.training.cell import evaluate_cell
from benchmark.training.identity import ensure_data, ingredients_of, normalised_request
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError
from benchmark.training.trust import trusted_spec

SCORE_TOLERANCE = 1e-3
"""Largest relative difference of a score of the same weights on another machine."""


def changes_now(result: RunResult) -> list[str]:
    """Differences between the ingredients in a result and its cell's ingredients in this checkout, except the data.

    The data need not be here.

    Raises:
        ConfigError: if the result names a recipe, method, regularizer or backbone that is not in this checkout, or
            records no ingredients.
    """
    old = result.spec.ingredients
    if old is None:
        raise ConfigError("the result does not record its ingredients")
    try:
        request = normalised_request(replace(trusted_spec(result), ingredients=None))
        now = ingredients_of(request, old.needs)
    except KeyError as error:
        reason = str(error.args[0]).partition(" Registered:")[0]
        raise ConfigError(f"{reason} Add its file to this checkout and train from there.") from None
    return replace(now, data=old.data).changes_since(old)


def scored_differently(result: RunResult, weights: Path) -> Iterator[str]:
    """Metrics of saved weights that differ from the stored ones, one line each.

    Args:
        result: the result.
        weights: `model.safetensors` of its cell.

    Raises:
        ValueError, OSError: if the data are missing or the weights do not fit the cell; in one line.
    """
    spec = trusted_spec(result)
    ensure_data(load_recipe(spec.recipe, spec.overrides))
    with tempfile.TemporaryDirectory() as folder:
        metrics, data = evaluate_cell(spec, weights, Path(folder))
    known = result.provenance.get("data") or {}
    if known.get("fingerprint") != data["fingerprint"]:
        raise ValueError(f"measured on {known.get('id')}, the data here are {data['id']}")
    for task, entries in result.metrics.items():
        for name, entry in entries.items():
            again = metrics.get(task, {}).get(name, {}).get("value")
            if again is None or not math.isclose(again, entry["value"], rel_tol=SCORE_TOLERANCE, abs_tol=1e-6):
                yield f"{task}/{name}: stored {entry['value']!r}, the weights score {again!r}"
