"""Leases: one holder at a time, taken over from the dead, and fenced."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from benchmark.records import leases
from benchmark.records.leases import acquire


def age(lease: leases.Lease, seconds: float) -> None:
    """Let the last heartbeat lie so far back."""
    then = time.time() - seconds
    os.utime(lease.path, (then, then))


def write_owner(lease: leases.Lease, **changes: object) -> None:
    """Change what a lease says of its owner."""
    lease.path.write_text(json.dumps({**leases.read(lease.path), **changes}))


def dead_process() -> dict[str, object]:
    """Identity of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    identity = leases.process(process.pid)
    process.communicate(b"\n")
    return identity


def test_a_held_cell_cannot_be_claimed_and_a_released_one_can(tmp_path):
    lease = acquire(tmp_path, "cell")
    assert lease is not None
    assert acquire(tmp_path, "cell") is None
    assert acquire(tmp_path, "other") is not None
    lease.release()
    assert acquire(tmp_path, "cell") is not None


def test_names_that_begin_alike_are_different_cells(tmp_path):
    assert acquire(tmp_path, "cell.1") is not None
    assert acquire(tmp_path, "cell") is not None


def test_an_expired_lease_is_taken_over_and_its_old_holder_is_fenced_off(tmp_path):
    zombie = acquire(tmp_path, "cell", lifetime=60)
    write_owner(zombie, host="elsewhere")
    age(zombie, 59)
    assert acquire(tmp_path, "cell") is None
    age(zombie, 61)
    heir = acquire(tmp_path, "cell")
    assert heir.generation == zombie.generation + 1
    assert heir.held()
    assert not zombie.held()
    assert not zombie.heartbeat()
    zombie.release()
    assert heir.held(), "the old holder must not release its heir's lease"


def test_a_fenced_holder_stays_fenced_once_its_heir_has_released(tmp_path):
    zombie = acquire(tmp_path, "cell")
    age(zombie, 1000)
    heir = acquire(tmp_path, "cell")
    heir.release()
    assert not zombie.held()
    assert acquire(tmp_path, "cell").held()
    assert not zombie.held(), "the same generation with another token is another lease"


def test_a_heartbeat_keeps_it(tmp_path):
    lease = acquire(tmp_path, "cell", lifetime=60)
    write_owner(lease, host="elsewhere")
    age(lease, 61)
    assert lease.heartbeat()
    assert acquire(tmp_path, "cell") is None


def test_the_lease_of_a_dead_process_of_this_host_is_taken_over_at_once(tmp_path):
    lease = acquire(tmp_path, "cell")
    write_owner(lease, owner=dead_process())
    assert acquire(tmp_path, "cell") is not None


def test_the_lease_of_a_dead_launcher_is_kept_while_its_worker_lives(tmp_path):
    lease = acquire(tmp_path, "cell")
    lease.add_worker(os.getpid())
    write_owner(lease, owner=dead_process())
    assert acquire(tmp_path, "cell") is None


def test_a_process_number_used_again_is_another_process(tmp_path):
    identity = leases.process(os.getpid())
    if identity["started"] is None:
        pytest.skip("this system does not tell when a process was started")
    assert leases.is_alive(identity)
    assert not leases.is_alive({**identity, "started": identity["started"] - 1})


def test_a_dead_process_that_nobody_has_waited_for_is_dead():
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    identity = leases.process(child.pid)
    assert leases.is_alive(identity)
    child.stdin.close()
    deadline = time.monotonic() + 10
    while leases.is_alive(identity) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not leases.is_alive(identity)
    child.wait()


def test_an_empty_lease_is_one_that_is_about_to_be_written(tmp_path):
    lease = leases.Lease(tmp_path, "cell", 1, "token")
    lease.path.write_text("")
    assert acquire(tmp_path, "cell") is None
    age(lease, leases.LIFETIME_SECONDS + 1)
    assert acquire(tmp_path, "cell") is not None


def test_a_child_inherits_the_lease_of_its_own_cell_only(tmp_path, monkeypatch):
    lease = acquire(tmp_path, "a cell")
    for name, value in lease.environment().items():
        monkeypatch.setenv(name, value)
    assert leases.inherited(tmp_path, "a cell") == lease
    assert leases.inherited(tmp_path, "another") is None


def test_kept_alive_beats_and_releases(tmp_path):
    lease = acquire(tmp_path, "cell")
    age(lease, 1000)
    with leases.kept_alive(lease, interval=0.01):
        deadline = time.monotonic() + 10
        while time.time() - lease.path.stat().st_mtime > 100 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - lease.path.stat().st_mtime < 100
    assert acquire(tmp_path, "cell") is not None


def _claim(folder, all_here, wins) -> None:
    all_here.wait()
    if acquire(folder, "cell") is not None:
        wins.put(os.getpid())
    # A holder that has died is rightly taken over: stay until all have tried.
    all_here.wait()


def test_of_many_that_take_over_one_stale_lease_a_single_one_wins(tmp_path):
    context = multiprocessing.get_context("spawn")
    age(acquire(tmp_path, "cell"), 1000)
    all_here, wins = context.Barrier(8, timeout=60), context.Queue()
    rivals = [context.Process(target=_claim, args=(tmp_path, all_here, wins)) for _ in range(8)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert wins.get(timeout=5)
    assert wins.empty()
    wins.close()
