"""The same images give the same numbers, to the last bit: in any batches, any order, on any number of processes."""

from __future__ import annotations

import pickle
import sys
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metric_samples import TASKS, random_samples
from torch import multiprocessing

from benchmark.metrics import metric_of
from benchmark.tasks import NYUV2_TASKS

ORDERS = st.integers(1, 9).flatmap(lambda count: st.permutations(range(count)))
QUICK = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))


def in_one_process(task: str, samples: list[Any], batch: int = 1) -> dict[str, float]:
    metric = metric_of(NYUV2_TASKS[task])
    for start in range(0, len(samples), batch):
        metric.process(None, [sample.to_dict() for sample in samples[start : start + batch]])
    result: dict[str, float] = metric.evaluate(len(samples))
    return result


def shards(samples: list[Any], processes: int, repeat: bool) -> list[list[Any]]:
    """Images of each process by mmengine's sampler; with `repeat`, the first images fill up the last round."""
    padded = samples + samples[: -len(samples) % processes] if repeat else samples
    return [padded[rank::processes] for rank in range(processes)]


def in_processes(task: str, parts: list[list[Any]], size: int) -> dict[str, float]:
    """Evaluate as in mmengine: each process pickles its results; the first interleaves them and keeps `size`."""
    results = []
    for part in parts:
        metric = metric_of(NYUV2_TASKS[task])
        metric.process(None, [sample.to_dict() for sample in part])
        results.append(pickle.loads(pickle.dumps(metric.results)))
    collected = [result for result in chain.from_iterable(zip_longest(*results)) if result is not None][:size]
    found: dict[str, float] = metric_of(NYUV2_TASKS[task]).compute_metrics(collected)
    return {f"{task}/{name}": value for name, value in found.items()}


@pytest.mark.parametrize("task", TASKS)
@QUICK
@given(seed=st.integers(0, 99), order=ORDERS, batch=st.integers(1, 9))
def test_batches_and_order_change_nothing(task: str, seed: int, order: list[int], batch: int) -> None:
    samples = random_samples(task, len(order), seed)
    shuffled = [samples[index] for index in order]
    assert in_one_process(task, shuffled, batch) == in_one_process(task, samples)


@pytest.mark.parametrize("task", TASKS)
@QUICK
@given(seed=st.integers(0, 99), count=st.integers(1, 9), processes=st.integers(2, 4), repeat=st.booleans())
def test_the_number_of_processes_changes_nothing(
    task: str, seed: int, count: int, processes: int, repeat: bool
) -> None:
    samples = random_samples(task, count, seed)
    assert in_processes(task, shards(samples, processes, repeat), count) == in_one_process(task, samples)


@pytest.mark.parametrize("task", TASKS)
def test_uneven_shares_change_nothing(task: str) -> None:
    samples = random_samples(task, 7)
    assert in_processes(task, [samples[:6], samples[6:], []], 7) == in_one_process(task, samples)


def channels_last(image: torch.Tensor) -> torch.Tensor:
    return image.permute(1, 2, 0).contiguous().permute(2, 0, 1)


@pytest.mark.parametrize("task", TASKS)
def test_memory_layout_and_threads_change_nothing(task: str) -> None:
    """Images cut from a channels-last batch have other strides; sums must not follow the memory."""
    samples = [sample.to_dict() for sample in random_samples(task, 3, size=(64, 48))]
    strided = [
        {key: {"data": channels_last(sample[key]["data"])} for key in (f"pred_{task}", f"gt_{task}")}
        for sample in samples
    ]
    threads = torch.get_num_threads()
    results = []
    for number, batch in ((1, samples), (2, strided)):
        torch.set_num_threads(number)
        metric = metric_of(NYUV2_TASKS[task])
        metric.process(None, batch)
        results.append(metric.evaluate(3))
    torch.set_num_threads(threads)
    assert results[0] == results[1]


@pytest.mark.parametrize("task", TASKS)
def test_reset_forgets_earlier_images(task: str) -> None:
    earlier, later = random_samples(task, 3, seed=1), random_samples(task, 4, seed=2)
    metric = metric_of(NYUV2_TASKS[task])
    metric.process(None, [sample.to_dict() for sample in earlier])
    metric.evaluate(3)
    metric.process(None, [sample.to_dict() for sample in later])
    assert metric.evaluate(4) == in_one_process(task, later)
    metric.process(None, [sample.to_dict() for sample in earlier])
    metric.reset()
    metric.process(None, [sample.to_dict() for sample in later])
    assert metric.evaluate(4) == in_one_process(task, later)


def test_angles_of_a_split_are_not_kept() -> None:
    """Only the last image's angles stand alone, so memory does not grow with the split."""
    metric = metric_of(NYUV2_TASKS["normals"])
    metric.process(None, [sample.to_dict() for sample in random_samples("normals", 9)])
    assert [len(image.codes) for image in metric.results[:-1]] == [0] * 8
    assert [image.histogram is not None for image in metric.results] == [True] + [False] * 8


def test_a_size_that_cuts_images_off_is_an_error_not_a_wrong_median() -> None:
    metric = metric_of(NYUV2_TASKS["normals"])
    metric.process(None, [sample.to_dict() for sample in random_samples("normals", 5)])
    with pytest.raises(ValueError, match="must be given the number of images"):
        metric.evaluate(3)


def evaluate_in_group(rank: int, folder: str, paths: list[str]) -> None:
    """One of two processes: scores its share and writes what `evaluate` returns."""
    sys.path[:0] = paths
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/group", rank=rank, world_size=2)
    found: dict[str, float] = {}
    for task in TASKS:
        metric = metric_of(NYUV2_TASKS[task], collect_dir=f"{folder}/{task}")
        metric.process(None, [sample.to_dict() for sample in shards(random_samples(task, 5), 2, repeat=True)[rank]])
        found |= metric.evaluate(5)
    torch.save(found, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_real_processes_agree_with_one(tmp_path: Path) -> None:
    multiprocessing.spawn(evaluate_in_group, args=(str(tmp_path), sys.path), nprocs=2)
    expected: dict[str, float] = {}
    for task in TASKS:
        expected |= in_one_process(task, random_samples(task, 5))
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt", weights_only=True) == expected
