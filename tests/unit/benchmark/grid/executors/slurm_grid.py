"""A launcher with jobs of submitit on this machine: `slurm_grid.py RESULTS SYSTEM METHODS NUM_SEEDS SECONDS`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[5]))

from benchmark.grid.cells import cells, run
from benchmark.grid.executors.cluster_file import SlurmKeys
from benchmark.grid.executors.slurm_cluster import SlurmExecutor, submission_parameters
from benchmark.grid.failures import FailureRules
from benchmark.grid.progress import LineProgress
from benchmark.records.store import ResultStore


def main(root: str, system: str, methods: str, num_seeds: str, seconds: str) -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    store = ResultStore(root)
    store.work.mkdir(parents=True, exist_ok=True)
    keys = SlurmKeys(system=system, parallel=2, signal_seconds=20)
    overrides = {"seconds": float(seconds)}
    grid = cells("smoke", methods.split(","), ["none"], range(int(num_seeds)), "b", ["semseg"], overrides)
    program = Path(__file__).parents[1] / "fake_cell.py"
    executor = SlurmExecutor(store, keys, submission_parameters(keys, 10, 1, 0, None), program=program)
    report = run(grid, store, executor, LineProgress(sys.stdout), rules=FailureRules(first_delay=0.1))
    print("stopped by", report.stopped_by)
    return 1 if report.not_done else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
