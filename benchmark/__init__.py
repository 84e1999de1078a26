"""Core of the suite; `benchmark.run_grid` runs a grid from Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.launch import run_grid

__all__ = ["run_grid"]


def __getattr__(name: str) -> Any:
    """Import `run_grid` when it is asked for, since it needs torch."""
    if name == "run_grid":
        from benchmark.launch import run_grid

        return run_grid
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
