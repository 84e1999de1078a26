"""A grid on a Ray cluster of several nodes on this machine: `ray_grid.py RESULTS NUM_NODES NUM_CELLS SECONDS [kill]`.

Prints one line of JSON: the outcomes, and the number of cells that were done when a node was killed.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[5]
sys.path.insert(0, str(CHECKOUT))
os.environ["PYTHONPATH"] = str(CHECKOUT)
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"

import ray  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

from benchmark.grid.cells import cells, run  # noqa: E402
from benchmark.grid.executors.choice import ExecutorOptions  # noqa: E402
from benchmark.grid.executors.ray_cluster import make  # noqa: E402
from benchmark.grid.progress import LineProgress  # noqa: E402
from benchmark.records.store import ResultStore  # noqa: E402


def main(root: str, num_nodes: str, num_cells: str, seconds: str, kill: str = "") -> None:
    store = ResultStore(root)
    store.work.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(int(num_nodes) - 1)]
    executor = make(ExecutorOptions("ray", ray_address=cluster.address), store)
    executor.program = Path(__file__).parents[1] / "fake_cell.py"
    done_at_kill: list[int] = []

    def kill_a_node() -> None:
        while len(list(store.root.glob("runs/*/*.json"))) < int(num_cells) // 2:
            time.sleep(0.1)
        done_at_kill.append(len(list(store.root.glob("runs/*/*.json"))))
        cluster.remove_node(nodes[0], allow_graceful=False)

    if kill:
        threading.Thread(target=kill_a_node, daemon=True).start()
    grid = cells("smoke", ["slow"], ["none"], range(int(num_cells)), "b", ["semseg"], {"seconds": float(seconds)})
    report = run(grid, store, executor, LineProgress(sys.stderr))
    outcomes = Counter(outcome.status for outcome in report.outcomes.values())
    print(json.dumps({"outcomes": outcomes, "done_at_kill": done_at_kill}))
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
