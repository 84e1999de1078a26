#!/usr/bin/env python
"""Measure what a grid costs apart from its trainings: planning, running trivial cells in this process, and the status.

    python tools/measure_grid.py --cells 10000

The folders lie in a temporary folder, which is removed. The exit code is 0, or 2 for a wrong command line.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, positive

if TYPE_CHECKING:
    from benchmark.records.result import RunResult, RunSpec
    from benchmark.records.store import ResultStore


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(__doc__)
    parser.add_argument("--cells", type=positive, default=10_000, metavar="N", help="cells of the grid")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table. Exit code 0, or 2 for a wrong command line."""
    count = parse_arguments(arguments).cells
    from benchmark.grid.status import status_text
    from benchmark.records.store import ResultStore

    with tempfile.TemporaryDirectory() as folder:
        store = ResultStore(Path(folder) / "results")
        began = time.perf_counter()
        grid = planned(count)
        times = {"plan": time.perf_counter() - began}
        began = time.perf_counter()
        run_in_process(grid, store)
        times["run in process"] = time.perf_counter() - began
        began = time.perf_counter()
        status = status_text(grid, store)
        times["status"] = time.perf_counter() - began
    print(status.splitlines()[-1])
    print(f"| {count} cells | seconds | cells per second |\n| --- | --- | --- |")
    for name, seconds in times.items():
        print(f"| {name} | {seconds:.2f} | {count / seconds:.0f} |")
    return 0


def planned(count: int) -> list[RunSpec]:
    """Cells with their identities, of one method and many seeds."""
    from benchmark.grid.cells import cells
    from benchmark.records.identity import Ingredients

    grid = cells("smoke", ["hard_sharing"], ["none"], range(count), "resnet18", ["semseg"])
    ingredients = Ingredients({"max_iters": 4}, {"hard_sharing": 1})
    return [replace(spec, ingredients=ingredients) for spec in grid]


def run_in_process(grid: Sequence[RunSpec], store: ResultStore) -> None:
    """Run all cells with the loop, leases and store of a real grid; each cell returns a result at once."""
    from benchmark.grid.cells import run
    from benchmark.grid.executors.in_process import InProcessExecutor
    from benchmark.grid.progress import LineProgress

    executor = InProcessExecutor(store, trivial_cell)
    store.work.mkdir(parents=True)
    run(grid, store, executor, LineProgress(io.StringIO()))


def trivial_cell(spec: RunSpec, folder: Path) -> RunResult:
    """A result with one metric."""
    from benchmark.records.result import DONE, RunResult

    return RunResult(spec, DONE, {"semseg": {"mIoU": {"value": 0.5, "unit": "%", "higher_is_better": True}}})


if __name__ == "__main__":
    sys.exit(main())
