"""Grids of fake cells in real processes, for the tests of the grid."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from benchmark.grid.cells import cells, run
from benchmark.grid.executors.local import LocalExecutor
from benchmark.grid.failures import FailureRules
from benchmark.grid.progress import LineProgress
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore

HERE = Path(__file__).parent


def grid_of(*methods: str, seeds: int = 1, seconds: float = 0.0) -> list[RunSpec]:
    return cells("smoke", methods, ["none"], range(seeds), "b", ["semseg"], {"seconds": seconds})


def run_here(grid, store, workers: int = 2, retries: int = 2, **options):
    executor = LocalExecutor(store, workers, program=HERE / "fake_cell.py")
    with open(store.work / "progress.txt", "a") as stream:
        rules = FailureRules(retries, first_delay=0.05)
        return run(grid, store, executor, LineProgress(stream, interval=0.0), rules=rules, **options)


def launch(store: ResultStore, methods: str, seeds: int, seconds: float, workers: int = 2) -> subprocess.Popen:
    arguments = [str(argument) for argument in (store.root, workers, methods, seeds, seconds)]
    command = [sys.executable, str(HERE / "fake_launcher.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def starts(store: ResultStore) -> Counter:
    """Number of starts of each cell."""
    lines = (store.work / "started.txt").read_text().splitlines()
    return Counter(line.split()[0] for line in lines)


def num_stored(store: ResultStore) -> int:
    return len(list(store.root.glob("runs/*/*.json")))
