"""Worker processes end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

from benchmark.records.processes import map_in_processes

CHECKOUT = Path(__file__).resolve().parents[4]
PARENT = """
import sys
from pathlib import Path
from benchmark.records.processes import map_in_processes
from tests_of_processes import wait_in_worker
if __name__ == "__main__":
    list(map_in_processes(wait_in_worker, [Path(sys.argv[1])] * 2, 2))
"""
WORKER = """
import os, time
def wait_in_worker(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(300)
"""


def test_results_come_in_the_order_of_the_jobs() -> None:
    assert list(map_in_processes(abs, [-3, 2, -1], 2)) == [3, 2, 1]


def test_a_killed_worker_ends_the_work() -> None:
    with pytest.raises(BrokenProcessPool):
        list(map_in_processes(os._exit, [1], 1))


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "tests_of_processes.py").write_text(WORKER)
    (tmp_path / "parent.py").write_text(PARENT)
    started = tmp_path / "started"
    started.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(tmp_path)])}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py"), str(started)], env=environment)
    try:
        workers = _wait_for(lambda: [int(path.name) for path in started.iterdir()], 2)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    _wait_for(lambda: [worker for worker in workers if not _is_running(worker)], 2)


def _wait_for(find, count: int) -> list[int]:
    deadline = time.monotonic() + 120
    while len(found := find()) < count:
        assert time.monotonic() < deadline, f"only {found} after two minutes"
        time.sleep(0.1)
    return found


def _is_running(process: int) -> bool:
    """False for a zombie too, which waits for an init process that some containers lack."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        return not Path("/proc/self").exists()
    return state not in "ZX"
