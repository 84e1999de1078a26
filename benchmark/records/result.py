"""Request and outcome of one cell: RunSpec, RunResult, and their JSON (schema version 1).

Imports no torch. The JSON is strict (no NaN, no infinity). The error for a record that breaks the schema is one line
with file, key, value found and value expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from hashlib import sha256
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass

from benchmark.records.failures import DIVERGED as DIVERGED_CLASS
from benchmark.records.failures import FAILURE_CLASSES
from benchmark.records.identity import Ingredients
from benchmark.records.overrides import Overrides
from benchmark.records.result_schema import SCHEMA_VERSION, Metric, Provenance, ResultFile
from benchmark.records.validation import (
    CONFIG,
    Json,
    Name,
    Number,
    Text,
    canonical_json,
    json_value,
    one_line_errors,
    one_of,
    parse_json,
    read_from,
    unchanged,
    validated,
)

DONE, FAILED, DIVERGED = STATUSES = ("done", "failed", "diverged")
TEST, VAL = SPLITS = ("test", "val")
NO_REGULARIZER = "none"
REFERENCE_METHOD = "single_task"
"""Baseline method of Delta_m."""
MAX_SEED = 2**32 - 1
"""Largest seed that NumPy's legacy generator takes."""

Metrics = Mapping[str, Mapping[str, Mapping[str, Any]]]
Numbers = Annotated[Mapping[str, float | None], unchanged(dict[Name, Number | None])]


