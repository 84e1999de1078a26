"""Entries that tests register, and remove again."""

from __future__ import annotations

from benchmark.registry import Registry


def forget(registry: Registry, *names: str) -> None:
    """Remove entries, as if their files had not been imported; a name without an entry is left out."""
    for name in names:
        registry._entries.pop(name, None)
        registry._module_dict.pop(name, None)
