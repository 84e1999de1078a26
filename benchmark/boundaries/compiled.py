"""Machine code for the hot loops, where numba is installed; the same loops in plain Python where it is not.

Every loop is written once, as a function of arrays and numbers. So both ways give the same numbers, and only the speed
differs. Loops that call each other stand in one file, since numba's cache looks at the file of the caller alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

Loop = TypeVar("Loop", bound=Callable[..., Any])


@cache
def compiler() -> Callable[..., Any] | None:
    """numba's `njit`, or None where numba cannot be imported."""
    try:
        from numba import njit
    except ImportError as error:
        warnings.warn(f"boundary evaluation runs in plain Python, some 100 times slower: {error}", stacklevel=2)
        return None
    return njit  # type: ignore[no-any-return]


def compiled(loop: Loop) -> Loop:
    """The loop as machine code, kept on disk for the next process where a folder for it can be written."""
    njit = compiler()
    if njit is None:
        return loop
    try:
        return njit(cache=True)(loop)  # type: ignore[no-any-return]
    except RuntimeError:
        # numba found no folder that it can write: neither beside the source nor in the user's cache.
        return njit(loop)  # type: ignore[no-any-return]
