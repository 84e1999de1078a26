"""Counts of folders of predicted maps and ground truth, in several processes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmark.boundaries.counting import Counts, count_boundaries
from benchmark.boundaries.files import maps_in, read_strength, read_truths
from benchmark.boundaries.formats.content import DataError, describe_shape
from benchmark.boundaries.plausibility import doubts
from benchmark.boundaries.protocols import Protocol
from benchmark.records.processes import map_in_processes
from benchmark.tasks import and_more


class Pair(NamedTuple):
    """A predicted map and its ground truth.

    Args:
        name: name of both files, without suffix.
        prediction: the predicted map.
        truth: its ground truth.
    """

    name: str
    prediction: Path
    truth: Path


def pairs_of(predictions: Path, truths: Path) -> list[Pair]:
    """Pair the files of two folders by name, in order of the names.

    Raises:
        DataError: if a file of either folder has no counterpart in the other.
    """
    predicted, true = maps_in(predictions), maps_in(truths)
    for files, other_folder, missing in (
        (predicted, truths, predicted.keys() - true.keys()),
        (true, predictions, true.keys() - predicted.keys()),
    ):
        if missing:
            first = files[min(missing)]
            more = and_more(len(missing), "file")
            raise DataError(f"{first}: has no counterpart {first.stem}.* in {other_folder}{more}")
    return [Pair(name, path, true[name]) for name, path in predicted.items()]


class Counted(NamedTuple):
    """Counts of one image.

    Args:
        counts: see `count_boundaries`.
        doubts: see `benchmark.boundaries.plausibility`.
    """

    counts: Counts
    doubts: tuple[str, ...]


def count_pair(pair: Pair, protocol: Protocol) -> Counted:
    """Counts of one image.

    Raises:
        DataError: if a file cannot be scored.
    """
    strength, truths = read_strength(pair.prediction), read_truths(pair.truth, protocol.ground_truth)
    if not truths:
        raise DataError(f"{pair.truth}: it holds no annotation")
    for truth in truths:
        if truth.shape != strength.shape:
            ours, theirs = (describe_shape(each.shape) for each in (strength, truth))
            raise DataError(f"{pair.prediction} is {ours}, {pair.truth} is {theirs}; maps are never resized")
    return Counted(count_boundaries(strength, truths, protocol), doubts(strength, truths, protocol.ground_truth))


def count_pairs(pairs: list[Pair], protocol: Protocol, workers: int) -> Iterator[Counted]:
    """Counts of each image, in order, for any number of processes.

    Raises:
        DataError: if a file cannot be scored.
    """
    work = partial(count_pair, protocol=protocol)
    # Count the first image in this process: the compiled loops are then cached on disk for the other processes.
    yield work(pairs[0])
    if workers <= 1 or len(pairs) == 1:
        yield from map(work, pairs[1:])
        return
    try:
        yield from map_in_processes(work, pairs[1:], min(workers, len(pairs) - 1))
    except BrokenProcessPool:
        raise DataError("a process was killed, perhaps for lack of memory; use fewer workers") from None
