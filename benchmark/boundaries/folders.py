"""Folders of predicted maps and ground truth in counts, by as many processes as wanted."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmark.boundaries.counting import Counts, count_boundaries
from benchmark.boundaries.files import MapError, maps_in, read_strength, read_truths
from benchmark.boundaries.protocols import Protocol


class Pair(NamedTuple):
    """What is scored against what.

    Args:
        name: of both files, without suffix.
        prediction: the predicted map.
        truth: its ground truth.
    """

    name: str
    prediction: Path
    truth: Path


def pairs_of(predictions: Path, truths: Path) -> list[Pair]:
    """The files of two folders that have the same name, in order of the names.

    Raises:
        MapError: if a file of either folder has no counterpart in the other.
    """
    predicted, true = maps_in(predictions), maps_in(truths)
    for here, there, missing in (
        (predicted, truths, predicted.keys() - true.keys()),
        (true, predictions, true.keys() - predicted.keys()),
    ):
        if missing:
            first = here[min(missing)]
            more = f", nor have {len(missing) - 1} others" if len(missing) > 1 else ""
            raise MapError(f"{first}: has no counterpart {first.stem}.* in {there}{more}")
    return [Pair(name, path, true[name]) for name, path in predicted.items()]


def count_pair(pair: Pair, protocol: Protocol) -> Counts:
    """Counts of one image.

    Raises:
        MapError: if a file cannot be scored.
    """
    strength, truths = read_strength(pair.prediction), read_truths(pair.truth, protocol.ground_truth)
    if not truths:
        raise MapError(f"{pair.truth}: there is no annotation in it")
    for truth in truths:
        if truth.shape != strength.shape:
            ours, theirs = ("x".join(map(str, each.shape)) for each in (strength, truth))
            raise MapError(f"{pair.prediction} is {ours}, {pair.truth} is {theirs}; maps are never resized")
    return count_boundaries(strength, truths, protocol)


def count_pairs(pairs: list[Pair], protocol: Protocol, workers: int) -> Iterator[Counts]:
    """Counts of each image in order, whatever the number of processes.

    Raises:
        MapError: if a file cannot be scored.
    """
    work = partial(count_pair, protocol=protocol)
    # The first image is counted here: its compiled loops are then on disk for the other processes.
    yield work(pairs[0])
    if workers <= 1 or len(pairs) == 1:
        yield from map(work, pairs[1:])
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(pairs) - 1), mp_context=context) as pool:
        try:
            yield from pool.map(work, pairs[1:])
        except BrokenProcessPool:
            raise MapError("a process was killed, perhaps for lack of memory; use fewer workers") from None
        finally:
            pool.shutdown(cancel_futures=True)
