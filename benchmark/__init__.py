"""Core of the suite. It does not import methods, regularizers or data sets; `load` builds a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.inference.loading import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # Tables are made without torch, so the import waits for the first use.
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from benchmark.inference.loading import load

    return load
