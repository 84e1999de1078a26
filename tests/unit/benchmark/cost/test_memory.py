"""Peak memory of allocations of known size, in a process of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    """A process that allocates nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("megabytes", [64, 192])
def test_a_freed_tensor_counts_in_the_peak(process: ProcessPoolExecutor, megabytes: int) -> None:
    assert process.submit(peak_of, megabytes).result() == pytest.approx(megabytes, abs=12)


def test_an_earlier_peak_is_forgotten(process: ProcessPoolExecutor) -> None:
    assert process.submit(peak_of, 32, 256).result() == pytest.approx(32, abs=12)
