"""The settings of a recipe that a run changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from benchmark.records.strict_json import canonical_json, expect_name, refuse


class Overrides(Mapping[str, Any]):
    """Recipe settings that differ, by dotted key: a mapping that can be hashed and never changes.

    Args:
        values: any JSON values; a tuple becomes a list.

    Raises:
        RecordError: for a key that is no name or a value that is not strict JSON.
    """

    __slots__ = ("_pairs",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        pairs = []
        for key, value in (values or {}).items():
            expect_name(key, "a key of spec.overrides")
            try:
                pairs.append((key, canonical_json(value)))
            except (TypeError, ValueError):
                refuse(f"spec.overrides.{key}", value, "text, a finite number, true, false, null, a list or a mapping")
        self._pairs = tuple(sorted(pairs))

    def split(self, part: str) -> tuple[Overrides, Overrides]:
        """Those of a part of the recipe, such as "regularizer", and the others."""
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
        # Compared as text: 1, 1.0 and True are equal in Python and are different settings.
        return isinstance(other, Overrides) and self._pairs == other._pairs

    def __repr__(self) -> str:
        return f"Overrides({dict(self)!r})"

    def __str__(self) -> str:
        return " ".join(f"{key}={text}" for key, text in self._pairs)
