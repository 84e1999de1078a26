"""Strict JSON in and out, and the hand-written checks of what was read. Standard library only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn


class RecordError(ValueError):
    """A record breaks its schema; the message is one line: file, key, what was found, what was expected."""


def canonical_json(value: Any) -> str:
    """Strict JSON with sorted keys and no spaces: equal values give equal text.

    Raises:
        TypeError: for a value that JSON does not know.
        ValueError: for NaN and infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse_json(text: str) -> Any:
    """The value of strict JSON.

    Raises:
        RecordError: naming the position; also for NaN and infinity.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not readable as JSON: {' '.join(str(error).split())}") from None


def is_number(value: Any) -> bool:
    """Whether it is a finite number; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


@contextmanager
def read_from(source: str) -> Iterator[None]:
    """Put the source, a file or an option, before the message of a `RecordError`."""
    try:
        yield
    except RecordError as error:
        raise RecordError(f"{source}: {error}") from None


def refuse(key: str, found: Any, expected: str) -> NoReturn:
    """Raise the one-line `RecordError` of a wrong value."""
    shown = repr(found)
    raise RecordError(f"{key}: found {shown if len(shown) <= 80 else shown[:77] + '...'}, expected {expected}")


def member(data: Mapping[str, Any], key: str, path: str) -> Any:
    """The value of a key that must be there; `path` is its place in the file, for the message."""
    if key not in data:
        raise RecordError(f"{path}: missing, expected beside {', '.join(map(str, data)) or 'nothing'}"[:200])
    return data[key]


def expect_mapping(value: Any, key: str) -> None:
    """Refuse what is not a mapping."""
    if not isinstance(value, Mapping):
        refuse(key, value, "a mapping")


def expect_name(value: Any, key: str) -> None:
    """Refuse what is not a non-empty line of text."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        refuse(key, value, "a name")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in strict JSON")
