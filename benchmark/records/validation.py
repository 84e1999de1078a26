"""Checks of data from outside: strict JSON, pydantic types, and errors of one line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, Strict, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, from_json

Validated = TypeVar("Validated")

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True, arbitrary_types_allowed=True)
"""Settings of every model: unknown keys, NaN and infinity are refused. Values are not converted, see the types below."""
MAX_LENGTH = 1000
"""Characters of the longest name."""
MAX_NUMBER = 1e100
"""Largest stored number: its square, and a sum of squares, are finite."""


class RecordError(ValueError):
    """A record breaks its schema; the message is one line: file, key, the value found and the value expected."""


def one_line_text(text: str) -> str:
    """Return the text if it is a line that can be printed.

    Raises:
        ValueError: if it is empty, or has line breaks or control characters.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError("a line of printable text")
    return text


def json_value(value: Any) -> Any:
    """Return the value if strict JSON can hold it.

    Raises:
        ValueError: if it cannot.
    """
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("text, a finite number, true, false, null, a list or a mapping") from None
    return value


Text = Annotated[str, Strict()]
Name = Annotated[str, Strict(), StringConstraints(max_length=MAX_LENGTH), AfterValidator(one_line_text)]
Number = Annotated[float, Strict(), Field(ge=-MAX_NUMBER, le=MAX_NUMBER)]
Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Flag = Annotated[bool, Strict()]
Json = Annotated[Any, AfterValidator(json_value)]


def canonical_json(value: Any) -> str:
    """Strict JSON with sorted keys and no spaces: equal values give equal text.

    Raises:
        TypeError: for a value that JSON does not know.
        ValueError: for NaN and infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def parse_json(text: str | bytes) -> Any:
    """Parse strict JSON: no NaN, no infinity, no unpaired surrogates, at most 200 levels.

    Raises:
        RecordError: naming the position.
    """
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise RecordError(f"not readable as JSON: {' '.join(str(error).split())}") from None


def validated(model: type[Validated] | TypeAdapter[Validated], data: Any, source: str = "") -> Validated:
    """Convert plain JSON values to a pydantic model or a dataclass.

    Args:
        model: a type that pydantic knows, or its adapter.
        data: plain JSON values.
        source: file or option that the data come from, for the message.

    Raises:
        RecordError: naming source, key, the value found and the value expected.
    """
    adapter = model if isinstance(model, TypeAdapter) else TypeAdapter(model)
    with read_from(source):
        return adapter.validate_python(data)


@contextmanager
def read_from(source: str) -> Iterator[None]:
    """Turn the errors of the block into a `RecordError` of one line that begins with the source."""
    try:
        yield
    except ValidationError as error:
        message = one_line(error)
    except RecordError as error:
        message = str(error)
    else:
        return
    raise RecordError(f"{source}: {message}" if source else message)


def refuse(key: str, found: Any, expected: str) -> NoReturn:
    """Raise the one-line `RecordError` of a wrong value."""
    raise RecordError(f"{key}: found {_short(found)}, expected {expected}")


def one_line(error: ValidationError) -> str:
    """Describe the first fault of a validation: key, the value found and the value expected."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"])[:MAX_LENGTH] or "the content"
    if fault["type"] in ("missing", "missing_argument"):
        return f"{key}: missing"
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: not a known key"
    return f"{key}: found {_short(fault['input'])}, expected {_expected(fault)}"


def _expected(fault: ErrorDetails) -> str:
    reason = fault.get("ctx", {}).get("error")
    if isinstance(reason, ValueError):
        return str(reason)
    if fault["type"] in ("dict_type", "mapping_type", "model_type", "dataclass_type", "model_attributes_type"):
        return "a mapping"
    return fault["msg"].removeprefix("Input should be ")


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
