"""The hidden volume on a CPU: it exists one vector at a time, in registers.

A hidden vector is made, used and forgotten, so that neither pass is bound by memory, which the same in tensor
operations is. Images, and bands of rows where there are fewer images than threads, are shared out to as many threads as
torch uses.

Tensors are contiguous: xy (B, H, W, N), xz (B, W, D, N), yz (B, H, D, N), weights (B, H, W, D), vector (N,).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from regularizers.three_d_aware.loops import (
    Array,
    composite_gradient_loop,
    composite_loop,
    installed,
    machine_code,
    project_gradient_loop,
    project_loop,
)


def usable(*tensors: Tensor) -> bool:
    """Whether this module takes these: on a CPU, of one precision, and numba is installed."""
    dtypes = {tensor.dtype for tensor in tensors}
    here = all(tensor.device.type == "cpu" for tensor in tensors) and dtypes in ({torch.float32}, {torch.float64})
    return here and installed()


def composite(xy: Tensor, xz: Tensor, yz: Tensor, weights: Tensor) -> Tensor:
    """(B, H, W, N) weighted sums along the rays."""
    sums = torch.zeros_like(xy)
    loop = machine_code(composite_loop)
    a, b, c, w, s = _arrays(xy, xz, yz, weights, sums)
    _share_out(xy, lambda i, _, rows: loop(a[i, rows], b[i], c[i, rows], w[i, rows], s[i, rows]))
    return sums


def composite_gradient(
    xy: Tensor, xz: Tensor, yz: Tensor, weights: Tensor, given: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of xy, xz, yz and weights from that of `composite`."""
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
    """(B, H, W, D) dot products with a vector."""
    products = xy.new_empty(*xy.shape[:3], xz.shape[2])
    loop = machine_code(project_loop)
    a, b, c, v, p = _arrays(xy, xz, yz, vector, products)
    _share_out(xy, lambda i, _, rows: loop(a[i, rows], b[i], c[i, rows], v, p[i, rows]))
    return products


def project_gradient(
    xy: Tensor, xz: Tensor, yz: Tensor, vector: Tensor, given: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of xy, xz, yz and the vector from that of `project`."""
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
    """Zeros like what all rows of an image add to, (parts, B, ...): each band of rows has its own."""
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
    # A pool that outlives the call would be dead in a process that a data loader forks.
    with ThreadPoolExecutor(threads) as pool:
        done = [pool.submit(work, *share) for share in shares]
    for future in done:
        future.result()
