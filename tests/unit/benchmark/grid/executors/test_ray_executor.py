"""Cells as Ray tasks on a cluster of several nodes on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmark.grid.cells import cells, run
from benchmark.grid.executors.local import LocalExecutor
from benchmark.grid.progress import LineProgress
from benchmark.records.store import ResultStore

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra ray: pip install ray")

HERE = Path(__file__).parent


def ray_grid(folder: Path, *arguments: object) -> dict[str, object]:
    """Run `ray_grid.py` in a process of its own, since Ray leaves threads and warnings behind."""
    command = [sys.executable, str(HERE / "ray_grid.py"), str(folder), *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert answer.returncode == 0, answer.stderr[-3000:]
    return json.loads(answer.stdout.splitlines()[-1])


def stored(store: ResultStore) -> dict[str, object]:
    """What a result says, without the time and the machine that it was made on."""
    return {found.result.run_id: (found.result.status, found.result.metrics) for found in store.results()}


def local_grid(folder: Path, count: int, seconds: float) -> ResultStore:
    store = ResultStore(folder)
    store.work.mkdir(parents=True)
    grid = cells("smoke", ["slow"], ["none"], range(count), "b", ["semseg"], {"seconds": seconds})
    executor = LocalExecutor(store, 4, program=HERE.parent / "fake_cell.py")
    with open(os.devnull, "w") as stream:
        assert not run(grid, store, executor, LineProgress(stream)).not_done
    return store


def test_results_and_logs_travel_back_from_the_nodes(tmp_path):
    answer = ray_grid(tmp_path / "ray", 2, 3, 0.2)
    assert answer["outcomes"] == {"done": 3}
    store = ResultStore(tmp_path / "ray")
    assert stored(store) == stored(local_grid(tmp_path / "local", 3, 0.2))
    logs = [path.read_text() for path in store.work.glob("smoke/*/cell.log")]
    assert len(logs) == 3
    assert all("continues from a checkpoint" in text and "threads 1" in text for text in logs)
    assert not list((store.work / "leases").iterdir())


@pytest.mark.slow
def test_a_node_that_dies_half_way_loses_nothing(tmp_path):
    """Three nodes, 24 cells; one node is killed when 12 are done, and the head survives."""
    answer = ray_grid(tmp_path / "ray", 3, 24, 1.0, "kill")
    assert answer["outcomes"] == {"done": 24}
    assert 12 <= answer["done_at_kill"][0] < 24
    store = ResultStore(tmp_path / "ray")
    assert stored(store) == stored(local_grid(tmp_path / "local", 24, 1.0))
    starts = Counter(line.split()[0] for line in (store.work / "started.txt").read_text().splitlines())
    assert len(starts) == 24
    # Only cells of the killed node start again, and none of them had ended.
    again = [run_id for run_id, count in starts.items() if count > 1]
    assert len(again) <= 1
