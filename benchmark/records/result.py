"""What is measured and what came out: RunSpec, RunResult, and their JSON (schema version 1).

Imports no torch. The JSON is strict (no NaN, no infinity), and a record that does not hold what it must is
answered by one line that names file, key, what was found and what was expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import PurePath
from typing import Any

from benchmark.records.identity import Ingredients
from benchmark.records.overrides import Overrides
from benchmark.records.strict_json import (
    RecordError,
    canonical_json,
    expect_mapping,
    expect_name,
    is_number,
    member,
    parse_json,
    read_from,
    refuse,
)

__all__ = [
    "DIVERGED",
    "DONE",
    "FAILED",
    "NO_REGULARIZER",
    "REFERENCE_METHOD",
    "SCHEMA_VERSION",
    "SPLITS",
    "STATUSES",
    "TEST",
    "VAL",
    "Metrics",
    "Overrides",
    "RecordError",
    "RunResult",
    "RunSpec",
    "check_metrics",
    "failure",
    "safe_name",
]

SCHEMA_VERSION = 1
DONE, FAILED, DIVERGED = STATUSES = ("done", "failed", "diverged")
TEST, VAL = SPLITS = ("test", "val")
NO_REGULARIZER = "none"
REFERENCE_METHOD = "single_task"
"""The method that Delta_m compares with."""

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class RunSpec:
    """What one cell of the grid measures; equal requests give equal specs.

    Args:
        recipe: how it is trained; a name in `benchmark/recipes`, or the path of a user's own recipe file.
        method: registered method.
        regularizer: registered regularizer, "none" for none.
        backbone: registered backbone, with its weights after a colon: "efficientnet_lite0:imagenet".
        tasks: task names, in the order of heads and losses.
        seed: of initial weights, data order and augmentation.
        overrides: recipe settings that differ, `{"optim_wrapper.optimizer.lr": 0.01}`; any mapping of JSON values.
        split: "test"; or "val", where the training split is "fit".
        ingredients: the content that the request stands for, see `benchmark.training.dependencies.identify`; requests
            are compared without it.

    Raises:
        RecordError: for a value of the wrong type, an empty name or a repeated task.
    """

    recipe: str
    method: str
    regularizer: str
    backbone: str
    tasks: tuple[str, ...]
    seed: int
    overrides: Mapping[str, Any] = Overrides()
    split: str = TEST
    ingredients: Ingredients | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            refuse("spec.split", self.split, f"one of {', '.join(SPLITS)}")
        for key in ("recipe", "method", "regularizer", "backbone"):
            expect_name(getattr(self, key), f"spec.{key}")
        object.__setattr__(self, "tasks", _task_names(self.tasks))
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or self.seed < 0:
            refuse("spec.seed", self.seed, "an integer of 0 or more")
        expect_mapping(self.overrides, "spec.overrides")
        object.__setattr__(self, "overrides", Overrides(self.overrides))

    @cached_property
    def run_id(self) -> str:
        """Readable name and hash of the ingredients, safe as a file name.

        Where the ingredients were not identified, as in old results, the hash is that of the request.
        """
        readable = safe_name(f"{self.method}+{self.regularizer}-{self.backbone}")
        digest = self.ingredients.digest if self.ingredients else sha256(self.to_text().encode()).hexdigest()
        # File systems take names of 255 bytes; ".json" and the marks of temporary files come on top of ours.
        return f"{readable[:150]}-s{self.seed}-{digest[:10]}"

    @property
    def folder(self) -> str:
        """Name of the folder that holds the results of this recipe."""
        return safe_name(PurePath(self.recipe).stem)[:150]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "recipe": self.recipe,
            "method": self.method,
            "regularizer": self.regularizer,
            "backbone": self.backbone,
            "tasks": list(self.tasks),
            "seed": self.seed,
            "overrides": dict(self.overrides),
            **({"split": self.split} if self.split != TEST else {}),
            **({"ingredients": self.ingredients.to_json()} if self.ingredients else {}),
        }

    def to_text(self) -> str:
        """As one line of canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_json(cls, data: Any, source: str = "run spec") -> RunSpec:
        """From plain JSON values.

        Args:
            data: what `to_json` gave.
            source: where it was read, for messages.

        Raises:
            RecordError: naming source, key, what was found and what was expected.
        """
        with read_from(source):
            return _spec_from(data)

    @classmethod
    def from_text(cls, text: str, source: str = "run spec") -> RunSpec:
        """From one line of JSON, see `from_json`."""
        with read_from(source):
            return _spec_from(parse_json(text))


