"""Seconds of repeated runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

WARM_UP = 3
"""Number of untimed runs, since the first calls choose kernels, compile and fill caches."""


def alternating_seconds(works: Sequence[Callable[[], object]], runs: int, device: str) -> list[list[float]]:
    """Seconds of each run of several functions, run alternately so that other load affects all equally.

    Args:
        works: functions to time.
        runs: number of timed runs of each, after the warm-up.
        device: "cuda" to wait for the GPU at both ends of a run.

    Returns:
        For each function its seconds, in the order of the runs.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for run in range(WARM_UP + runs):
        for work, times in zip(works, seconds, strict=True):
            elapsed = _seconds(work, device)
            if run >= WARM_UP:
                times.append(elapsed)
    return seconds


def _seconds(work: Callable[[], object], device: str) -> float:
    _wait_for(device)
    before = time.perf_counter()
    work()
    _wait_for(device)
    return time.perf_counter() - before


def _wait_for(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
