"""Hidden vectors of a factored MLP on a CPU, computed one at a time in registers by loops that numba compiles.

Forward and backward pass are not limited by memory traffic, unlike the equal tensor operations. Images, and bands of
rows if there are fewer images than threads, are distributed over torch's number of threads.

Arrays are contiguous. The functions take batches: xy (B, H, W, N), xz (B, W, D, N), yz (B, H, D, N), weights
(B, H, W, D), vector (N,). The loops take one image: the same without B. A hidden vector is
relu(xy[y, x] + xz[x, d] + yz[y, d]); NaN stays NaN, as in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
Loop = Callable[..., None]
FASTMATH = {"reassoc", "contract", "nsz"}
"""Permitted changes of arithmetic: order of additions and fused operations. NaN is still respected."""


def usable(*tensors: Tensor) -> bool:
    """True for tensors on the CPU, all float32 or all float64, if numba is installed."""
    dtypes = {tensor.dtype for tensor in tensors}
    on_cpu = all(tensor.device.type == "cpu" for tensor in tensors)
    return on_cpu and dtypes in ({torch.float32}, {torch.float64}) and installed()


def composite(xy: Tensor, xz: Tensor, yz: Tensor, weights: Tensor) -> Tensor:
    """(B, H, W, N) weighted sums of the hidden vectors along rays."""
    sums = torch.zeros_like(xy)
    loop = machine_code(composite_loop)
    a, b, c, w, s = _arrays(xy, xz, yz, weights, sums)
    _share_out(xy, lambda i, _, rows: loop(a[i, rows], b[i], c[i, rows], w[i, rows], s[i, rows]))
    return sums


def composite_gradient(
    xy: Tensor, xz: Tensor, yz: Tensor, weights: Tensor, given: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of xy, xz, yz and weights from the gradient of `composite`."""
    to_xy, to_xz, to_yz, to_weights = torch.zeros_like(xy), _parts(xz), torch.zeros_like(yz), torch.empty_like(weights)
    loop = machine_code(composite_gradient_loop)
    a, b, c, w, g = _arrays(xy, xz, yz, weights, given)
    to_a, to_b, to_c, to_w = _arrays(to_xy, to_xz, to_yz, to_weights)

    def work(i: int, part: int, rows: slice) -> None:
        loop(
            a[i, rows],
            b[i],
            c[i, rows],
            w[i, rows],
            g[i, rows],
            to_a[i, rows],
            to_b[part, i],
            to_c[i, rows],
            to_w[i, rows],
        )

    _share_out(xy, work)
    return to_xy, to_xz.sum(0), to_yz, to_weights


def project(xy: Tensor, xz: Tensor, yz: Tensor, vector: Tensor) -> Tensor:
    """(B, H, W, D) dot products of the hidden vectors with a vector."""
    products = xy.new_empty(*xy.shape[:3], xz.shape[2])
    loop = machine_code(project_loop)
    a, b, c, v, p = _arrays(xy, xz, yz, vector, products)
    _share_out(xy, lambda i, _, rows: loop(a[i, rows], b[i], c[i, rows], v, p[i, rows]))
    return products


def project_gradient(
    xy: Tensor, xz: Tensor, yz: Tensor, vector: Tensor, given: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of xy, xz, yz and the vector from the gradient of `project`."""
    to_xy, to_xz, to_yz = torch.zeros_like(xy), _parts(xz), torch.zeros_like(yz)
    to_vector = _parts(vector.expand(len(xy), -1))
    loop = machine_code(project_gradient_loop)
    a, b, c, v, g = _arrays(xy, xz, yz, vector, given)
    to_a, to_b, to_c, to_v = _arrays(to_xy, to_xz, to_yz, to_vector)

    def work(i: int, part: int, rows: slice) -> None:
        loop(a[i, rows], b[i], c[i, rows], v, g[i, rows], to_a[i, rows], to_b[part, i], to_c[i, rows], to_v[part, i])

    _share_out(xy, work)
    return to_xy, to_xz.sum(0), to_yz, to_vector.sum((0, 1))


def _arrays(*tensors: Tensor) -> tuple[Array, ...]:
    return tuple(tensor.detach().numpy() for tensor in tensors)


def _parts(shared: Tensor) -> Tensor:
    """Zeros (parts, B, ...): one accumulator for each band of rows of an image."""
    return shared.new_zeros(_number_of_parts(len(shared)), *shared.shape)


def _number_of_parts(images: int) -> int:
    return -(-torch.get_num_threads() // images)


def _share_out(maps: Tensor, work: Callable[[int, int, slice], None]) -> None:
    """Call `work(image, part, rows)` for each band of rows of maps (B, H, ...), on torch's number of threads."""
    images, height = maps.shape[:2]
    parts = _number_of_parts(images)
    shares = [
        (image, part, slice(height * part // parts, height * (part + 1) // parts))
        for image in range(images)
        for part in range(parts)
    ]
    threads = min(torch.get_num_threads(), len(shares))
    if threads == 1:
        for share in shares:
            work(*share)
        return
    # A pool that outlives the call would not work in a process that a data loader forks.
    with ThreadPoolExecutor(threads) as pool:
        done = [pool.submit(work, *share) for share in shares]
    for future in done:
        future.result()


def composite_loop(xy: Array, xz: Array, yz: Array, weights: Array, sums: Array) -> None:
    """Add the weighted hidden vectors of each ray of one image to `sums` (H, W, N), initially zero."""
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
    """Write the dot products of the hidden vectors of one image with `vector` to `products` (H, W, D)."""
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
    """Add the gradients of `composite_loop`, from the gradient of its sums, to zeros; write `to_weights`."""
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
    """Add the gradients of `project_loop`, from the gradient of its products, to zeros."""
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
    """True if numba can be imported."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


@cache
def machine_code(loop: Loop) -> Loop:
    """The loop, compiled by numba and cached on disk if possible."""
    from numba import njit

    try:
        compiled: Loop = njit(nogil=True, cache=True, fastmath=FASTMATH)(loop)
    except RuntimeError:
        # numba found no writable folder for its cache.
        compiled = njit(nogil=True, fastmath=FASTMATH)(loop)
    return compiled
