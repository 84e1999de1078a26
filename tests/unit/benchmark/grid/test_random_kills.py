"""Random kills of launchers and cells, and launchers that stall."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress

import pytest
from fake_grids import grid_of, launch, run_here
from processes import stall, wait_until

from benchmark.records import leases
from benchmark.records.store import Stored


@pytest.mark.parametrize(("num_cells", "num_kills"), [(4, 5), pytest.param(24, 60, marks=pytest.mark.slow)])
def test_random_kills_of_launchers_and_cells_lose_nothing(store, num_cells, num_kills):
    """Two launchers at random moments: SIGKILLs of them and of cells, and launchers that stall for longer than their
    leases live; then the same command ends the grid. No cell is published twice.
    """
    generator = random.Random(0)
    grid = grid_of("slow", seeds=num_cells, seconds=0.5)
    launchers = [launch(store, "slow", num_cells, 0.5) for _ in range(2)]
    wait_until((store.work / "started.txt").exists)
    for _ in range(num_kills):
        time.sleep(generator.uniform(0.05, 0.6))
        index = generator.randrange(2)
        pids = [int(line.split()[1]) for line in (store.work / "started.txt").read_text().splitlines()]
        alive = [pid for pid in pids if not leases.is_dead(leases.process(pid))]
        chance = generator.random()
        if alive and chance < 0.5:
            with suppress(ProcessLookupError):
                os.kill(generator.choice(alive), signal.SIGKILL)
        elif launchers[index].poll() is None and chance < 0.7:
            stall(launchers[index], store.work / "leases", generator.uniform(0.1, 0.5))
        elif launchers[index].poll() is None:
            launchers[index].kill()
        if launchers[index].poll() is not None:
            launchers[index].communicate()
            launchers[index] = launch(store, "slow", num_cells, 0.5)
    for launcher in launchers:
        launcher.communicate(timeout=120)
    assert not run_here(grid, store).not_done
    found = list(store.results())
    assert all(isinstance(entry, Stored) for entry in found)
    assert sorted(entry.path for entry in found) == sorted(map(store.path, grid))
    assert [entry.result.metrics["semseg"]["mIoU"]["value"] for entry in found] == [
        1.0 + entry.result.spec.seed for entry in found
    ]
    published = Counter((store.work / "ended.txt").read_text().split())
    assert set(published) <= {spec.run_id for spec in grid}
    assert set(published.values()) == {1}, "a cell was published twice"
    assert not list(store.root.rglob("*.tmp")), "a half-written file stays"
    assert not list(store.work.rglob("training_state*")), "the state of a cell that is done stays"
