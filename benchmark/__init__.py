"""Core of the suite. It does not import methods, regularizers or data sets.

`benchmark.load` builds a trained model, `benchmark.run_grid` runs a grid.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.inference.loading import load
    from benchmark.training.launch import run_grid

__all__ = ["load", "run_grid"]

MODULES = {"load": "benchmark.inference.loading", "run_grid": "benchmark.training.launch"}


def __getattr__(name: str) -> Any:
    # Tables are made without torch, so the import waits for the first use.
    if name not in MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(MODULES[name]), name)
