"""Constructor arguments that name one of a few variants of a method."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeVar

Variant = TypeVar("Variant")


def choose(argument: str, name: str, variants: Mapping[str, Variant]) -> Variant:
    """The variant of that name.

    Args:
        argument: name of the constructor argument, for the message.
        name: its value.
        variants: what there is to choose from.

    Raises:
        ValueError: with near matches, if there is none.
    """
    if name in variants:
        return variants[name]
    near = get_close_matches(str(name), variants, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{argument} must be one of {', '.join(map(repr, variants))}, found {name!r}.{hint}")
