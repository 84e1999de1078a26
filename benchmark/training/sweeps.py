"""Settings with several values, from the command line: `regularizer.weight=0.1,0.3`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from benchmark.records.overrides import Overrides
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError, literal, parse_assignments

OPENING, CLOSING, QUOTES = "([{", ")]}", "'\""


def variants_of(recipe: str, assignments: Iterable[str]) -> list[Overrides]:
    """All combinations of the values of some settings.

    Args:
        recipe: name of the recipe, or path of the user's own recipe file.
        assignments: texts of the form KEY=VALUE or KEY=VALUE,VALUE.

    Raises:
        ConfigError: for a text of another form.
    """
    return combinations({key: _values(recipe, key, text) for key, text in parse_assignments(assignments).items()})


def combinations(sweep: Mapping[str, Sequence[Any]]) -> list[Overrides]:
    """Overrides of all keys, for each combination of their values."""
    return [Overrides(dict(zip(sweep, values, strict=True))) for values in product(*sweep.values())]


def _values(recipe: str, key: str, text: str) -> list[Any]:
    """The values of a setting; a list of numbers is one value if the setting takes lists, such as a size "64,96"."""
    parts = [literal(part) for part in split_at_commas(text)]
    whole = literal(text)
    if len(parts) < 2 or (_takes(recipe, key, whole) and not all(_takes(recipe, key, part) for part in parts)):
        return [whole]
    return parts


def _takes(recipe: str, key: str, value: Any) -> bool:
    try:
        load_recipe(recipe, {key: value})
    except ConfigError:
        return False
    return True


def split_at_commas(text: str) -> list[str]:
    """Split at the commas outside of brackets and quotation marks; empty parts are left out."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in QUOTES:
            quote = character
        elif character in OPENING + CLOSING:
            depth += 1 if character in OPENING else -1
        elif character == "," and depth == 0:
            parts.append("")
            continue
        parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
