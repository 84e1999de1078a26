"""Golden cases of boundary matching from the original C++ and MATLAB code, and small maps for the other tests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.boundaries.protocols import BSDS, SEISM, Protocol

NATURAL = tuple(f"nyud_seism_{number}" for number in range(4))
"""Single annotator, 425x560, a soft prediction of the outlines of NYU-v2 segments."""


@dataclass(frozen=True)
class GoldenCase:
    """One case; the README next to the golden numbers describes the fields."""

    name: str
    strength: NDArray[Any]
    raw: NDArray[np.uint8] | None
    truths: NDArray[np.bool_]
    binary: NDArray[np.bool_]
    protocol: Protocol
    reference: NDArray[np.int64]
    card: NDArray[np.int64]
    cost: NDArray[np.int64]


def unpacked(golden: Any, key: str) -> NDArray[np.bool_]:
    """Maps that are stored as bits."""
    shape = golden[f"{key}_shape"]
    return np.unpackbits(golden[key])[: shape.prod()].reshape(shape).astype(bool)


def golden_case(golden: Any, name: str) -> GoldenCase:
    """A case by name. Its map has been through suppression; `raw` is the map before."""

    def stored(field: str) -> Any:
        return golden[f"{name}/{field}"]

    protocol = replace(
        SEISM if str(stored("cmp")) == "gt" else BSDS,
        thresholds=tuple(stored("thr").tolist()),
        suppressed=False,
        thinned=bool(stored("thin")),
        max_distance=float(stored("maxdist")),
    )
    return GoldenCase(
        name,
        stored("pred"),
        stored("raw") if f"{name}/raw" in golden.files else None,
        unpacked(golden, f"{name}/gt"),
        unpacked(golden, f"{name}/bin"),
        protocol,
        stored("counts").astype(np.int64),
        stored("ideal_card"),
        stored("ideal_cost100"),
    )


def scattered(seed: int, shape: tuple[int, int], share: float) -> NDArray[np.bool_]:
    """A random map with a share of boundary pixels."""
    return np.random.default_rng(seed).random(shape) < share


def soft_scene(seed: int, shape: tuple[int, int] = (60, 80)) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """A small predicted map and its true boundaries: blurred lines with noise, and the lines."""
    from scipy.ndimage import gaussian_filter

    random = np.random.default_rng(seed)
    truth = np.zeros(shape, bool)
    for _ in range(3):
        truth[random.integers(8, shape[0] - 8)] = True
        truth[:, random.integers(8, shape[1] - 8)] = True
    moved = np.roll(truth, random.integers(-1, 2, 2), (0, 1))
    soft = 2 * gaussian_filter(moved.astype(float), 1.5) + 0.15 * random.random(shape)
    return (255 * np.clip(soft, 0, 1)).astype(np.uint8), truth
