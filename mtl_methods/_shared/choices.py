"""Constructor arguments that name a variant of a method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from benchmark.tasks import suggest

Variant = TypeVar("Variant")


def choose(argument: str, name: str, variants: Mapping[str, Variant]) -> Variant:
    """The variant of that name.

    Args:
        argument: name of the constructor argument, for the message.
        name: its value.
        variants: the variants by name.

    Raises:
        ValueError: if no variant has this name.
    """
    if name in variants:
        return variants[name]
    raise ValueError(
        f"{argument} must be one of {', '.join(map(repr, variants))}, found {name!r}.{suggest(name, variants)}"
    )
