"""Types of the entries of a result file (schema version 1). Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Field, with_config
from typing_extensions import NotRequired, TypedDict

from benchmark.records.validation import CONFIG, Count, Flag, Name, Number, Text, one_of

SCHEMA_VERSION = 1


@with_config(CONFIG)
class Metric(TypedDict):
    """One measured number."""

    value: Number
    unit: Text
    higher_is_better: Flag


@with_config(CONFIG)
class PublishedMetric(Metric):
    """One published number; None if the source has no number."""

    value: Number | None  # type: ignore[misc]


class CodeState(TypedDict, total=False):
    """Commit of the code; dirty is True if files differed from it. Both are None without a commit."""

    commit: Name | None
    dirty: Flag | None


class DataState(TypedDict, total=False):
    """Data set of the evaluation."""

    id: Name
    fingerprint: Text
    frames: Count


class CostOrigin(TypedDict, total=False):
    """Image size and machine of a cost measurement."""

    size: list[Count]
    hardware: dict[str, Any]


class Provenance(CodeState, total=False):
    """Origin of a result: keys that other code reads. Further keys may hold any JSON values."""

    command: Text
    hardware: dict[str, Any] | None
    data: DataState | None
    recipe_sha256: Text | None
    earlier_parts: list[CodeState]
    scored: dict[str, Any]
    cost: CostOrigin


class TimesOfResult(TypedDict, total=False):
    """Start and end of a cell, in ISO 8601."""

    started: Any
    finished: Any


class Outline(TypedDict):
    """Entries of a result file that the state of a cell is read from; other entries are not checked."""

    schema_version: Annotated[int, Field(strict=True), AfterValidator(one_of(SCHEMA_VERSION))]
    run_id: Name
    status: Text
    error: NotRequired[Text | None]
    error_class: NotRequired[Text | None]
    provenance: TimesOfResult


class ResultFile(TypedDict):
    """Required keys of a result file; `RunResult` checks its own fields.

    The run_id follows from the spec; a file of another version of the code may have another one.
    """

    schema_version: Annotated[int, Field(strict=True), AfterValidator(one_of(SCHEMA_VERSION))]
    run_id: Name
    status: Any
    spec: Any
    metrics: Any
    cost: Any
    provenance: Any
