"""Machine code for the hot loops, where numba is installed; the same loops in plain Python where it is not.

Every loop is written once, as a function of arrays and numbers, so both ways give the same numbers. Loops that call
each other are in one file, since numba's cache watches the file of the caller only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from numpy.typing import NDArray

Loop = TypeVar("Loop", bound=Callable[..., Any])


@cache
def compiler() -> Callable[..., Any] | None:
    """numba's `njit`, or None where numba cannot be imported."""
    try:
        from numba import njit
    except ImportError as error:
        warnings.warn(f"boundary evaluation runs in plain Python, which is slow: {error}", stacklevel=2)
        return None
    compile_loop: Callable[..., Any] = njit
    return compile_loop


def compiled(loop: Loop) -> Loop:
    """Compile a loop to machine code, cached on disk for the next process if a folder is writable."""
    njit = compiler()
    if njit is None:
        return loop
    try:
        machine_code: Loop = njit(cache=True)(loop)
    except RuntimeError:
        # numba found no writable folder, neither next to the source nor in the user's cache.
        machine_code = njit(loop)
    return machine_code


def loop_values(values: NDArray[Any]) -> Any:
    """One-dimensional values for a loop: plain Python reads lists several times faster than arrays."""
    return values.tolist() if compiler() is None else values
