"""Recipe settings that a run changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from benchmark.records.validation import Json, Name, canonical_json, validated


class Overrides(Mapping[str, Any]):
    """Changed recipe settings by dotted key, as an immutable, hashable mapping.

    Args:
        values: any JSON values; a tuple becomes a list.

    Raises:
        RecordError: for a key that is not a name or a value that is not strict JSON.
    """

    __slots__ = ("_pairs",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        checked = validated(dict[Name, Json], dict(values or {}), "overrides")
        self._pairs = tuple(sorted((key, canonical_json(value)) for key, value in checked.items()))

    def split(self, part: str) -> tuple[Overrides, Overrides]:
        """Split into the overrides of one part of the recipe, such as "regularizer", and the other overrides."""
        own = {key: value for key, value in self.items() if key.split(".")[0] == part}
        return Overrides(own), Overrides({key: value for key, value in self.items() if key not in own})

    def __getitem__(self, key: str) -> Any:
        return json.loads(dict(self._pairs)[key])

    def __iter__(self) -> Iterator[str]:
        return (key for key, _ in self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __hash__(self) -> int:
        return hash(self._pairs)

    def __eq__(self, other: object) -> bool:
        # Compare as text, since 1, 1.0 and True are equal in Python but different settings.
        return isinstance(other, Overrides) and self._pairs == other._pairs

    def __repr__(self) -> str:
        return f"Overrides({dict(self)!r})"

    def __str__(self) -> str:
        return " ".join(f"{key}={text}" for key, text in self._pairs)
