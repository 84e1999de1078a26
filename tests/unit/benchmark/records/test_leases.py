"""Leases: one holder at a time, which is replaced and fenced off after its death."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.records import atomic, leases
from benchmark.records.leases import acquire

CHECKOUT = Path(leases.__file__).resolve().parents[2]


def age(lease: leases.Lease, seconds: float) -> None:
    """Move the last heartbeat into the past."""
    then = time.time() - seconds
    os.utime(lease.path, (then, then))


def write_owner(lease: leases.Lease, **changes: object) -> None:
    """Change entries of a lease file."""
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
    holder = acquire(tmp_path, "cell", lifetime=60)
    write_owner(holder, host="elsewhere")
    age(holder, 59)
    assert acquire(tmp_path, "cell") is None
    age(holder, 61)
    successor = acquire(tmp_path, "cell")
    assert successor.generation == holder.generation + 1
    assert successor.held()
    assert not holder.held()
    assert not holder.heartbeat()
    holder.release()
    assert successor.held(), "the old holder must not release its successor's lease"


def test_a_fenced_holder_stays_fenced_once_its_successor_has_released(tmp_path):
    holder = acquire(tmp_path, "cell")
    age(holder, 1000)
    successor = acquire(tmp_path, "cell")
    successor.release()
    assert not holder.held()
    assert acquire(tmp_path, "cell").held()
    assert not holder.held(), "the same generation with another token is another lease"


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
    assert not leases.is_dead(identity)
    assert leases.is_dead({**identity, "started": identity["started"] - 1})


def test_a_dead_process_that_nobody_has_waited_for_is_dead():
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    identity = leases.process(child.pid)
    assert not leases.is_dead(identity)
    child.stdin.close()
    deadline = time.monotonic() + 10
    while not leases.is_dead(identity) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert leases.is_dead(identity)
    child.wait()


@pytest.mark.parametrize("pid", [0, -1, 2**31, "7", None])
def test_a_number_of_no_process_is_dead(pid):
    assert leases.is_dead({"pid": pid, "started": None})


def test_the_first_process_of_a_container_can_hold_a_lease():
    assert not leases.is_dead(leases.process(1))


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000])
def test_an_unreadable_lease_blocks_its_cell_for_seconds_only(tmp_path, text):
    lease = leases.Lease(tmp_path, "cell", 1, "token")
    lease.path.write_text(text)
    assert acquire(tmp_path, "cell") is None, "its owner may be about to write it"
    age(lease, leases.UNWRITTEN_SECONDS + 1)
    assert acquire(tmp_path, "cell") is not None


def test_a_lease_that_cannot_be_written_leaves_nothing_behind(tmp_path, monkeypatch):
    def no_space(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", no_space)
        patch.setattr(atomic, "_create", no_space)
        with pytest.raises(OSError, match="No space left"):
            acquire(tmp_path, "cell")
    assert list(tmp_path.iterdir()) == []
    assert acquire(tmp_path, "cell") is not None


def test_leases_work_on_a_file_system_without_links(tmp_path, monkeypatch):
    def no_links(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    lease = acquire(tmp_path, "cell")
    assert lease.held()
    assert acquire(tmp_path, "cell") is None


@pytest.mark.parametrize("key", ["host", "boot", "pid_namespace"])
def test_only_the_heartbeat_counts_for_a_holder_elsewhere(tmp_path, key):
    """A process number of another machine or container has no meaning on this machine."""
    lease = acquire(tmp_path, "cell", lifetime=60)
    write_owner(lease, owner=dead_process(), **{key: "elsewhere"})
    assert acquire(tmp_path, "cell") is None
    age(lease, 61)
    assert acquire(tmp_path, "cell") is not None


def test_a_process_hidden_by_proc_does_not_count_as_dead(tmp_path, monkeypatch):
    """Conditions of the mount option hidepid, and of a container that shows the /proc of its host."""
    acquire(tmp_path, "cell")
    monkeypatch.setattr(leases, "_state", lambda pid: (None, None))
    assert acquire(tmp_path, "cell") is None


CLAIM = """
import sys, time; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from benchmark.records.leases import acquire
print(acquire(Path(sys.argv[2]), "cell") is not None, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("options", [["--mount-proc"], []], ids=["own_proc", "proc_of_the_host"])
def test_two_pid_namespaces_of_one_host_do_not_take_each_other_for_dead(tmp_path, options):
    """Containers of one host: the process numbers of one have no meaning in the other."""
    unshare = ["unshare", "--pid", "--fork", *options]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("needs unshare --pid, which takes root on Linux")
    command = [*unshare, sys.executable, "-c", CLAIM, str(CHECKOUT), str(tmp_path)]

    def answer() -> tuple[subprocess.Popen[str], str]:
        contained = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return contained, contained.stdout.readline().strip()

    contained, claimed = answer()
    try:
        assert claimed == "True"
        assert acquire(tmp_path, "cell") is None, "the holder lives in the container"
        other, claimed = answer()
        other.communicate("")
        assert claimed == "False", "the holder lives in another container"
    finally:
        contained.communicate("")
    age(leases.Lease(tmp_path, "cell", 1, ""), leases.LIFETIME_SECONDS + 1)
    lease = acquire(tmp_path, "cell")
    assert lease is not None
    other, claimed = answer()
    other.communicate("")
    assert claimed == "False", "the holder lives outside"


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


def test_only_one_of_many_processes_takes_over_a_stale_lease(tmp_path):
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


def test_the_newest_lease_of_each_cell_is_listed(tmp_path):
    """Numbers are compared as numbers, 10 is newer than 9. Many cells, since the system lists files in any order."""
    cells = [f"cell.{letter}" for letter in "abcdefghijkl"]
    for cell in cells:
        for end in ("2.lease", "10.lease", "9.lease", "11.tmp", "x.lease"):
            (tmp_path / f"{cell}.{end}").write_text("{}")
    assert leases.all_leases(tmp_path) == {cell: tmp_path / f"{cell}.10.lease" for cell in cells}
    assert leases.all_leases(tmp_path / "none") == {}


def test_a_lease_records_when_it_was_claimed_and_older_generations_are_removed(tmp_path):
    first = acquire(tmp_path, "cell")
    assert abs(leases.read(first.path)["claimed"] - time.time()) < 60
    age(first, 1000)
    second = acquire(tmp_path, "cell")
    assert [path.name for path in tmp_path.iterdir()] == [second.path.name] == ["cell.2.lease"]


def test_a_process_of_another_user_is_not_dead(monkeypatch):
    def not_allowed(pid: int, number: int) -> None:
        raise PermissionError

    identity = leases.process(os.getpid())
    monkeypatch.setattr(os, "kill", not_allowed)
    assert not leases.is_dead(identity)


def test_a_lease_without_a_readable_lifetime_has_the_usual_one(tmp_path):
    lease = acquire(tmp_path, "cell")
    write_owner(lease, lifetime="long", host="elsewhere")
    age(lease, 100)
    assert not leases.is_stale(lease.path)
    age(lease, 130)
    assert leases.is_stale(lease.path)


def test_a_lease_that_has_just_been_removed_is_not_stale(tmp_path):
    assert not leases.is_stale(tmp_path / "cell.1.lease")
