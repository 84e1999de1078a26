"""Constructor options of methods and regularizers, compared with the signature and its simple annotations."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from benchmark.tasks import suggest
from benchmark.training.gradient_calibration import CALIBRATED, calibrated_ratio
from benchmark.training.recipe_keys import ConfigError

GIVEN = ("self", "tasks", "backbone", "feature_specs", "root", "split", "seed")
"""Arguments that the suite sets, not the recipe."""
SIMPLE = (int, float, bool, str, type(None), ...)


def check_options(factory: Callable[..., Any], options: Mapping[str, Any], owner: str) -> None:
    """Refuse unknown options, and values that do not match a simple annotation.

    Args:
        factory: registered class or function.
        options: keywords from a recipe.
        owner: owner of the options for the message, such as "method hard_sharing".

    Raises:
        ConfigError: for the first wrong option, in one line.
    """
    parameters = inspect.signature(factory).parameters
    choices = [name for name in parameters if name not in GIVEN]
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    hints = _hints(factory)
    for name, value in options.items():
        if name not in choices and not takes_any:
            listed = ", ".join(choices) or "none"
            raise ConfigError(f"{owner} has no option {name!r}.{suggest(name, choices)} Options: {listed}")
        if name in hints and _is_simple(hints[name]) and not (name == "weight" and _is_calibrated(value)):
            _check_value(hints[name], value, f"{owner}: option {name!r}")


def _is_calibrated(value: Any) -> bool:
    """True for the text of a calibrated weight, which stands in place of a number."""
    return isinstance(value, str) and value.partition(":")[0] == CALIBRATED and calibrated_ratio(value) is not None


def _check_value(annotation: Any, value: Any, place: str) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(strict=True, allow_inf_nan=False))
    try:
        adapter.validate_python(tuple(value) if isinstance(value, list) else value)
    except ValidationError as error:
        expected = dict.fromkeys(fault["msg"].removeprefix("Input should be ") for fault in error.errors())
        raise ConfigError(f"{place}: found {value!r}, expected {' or '.join(expected)}") from None


def _hints(factory: Callable[..., Any]) -> dict[str, Any]:
    """Types of the arguments; empty if an annotation is only imported for type checkers."""
    try:
        return get_type_hints(factory.__init__ if inspect.isclass(factory) else factory)
    except (NameError, TypeError, AttributeError):
        return {}


def _is_simple(annotation: Any) -> bool:
    if get_origin(annotation) is Literal or annotation in SIMPLE:
        return True
    if get_origin(annotation) in (Union, types.UnionType, tuple):
        return all(map(_is_simple, get_args(annotation)))
    return False