@dataclass(frozen=True)
class RunResult:
    """What came out of one cell; a failure is a result with its error.

    Args:
        spec: what was measured.
        status: "done", "failed" or "diverged".
        metrics: `{task: {name: {"value", "unit", "higher_is_better"}}}`, not rounded; finite where the status is done.
        cost: numbers by name: parameters_training, parameters_inference, train_seconds, evaluate_seconds,
            seconds_per_step, peak_memory_mb and what else was counted; None where it could not be measured.
        provenance: where it comes from: commit, dirty, command, versions, hardware, data {id, fingerprint},
            recipe_sha256, started, finished; earlier_parts of an interrupted training, see `checkpoints.parts_before`.
        error: one line; None where the status is done.
        diagnostics: what the regularizer measured of itself, numbers by name; see `Regularizer.diagnostics`.

    Raises:
        RecordError: if a field breaks these rules.
    """

    spec: RunSpec
    status: str
    metrics: Metrics = field(default_factory=dict)
    cost: Mapping[str, float | None] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    diagnostics: Mapping[str, float | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            refuse("status", self.status, f"one of {', '.join(STATUSES)}")
        _check_error(self.error, self.status)
        check_metrics(self.metrics, may_be_missing=self.status != DONE)
        for task in self.metrics:
            if task not in self.spec.tasks:
                refuse(f"metrics.{task}", task, f"a task of the spec: {', '.join(self.spec.tasks)}")
        _check_numbers(self.cost, "cost")
        _check_numbers(self.diagnostics, "diagnostics")
        expect_mapping(self.provenance, "provenance")

    @property
    def run_id(self) -> str:
        """The run_id of the spec."""
        return self.spec.run_id

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "status": self.status,
            "spec": self.spec.to_json(),
            "metrics": self.metrics,
            "cost": self.cost,
            "provenance": self.provenance,
            "error": self.error,
            **({"diagnostics": self.diagnostics} if self.diagnostics else {}),
        }

    def to_text(self) -> str:
        """As indented JSON, the text of a result file.

        Raises:
            RecordError: if the provenance holds something that is not strict JSON.
        """
        try:
            return json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"
        except (TypeError, ValueError) as error:
            raise RecordError(f"{self.run_id}: cannot be stored as strict JSON: {error}") from None

    @classmethod
    def from_json(cls, data: Any, source: str = "run result") -> RunResult:
        """From plain JSON values; unknown keys are left alone.

        Raises:
            RecordError: naming source, key, what was found and what was expected.
        """
        with read_from(source):
            return _result_from(data)

    @classmethod
    def from_text(cls, text: str, source: str = "run result") -> RunResult:
        """From the text of a result file, see `from_json`."""
        with read_from(source):
            return _result_from(parse_json(text))


def failure(spec: RunSpec, status: str, error: str, provenance: Mapping[str, Any]) -> RunResult:
    """The result of a cell that failed or diverged; the error becomes one line."""
    return RunResult(spec, status, provenance=provenance, error=" ".join(error.split()) or "no error message")


def check_metrics(metrics: Any, may_be_missing: bool) -> None:
    """Check `{task: {name: {"value", "unit", "higher_is_better"}}}`.

    Args:
        metrics: what to check.
        may_be_missing: whether a value may be None.

    Raises:
        RecordError: for the first entry that is wrong.
    """
    expect_mapping(metrics, "metrics")
    for task, entries in metrics.items():
        expect_mapping(entries, f"metrics.{task}")
        for name, entry in entries.items():
            _check_metric(entry, task, name, may_be_missing)


def safe_name(text: str) -> str:
    """The text with everything that a file name should not hold replaced by dots."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", ".", text).strip(".") or "unnamed"


def _spec_from(data: Any) -> RunSpec:
    expect_mapping(data, "spec")
    optional = {"split": TEST, "ingredients": None}
    required = [key for key in RunSpec.__dataclass_fields__ if key not in optional]
    values = {key: member(data, key, f"spec.{key}") for key in required}
    values |= {key: data.get(key, default) for key, default in optional.items()}
    if values["ingredients"] is not None:
        values["ingredients"] = Ingredients.from_json(values["ingredients"])
    if not isinstance(values["tasks"], list):
        refuse("spec.tasks", values["tasks"], "a list of task names")
    return RunSpec(**values)


def _result_from(data: Any) -> RunResult:
    expect_mapping(data, "the file")
    version = member(data, "schema_version", "schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        refuse("schema_version", version, f"{SCHEMA_VERSION}, the one that this checkout reads")
    # The run_id follows from the spec; that of a file made elsewhere, perhaps by another version, may read differently.
    expect_name(member(data, "run_id", "run_id"), "run_id")
    spec = _spec_from(member(data, "spec", "spec"))
    values = {key: member(data, key, key) for key in ("status", "metrics", "cost", "provenance")}
    return RunResult(spec, **values, error=data.get("error"), diagnostics=data.get("diagnostics", {}))


def _check_metric(entry: Any, task: str, name: str, may_be_missing: bool) -> None:
    """Check one entry; the path is only spelt out for what is wrong, since tables are made from 10,000 files."""
    if not isinstance(entry, Mapping):
        refuse(f"metrics.{task}.{name}", entry, "a mapping")
    for key in ("value", "unit", "higher_is_better"):
        if key not in entry:
            member(entry, key, f"metrics.{task}.{name}.{key}")
    if not is_number(entry["value"]) and not (entry["value"] is None and may_be_missing):
        refuse(f"metrics.{task}.{name}.value", entry["value"], "a finite number")
    if not isinstance(entry["unit"], str):
        refuse(f"metrics.{task}.{name}.unit", entry["unit"], "the name of a unit")
    if not isinstance(entry["higher_is_better"], bool):
        refuse(f"metrics.{task}.{name}.higher_is_better", entry["higher_is_better"], "true or false")


def _check_error(error: Any, status: str) -> None:
    if status == DONE and error is not None:
        refuse("error", error, "null, since the status is done")
    if status != DONE and (not isinstance(error, str) or not error.strip() or "\n" in error):
        refuse("error", error, f"one line of text, since the status is {status}")


def _check_numbers(values: Any, name: str) -> None:
    expect_mapping(values, name)
    for key, value in values.items():
        if value is not None and not is_number(value):
            refuse(f"{name}.{key}", value, "a finite number or null")


def _task_names(tasks: Any) -> tuple[str, ...]:
    if isinstance(tasks, str) or not isinstance(tasks, Iterable):
        refuse("spec.tasks", tasks, "a sequence of task names")
    names = tuple(tasks)
    for name in names:
        expect_name(name, "spec.tasks")
    if not names or len(set(names)) != len(names):
        refuse("spec.tasks", list(names), "at least one task, each once")
    return names
