"""The hidden volume of one image, one vector at a time, as loops that numba compiles.

Arrays are contiguous: xy (H, W, N), xz (W, D, N), yz (H, D, N), weights and products (H, W, D), vector (N,). A hidden
vector is relu(xy[y, x] + xz[x, d] + yz[y, d]); what is not a number stays so, as in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
Loop = Callable[..., None]
FAST = {"reassoc", "contract", "nsz"}
"""What the compiler may do to arithmetic: add in another order, fuse. Not: assume that nothing is NaN."""


def composite_loop(xy: Array, xz: Array, yz: Array, weights: Array, sums: Array) -> None:
    """Add up the weighted hidden vectors of each ray of one image, in `sums` (H, W, N), zero before."""
    height, width, hidden = xy.shape
    for y in range(height):
        for x in range(width):
            pixel, total = xy[y, x], sums[y, x]
            for d in range(weights.shape[2]):
                column, row, weight = xz[x, d], yz[y, d], weights[y, x, d]
                for n in range(hidden):
                    value = pixel[n] + column[n] + row[n]
                    total[n] += weight * (pixel.dtype.type(0) if value <= 0 else value)


def project_loop(xy: Array, xz: Array, yz: Array, vector: Array, products: Array) -> None:
    """Dot products of each hidden vector of one image with `vector`, in `products` (H, W, D)."""
    height, width, hidden = xy.shape
    zero = xy.dtype.type(0)
    for y in range(height):
        for x in range(width):
            pixel = xy[y, x]
            for d in range(products.shape[2]):
                column, row, product = xz[x, d], yz[y, d], zero
                for n in range(hidden):
                    value = pixel[n] + column[n] + row[n]
                    product += vector[n] * (zero if value <= 0 else value)
                products[y, x, d] = product


def composite_gradient_loop(
    xy: Array,
    xz: Array,
    yz: Array,
    weights: Array,
    given: Array,
    to_xy: Array,
    to_xz: Array,
    to_yz: Array,
    to_weights: Array,
) -> None:
    """Gradients of `composite_loop` from that of its sums; all but `to_weights` are zero before."""
    height, width, hidden = xy.shape
    zero = xy.dtype.type(0)
    for y in range(height):
        for x in range(width):
            pixel, gradient, to_pixel = xy[y, x], given[y, x], to_xy[y, x]
            for d in range(weights.shape[2]):
                column, row, weight, product = xz[x, d], yz[y, d], weights[y, x, d], zero
                to_column, to_row = to_xz[x, d], to_yz[y, d]
                for n in range(hidden):
                    value = pixel[n] + column[n] + row[n]
                    product += gradient[n] * (zero if value <= 0 else value)
                    step = zero if value <= 0 else weight * gradient[n]
                    to_pixel[n] += step
                    to_column[n] += step
                    to_row[n] += step
                to_weights[y, x, d] = product


def project_gradient_loop(
    xy: Array,
    xz: Array,
    yz: Array,
    vector: Array,
    given: Array,
    to_xy: Array,
    to_xz: Array,
    to_yz: Array,
    to_vector: Array,
) -> None:
    """Gradients of `project_loop` from that of its products; all are zero before."""
    height, width, hidden = xy.shape
    zero = xy.dtype.type(0)
    for y in range(height):
        for x in range(width):
            pixel, to_pixel = xy[y, x], to_xy[y, x]
            for d in range(given.shape[2]):
                column, row, gradient = xz[x, d], yz[y, d], given[y, x, d]
                to_column, to_row = to_xz[x, d], to_yz[y, d]
                for n in range(hidden):
                    value = pixel[n] + column[n] + row[n]
                    to_vector[n] += gradient * (zero if value <= 0 else value)
                    step = zero if value <= 0 else gradient * vector[n]
                    to_pixel[n] += step
                    to_column[n] += step
                    to_row[n] += step


@cache
def installed() -> bool:
    """Whether numba can be imported."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


@cache
def machine_code(loop: Loop) -> Loop:
    """The loop compiled by numba, and kept on disk for the next process where that can be."""
    from numba import njit

    try:
        compiled: Loop = njit(nogil=True, cache=True, fastmath=FAST)(loop)
    except RuntimeError:
        # numba found no folder to write, neither beside the source nor in the user's cache.
        compiled = njit(nogil=True, fastmath=FAST)(loop)
    return compiled
