"""Peak memory of allocations of known size, each in its own process."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from benchmark.cost.memory import PeakMemory

MIB = 2**20


def peak_of(megabytes: int, freed_before: int = 0) -> float:
    """Peak of allocating a tensor of `megabytes`, after another tensor was freed."""
    torch.ones(freed_before * MIB // 4).sum()
    memory = PeakMemory("cpu")
    torch.ones(megabytes * MIB // 4).sum()
    return memory.mb()


def in_a_process(*arguments: int) -> float:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(peak_of, *arguments).result()


@pytest.mark.parametrize("megabytes", [64, pytest.param(192, marks=pytest.mark.slow)])
def test_a_freed_tensor_counts_in_the_peak(megabytes: int) -> None:
    assert in_a_process(megabytes) == pytest.approx(megabytes, abs=12)


def test_an_earlier_peak_is_forgotten() -> None:
    assert in_a_process(32, 256) == pytest.approx(32, abs=12)
