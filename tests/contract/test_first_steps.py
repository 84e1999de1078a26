"""Losses of the first training steps of every method, with and without the 3D-aware regularizer.

tests/reference/steps.json holds the losses and the versions of their components. If a loss changes without a raised
version, a table would mix stored and new results with different numbers. Raise the version that the message names, then
rewrite the entries with a raised version:

    python tests/contract/test_first_steps.py
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmark.cards.entries import is_shipped
from benchmark.cost.measure import optimizer_of
from benchmark.cost.target import CostTarget, build
from benchmark.records.result import RunSpec
from benchmark.registry import BACKBONES, METHODS, REGULARIZERS
from benchmark.training.identity import TRAINING_VERSION
from benchmark.training.random_batches import random_batch

REFERENCE = Path(__file__).resolve().parents[1] / "reference" / "steps.json"
BACKBONE, SIZE, STEPS = "timm:test_resnet", (32, 64), 3
TOLERANCE = 1e-5
"""Relative. Networks run in float64, where other processors and faster layers change the 16th digit; in float32, batch
normalisation amplifies rounding to percents within three steps. The losses themselves are computed in float32."""
SHIPPED = [method for method in METHODS.names() if is_shipped(METHODS.entry(method), METHODS)]
"""Methods of the suite. A method of a user's file has no entry: its results are identified by its code."""
NAMES = [(method, regularizer) for method in SHIPPED for regularizer in ("none", "three_d_aware")]
PAIRS = [pair for pair in NAMES if METHODS.entry(pair[0]).accepts_regularizers]


def versions_of(method: str, regularizer: str) -> dict[str, int]:
    """Versions of the components of a cell."""
    return {
        f"method {method}": METHODS.entry(method).version,
        f"regularizer {regularizer}": REGULARIZERS.entry(regularizer).version,
        f"backbone {BACKBONE}": BACKBONES.entry(BACKBONE).version,
        "training": TRAINING_VERSION,
    }


def last_losses(method: str, regularizer: str) -> dict[str, float]:
    """Loss terms of the third step on a random batch of two images, in float64, by plain gradient descent."""
    overrides: dict[str, Any] = {
        "optim_wrapper.optimizer": {"type": "SGD", "lr": 1e-3},
        "optim_wrapper.clip_grad": None,
    }
    tasks = ("semseg", "depth", "normals", "boundary")
    torch.manual_seed(0)
    target = CostTarget(RunSpec("smoke", method, regularizer, BACKBONE, tasks, 0, overrides), SIZE)
    module = build(target).train().double()
    optimizer, batch = optimizer_of(target, module), in_double(random_batch(target.tasks, 2, target.size))
    terms: dict[str, Any] = {}
    for _ in range(STEPS):
        terms = module.train_step(batch, optimizer)
    return {name: float(value.detach()) for name, value in sorted(terms.items()) if name.startswith("loss_")}


def in_double(value: Any) -> Any:
    """The value with every floating-point tensor in it as float64."""
    if isinstance(value, Mapping):
        return {name: in_double(part) for name, part in value.items()}
    return value.double() if isinstance(value, torch.Tensor) and value.is_floating_point() else value


def fault(found: dict[str, float], entry: dict[str, Any] | None, versions: dict[str, int]) -> str | None:
    """The reason why losses and their entry disagree, and the remedy; None if they agree."""
    rewrite = "run python tests/contract/test_first_steps.py"
    if entry is None:
        return f"no entry: {rewrite}"
    if entry["versions"] != versions:
        return f"entry of versions {entry['versions']}, now {versions}: {rewrite}"
    moved = [
        f"{name} {entry['losses'].get(name)} -> {found.get(name)}"
        for name in sorted({*found, *entry["losses"]})
        if not math.isclose(found.get(name, math.nan), entry["losses"].get(name, math.nan), rel_tol=TOLERANCE)
    ]
    named = ", ".join(name for name in versions if name != "regularizer none")
    return f"{'; '.join(moved)}: raise the version of one of {named}" if moved else None


def pairs() -> list[Any]:
    """Every pair. A method alone, whose code runs in its other pair too, is slow."""
    return [pytest.param(*pair, marks=[pytest.mark.slow] if pair[1] == "none" else []) for pair in PAIRS]


@pytest.mark.parametrize(("method", "regularizer"), pairs())
def test_first_losses_stay_unless_a_version_is_raised(method: str, regularizer: str) -> None:
    entry = json.loads(REFERENCE.read_text()).get(f"{method}+{regularizer}")
    found = fault(last_losses(method, regularizer), entry, versions_of(method, regularizer))
    assert found is None, f"{method}+{regularizer}: {found}"


def test_a_loss_that_counts_one_percent_more_is_a_fault_until_a_version_is_raised() -> None:
    entry = {"versions": {"method m": 1, "training": 1}, "losses": {"loss_a": 2.0, "loss_b": 50.0}}
    assert fault({"loss_a": 2.000001, "loss_b": 50.0}, entry, {"method m": 1, "training": 1}) is None
    moved = fault({"loss_a": 2.02, "loss_b": 50.0}, entry, {"method m": 1, "training": 1})
    assert moved == "loss_a 2.0 -> 2.02: raise the version of one of method m, training"
    assert "run python" in (fault({"loss_a": 2.02, "loss_b": 50.0}, entry, {"method m": 2, "training": 1}) or "")


def rewrite() -> None:
    """Write the entries that are missing or whose versions were raised."""
    stored = json.loads(REFERENCE.read_text()) if REFERENCE.is_file() else {}
    wanted = {f"{method}+{regularizer}": (method, regularizer) for method, regularizer in PAIRS}
    entries = {}
    for name, pair in sorted(wanted.items()):
        versions = versions_of(*pair)
        if stored.get(name, {}).get("versions") != versions:
            print(f"write {name}")
            stored[name] = {"versions": versions, "losses": last_losses(*pair)}
        entries[name] = stored[name]
    REFERENCE.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    rewrite()
