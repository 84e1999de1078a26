"""Checks of single JSON values, for readers that are not pydantic models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from benchmark.records.validation import RecordError, canonical_json, parse_json, read_from, short

__all__ = [
    "RecordError",
    "canonical_json",
    "expect_mapping",
    "expect_name",
    "member",
    "parse_json",
    "read_from",
    "refuse",
]


def refuse(key: str, found: Any, expected: str) -> NoReturn:
    """Raise the one-line `RecordError` of a wrong value."""
    raise RecordError(f"{key}: found {short(found)}, expected {expected}")


def member(data: Mapping[str, Any], key: str, path: str) -> Any:
    """The value of a required key; `path` is its place in the file, for the message."""
    if key not in data:
        raise RecordError(f"{path}: missing")
    return data[key]


def expect_mapping(value: Any, key: str) -> None:
    """Refuse what is not a mapping."""
    if not isinstance(value, Mapping):
        refuse(key, value, "a mapping")


def expect_name(value: Any, key: str) -> None:
    """Refuse what is not a non-empty line of text."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        refuse(key, value, "a name")
