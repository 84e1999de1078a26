"""Users' files in TOML, checked by a pydantic model; every fault is reported in one line."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from benchmark.records.validation import RecordError
from benchmark.tasks import suggest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Model = TypeVar("Model", bound=BaseModel)


def read_toml(kind: type[Model], path: Path, **given: Any) -> Model:
    """Read a TOML file.

    Args:
        kind: model of the keys of the file.
        path: the file.
        given: keys that the file does not have.

    Raises:
        RecordError: if the file is missing, not TOML, or has a wrong key; in one line.
    """
    try:
        return kind(**given, **tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecordError(f"{path}: not readable: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise RecordError(f"{path}: not readable as TOML: {error}") from None
    except ValidationError as error:
        raise RecordError(f"{path}: {_first_fault(kind, error)}") from None


def _first_fault(kind: type[BaseModel], error: ValidationError) -> str:
    """One line for a wrong key, unknown keys first: key, value expected, value found."""
    fault = max(error.errors(include_url=False), key=lambda fault: fault["type"] == "extra_forbidden")
    key = ".".join(map(str, fault["loc"]))
    if fault["type"] == "extra_forbidden":
        *table, name = fault["loc"]
        known = _keys(kind, table)
        return f"unknown key {key}.{suggest(str(name), known)} Keys: {', '.join(known)}"
    found = "" if fault["type"] == "missing" else f", found {str(fault['input'])[:80]}"
    return f"{key}: {fault['msg'].removeprefix('Value error, ')}{found}" if key else str(fault["msg"])


def _keys(kind: type[BaseModel], table: Sequence[int | str]) -> Mapping[str, FieldInfo]:
    """Keys of a table below the model, such as ("cells", 0)."""
    fields = kind.model_fields
    for name in table:
        if isinstance(name, str):
            annotation = fields[name].annotation
            (fields,) = (
                inner.model_fields
                for inner in (annotation, *get_args(annotation))
                if isinstance(inner, type) and issubclass(inner, BaseModel)
            )
    return fields