def _different_names(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or len(set(names)) != len(names):
        raise ValueError("at least one task, each once")
    return names


@one_line_errors
@dataclass(frozen=True, config=CONFIG)
class RunSpec:
    """Request for one cell of the grid; equal requests give equal specs.

    Args:
        recipe: name in `benchmark/recipes`, or path of a user's own recipe file.
        method: registered method.
        regularizer: registered regularizer, or "none".
        backbone: registered backbone, with its weights after a colon: "efficientnet_lite0:imagenet".
        tasks: task names, in the order of heads and losses.
        seed: seed of initial weights, data order and augmentation.
        overrides: changed recipe settings, `{"optim_wrapper.optimizer.lr": 0.01}`; any mapping of JSON values.
        split: split that is evaluated, "test" or "val". A cell with "val" trains on "fit", without the frames of "val".
        ingredients: ingredients of the request, see `benchmark.training.dependencies.identify`; they do not count in
            comparisons of requests.

    Raises:
        RecordError: for a value of the wrong type, an empty name or a repeated task.
    """

    recipe: Name
    method: Name
    regularizer: Name
    backbone: Name
    tasks: Annotated[tuple[Name, ...], AfterValidator(_different_names)]
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)]
    overrides: Annotated[Mapping[str, Any], unchanged(dict[Name, Json]), AfterValidator(Overrides)] = Overrides()
    split: Annotated[Text, AfterValidator(one_of(*SPLITS))] = TEST
    ingredients: Ingredients | None = field(default=None, compare=False, repr=False)

    @cached_property
    def run_id(self) -> str:
        """Readable name and hash of the ingredients, safe as a file name.

        Without ingredients, as in old results, the hash of the request is used.
        """
        # Weights from a file are named without its folder.
        backbone = ":".join(PurePath(part).name for part in self.backbone.split(":"))
        readable = safe_name(f"{self.method}+{self.regularizer}-{backbone}")
        digest = self.ingredients.digest if self.ingredients else sha256(self.to_text().encode()).hexdigest()
        # File systems take names of 255 bytes; ".json" and the marks of temporary files are added to this name.
        return f"{readable[:150]}-s{self.seed}-{digest[:10]}"

    @cached_property
    def folder(self) -> str:
        """Name of the folder that holds the results of this recipe."""
        return safe_name(PurePath(self.recipe).stem)[:150]

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values."""
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
        """Convert to one line of canonical JSON."""
        return canonical_json(self.to_json())

    @classmethod
    def from_text(cls, text: str, source: str = "run spec") -> RunSpec:
        """Read from one line of JSON.

        Args:
            text: text from `to_text`.
            source: file or option that the text comes from, for messages.

        Raises:
            RecordError: naming source, key, the value found and the value expected.
        """
        with read_from(source):
            return validated(cls, parse_json(text))


@one_line_errors
@dataclass(frozen=True, config=CONFIG)
class RunResult:
    """Outcome of one cell; a failure is a result with its error.

    Args:
        spec: the request.
        status: "done", "failed" or "diverged".
        metrics: `{task: {name: {"value", "unit", "higher_is_better"}}}`, finite and not rounded.
        cost: numbers by name: parameters_training, parameters_inference, train_seconds, evaluate_seconds,
            seconds_per_step, peak_memory_mb and others; None where a number could not be measured.
        provenance: origin of the numbers: commit, dirty, command, versions, hardware, data {id, fingerprint},
            recipe_sha256, started, finished; earlier_parts of an interrupted training, see `checkpoints.parts_before`.
        error: one line; None if the status is done.
        error_class: cause of a failure, see `benchmark.records.failures`; None without a failure and in old results.
        diagnostics: numbers by name that the regularizer logged, see `Regularizer.diagnostics`.

    Raises:
        RecordError: for a value of the wrong type, a number that is not finite, or an error that does not fit the
            status.
    """

    spec: RunSpec
    status: Annotated[Text, AfterValidator(one_of(*STATUSES))]
    metrics: Annotated[Metrics, unchanged(dict[Name, dict[Name, Metric]])] = Field(default_factory=dict)
    cost: Numbers = Field(default_factory=dict)
    provenance: Annotated[Mapping[str, Any], unchanged(Provenance), AfterValidator(json_value)] = Field(
        default_factory=dict
    )
    error: Text | None = None
    diagnostics: Numbers = Field(default_factory=dict)
    error_class: Annotated[Text, AfterValidator(one_of(*FAILURE_CLASSES))] | None = None

    @field_validator("metrics")
    @classmethod
    def _only_tasks_of_the_spec(cls, metrics: Metrics, info: ValidationInfo) -> Metrics:
        unknown = [task for task in metrics if "spec" in info.data and task not in info.data["spec"].tasks]
        if unknown:
            raise ValueError(f"tasks of the spec: {', '.join(info.data['spec'].tasks)}")
        return metrics

    @field_validator("error")
    @classmethod
    def _fits_the_status(cls, error: str | None, info: ValidationInfo) -> str | None:
        status = info.data.get("status", DONE)
        if status == DONE and error is not None:
            raise ValueError("null, since the status is done")
        if status != DONE and (error is None or not error.strip() or "\n" in error):
            raise ValueError(f"one line of text, since the status is {status}")
        return error

    @property
    def run_id(self) -> str:
        """The run_id of the spec."""
        return self.spec.run_id

    def to_json(self) -> dict[str, Any]:
        """Convert to plain JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "status": self.status,
            "spec": self.spec.to_json(),
            "metrics": self.metrics,
            "cost": self.cost,
            "provenance": self.provenance,
            "error": self.error,
            **({"error_class": self.error_class} if self.error_class else {}),
            **({"diagnostics": self.diagnostics} if self.diagnostics else {}),
        }

    def to_text(self) -> str:
        """Convert to indented JSON, the text of a result file."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, data: Any, source: str = "run result") -> RunResult:
        """Convert from plain JSON values.

        Args:
            data: values from `to_json`.
            source: file that the data come from, for messages.

        Raises:
            RecordError: naming source, key, the value found and the value expected.
        """
        with read_from(source):
            validated(ResultFile, data)
            return validated(cls, {key: data[key] for key in data if key not in ("schema_version", "run_id")})

    @classmethod
    def from_text(cls, text: str | bytes, source: str = "run result") -> RunResult:
        """Read from the text of a result file, see `from_json`."""
        with read_from(source):
            data = parse_json(text)
        return cls.from_json(data, source)


def failure(
    spec: RunSpec, status: str, error: str, provenance: Mapping[str, Any], error_class: str | None = None
) -> RunResult:
    """The result of a cell that failed or diverged; the error becomes one line."""
    line = " ".join(error.split()) or "no error message"
    cause = DIVERGED_CLASS if status == DIVERGED else error_class
    return RunResult(spec, status, provenance=provenance, error=line, error_class=cause)


def safe_name(text: str) -> str:
    """Replace characters that are unsafe in file names by dots."""
    return re.sub(r"[^A-Za-z0-9_.+-]+", ".", text).strip(".") or "unnamed"
