"""Checks of data from outside: strict JSON, pydantic types, and errors of one line."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import ErrorDetails, from_json

Validated = TypeVar("Validated")

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False, validate_default=True)
"""Settings of every model: refuse unknown keys, NaN and infinity. The types below refuse conversions."""
MAX_LENGTH = 1000
"""Characters of the longest name."""
MAX_NUMBER = 1e100
EXPECTED = {
    "string": "text",
    **dict.fromkeys(("float", "finite_number"), "a finite number"),
    "int": "an integer",
    "bool": "true or false",
    **dict.fromkeys(("list", "tuple"), "a list"),
    **dict.fromkeys(("dict", "mapping", "model", "model_attributes", "dataclass"), "a mapping"),
}
"""Names of expected values in JSON terms, by pydantic's name of the type."""


class RecordError(ValueError):
    """A record breaks its schema; the message is one line: file, key, the value found and the value expected."""


def one_line_text(text: str) -> str:
    """Return the text if it is one printable line.

    Raises:
        ValueError: if the text is empty, or has line breaks or control characters.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError("a line of printable text")
    return text


def shortened(message: object, length: int = 300) -> str:
    """The text of an error of another library in one line, at most `length` characters."""
    return " ".join(str(message).split())[:length]


def json_value(value: Any) -> Any:
    """Return the value if strict JSON can hold it.

    Raises:
        ValueError: if the value is not strict JSON.
    """
    if value is None or isinstance(value, (bool, int)):
        return value
    try:
        canonical_json(value)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("text, a finite number, true, false, null, a list or a mapping") from None
    return value


def bounded(number: float) -> float:
    """Return the number if its square can be summed without overflow: at most `MAX_NUMBER`, of either sign.

    Raises:
        ValueError: for a larger number, and for NaN.
    """
    if not -MAX_NUMBER <= number <= MAX_NUMBER:
        raise ValueError(f"a finite number of at most {MAX_NUMBER:g}")
    return number


Text = Annotated[str, Strict()]
Name = Annotated[str, Strict(), StringConstraints(max_length=MAX_LENGTH), AfterValidator(one_line_text)]
Number = Annotated[float, Strict(), AfterValidator(bounded)]
Count = Annotated[int, Strict(), Field(ge=0, lt=2**63)]
Flag = Annotated[bool, Strict()]
Json = Annotated[Any, AfterValidator(json_value)]


def canonical_json(value: Any) -> str:
    """Convert to strict JSON with sorted keys and no spaces: equal values give equal text.

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


def validated(model: type[Validated], data: Any, source: str = "") -> Validated:
    """Convert plain JSON values to a type that pydantic knows: a model, a dataclass, a `TypedDict`, `dict[str, int]`.

    Args:
        model: the type.
        data: plain JSON values.
        source: file or option that the data come from, for the message.

    Raises:
        RecordError: naming source, key, the value found and the value expected.
    """
    with read_from(source):
        checked: Validated = adapter_of(model).validate_python(data)  # type: ignore[arg-type]
        return checked


@cache
def adapter_of(model: Any) -> TypeAdapter[Any]:
    """The validator of a type."""
    return TypeAdapter(model)


def unchanged(model: Any) -> PlainValidator:
    """A validator that checks a value by a type and returns the value itself, with the order of its keys."""
    adapter = adapter_of(model)

    def check(value: Any) -> Any:
        adapter.validate_python(value)
        return value

    return PlainValidator(check)


def one_of(*choices: Any) -> Callable[[Any], Any]:
    """A validator that accepts some values only."""

    def check(value: Any) -> Any:
        if value not in choices:
            raise ValueError(f"one of {', '.join(map(str, choices))}" if len(choices) > 1 else str(choices[0]))
        return value

    return check


def one_line_errors(dataclass: type[Validated]) -> type[Validated]:
    """Class decorator: the constructor of a pydantic dataclass raises `RecordError`."""
    construct, signature = dataclass.__init__, inspect.signature(dataclass)

    @wraps(construct)
    def init(self: Any, *args: Any, **values: Any) -> None:
        # Name arguments by field, so that errors name the field and not the position.
        by_name = signature.bind(*args, **values).arguments
        with read_from(""):
            construct(self, **by_name)

    dataclass.__init__ = init  # type: ignore[method-assign]
    return dataclass


@contextmanager
def read_from(source: str) -> Iterator[None]:
    """Turn a `ValidationError` or `RecordError` of the block into a one-line `RecordError`, after the source if any."""
    try:
        yield
    except ValidationError as error:
        message = one_line(error)
    except RecordError as error:
        message = str(error)
    else:
        return
    raise RecordError(f"{source}: {message}" if source else message)


def one_line(error: ValidationError) -> str:
    """Describe the first fault of a validation: key, the value found and the value expected."""
    fault = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in fault["loc"])[:MAX_LENGTH] or "the content"
    if fault["type"] in ("missing", "missing_argument"):
        return f"{key}: missing"
    if fault["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: not a known key"
    return f"{key}: found {short(fault['input'])}, expected {_expected(fault)}"


def _expected(fault: ErrorDetails) -> str:
    reason = fault.get("ctx", {}).get("error")
    if isinstance(reason, ValueError):
        return str(reason)
    by_type = EXPECTED.get(fault["type"].removesuffix("_type"))
    return by_type or fault["msg"].replace("Input should be", "a value that is", 1)


def short(value: Any) -> str:
    """The `repr` of a value, at most 80 characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
