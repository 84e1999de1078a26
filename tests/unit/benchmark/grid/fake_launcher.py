"""A launcher in a separate process: `fake_launcher.py ROOT WORKERS METHODS NUM_SEEDS SECONDS`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[4]))

from benchmark.grid.cells import cells, run
from benchmark.grid.executors.local import LocalExecutor
from benchmark.grid.progress import LineProgress
from benchmark.records.store import ResultStore


def main(root: str, workers: str, methods: str, num_seeds: str, seconds: str) -> int:
    # If a shell runs the tests in the background, they and their child processes ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    store = ResultStore(root)
    store.work.mkdir(parents=True, exist_ok=True)
    overrides = {"seconds": float(seconds)}
    grid = cells("smoke", methods.split(","), ["none"], range(int(num_seeds)), "b", ["semseg"], overrides)
    executor = LocalExecutor(store, int(workers), program=Path(__file__).with_name("fake_cell.py"))
    report = run(grid, store, executor, LineProgress(sys.stdout))
    print("stopped by", report.stopped_by)
    return 1 if report.not_done else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
