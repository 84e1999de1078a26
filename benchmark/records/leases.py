"""Leases of grid cells as files, so that any process with access to the folder may join or leave a grid at any moment.

A claim creates `<run_id>.<generation>.lease`. A lease is stale if its heartbeat, the modification time of the file, is
older than its lifetime, or if its processes are on this machine and have ended. The process that then creates the next
generation holds the cell. Generation and a random token make the fencing token: a holder that was replaced finds a
newer generation or another token, and must not publish a result.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.records.atomic import create_text, write_short_lived_text

LIFETIME_SECONDS = 120.0
"""Much longer than the interval of heartbeats, to tolerate a busy disk and clocks that differ by a minute."""
UNWRITTEN_SECONDS = 10.0
"""Age at which an unreadable lease is stale. On file systems without links, a new lease is empty for a moment."""
ENVIRONMENT_VARIABLE = "MTL_LEASE"
"""Environment variable that passes a launcher's lease to the process of a cell."""
FOLDER_VARIABLE = "MTL_LEASES"
"""Environment variable with the folder of leases of a cell on another machine; its launcher uses another folder."""
SUFFIX = ".lease"


@dataclass(frozen=True)
class Lease:
    """The right to run a cell and to publish its result.

    Args:
        folder: folder of the leases.
        run_id: run_id of the cell.
        generation: number of claims since the cell was last free.
        token: random text of this claim.
    """

    folder: Path
    run_id: str
    generation: int
    token: str

    @property
    def path(self) -> Path:
        """The lease file."""
        return self.folder / f"{self.run_id}.{self.generation}{SUFFIX}"

    def held(self) -> bool:
        """Return False once another process has claimed the cell, or if the lease file is missing or unreadable."""
        # A successor creates the next generation before it removes this one; listing the folder would take longer.
        successor = self.folder / f"{self.run_id}.{self.generation + 1}{SUFFIX}"
        return not successor.exists() and read(self.path).get("token") == self.token

    def heartbeat(self) -> bool:
        """Send a heartbeat if the lease is held; return `held()`."""
        if not self.held():
            return False
        # If the time cannot be set, the lease expires and is then no longer held.
        with suppress(OSError):
            os.utime(self.path)
        return True

    def add_worker(self, pid: int) -> None:
        """Record the process that works for the holder. If both have ended on this machine, the lease is stale.

        Raises:
            OSError: if the file cannot be written.
        """
        self.note(worker=process(pid))

    def note(self, **entries: Any) -> None:
        """Add entries to the lease file, such as the job of a batch system, to be shown in the state of the grid.

        Raises:
            OSError: if the file cannot be written.
        """
        write_short_lived_text(self.path, json.dumps({**read(self.path), **entries}))

    def release(self) -> None:
        """Free the cell, unless another process has claimed it. A file that cannot be removed expires."""
        with suppress(OSError):
            if self.held():
                self.path.unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """Environment variable that passes the lease to a child process."""
        return {ENVIRONMENT_VARIABLE: f"{self.generation} {self.token} {self.run_id}"}


def acquire(folder: Path, run_id: str, lifetime: float = LIFETIME_SECONDS) -> Lease | None:
    """Claim a cell; None if another process holds it.

    Args:
        folder: folder of the leases.
        run_id: run_id of the cell.
        lifetime: seconds without a heartbeat after which any process may claim the cell.

    Raises:
        OSError: if the file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generation = newest(folder, run_id)
    if generation and not is_stale(folder / f"{run_id}.{generation}{SUFFIX}"):
        return None
    lease = Lease(folder, run_id, generation + 1, secrets.token_hex(8))
    owner = {
        "run_id": run_id,
        "token": lease.token,
        "lifetime": lifetime,
        "claimed": time.time(),
        **_place(),
        "owner": process(os.getpid()),
    }
    if not create_text(lease.path, json.dumps(owner)):
        return None
    for old in range(1, generation + 1):
        (folder / f"{run_id}.{old}{SUFFIX}").unlink(missing_ok=True)
    return lease


@contextmanager
def kept_alive(lease: Lease, interval: float) -> Iterator[None]:
    """Send heartbeats from a thread during the block, and free the cell at its end.

    Args:
        lease: lease of the cell.
        interval: seconds between two heartbeats.
    """
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(interval):
            with suppress(OSError):
                lease.heartbeat()

    thread = threading.Thread(target=beat, name=f"lease of {lease.run_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        lease.release()


def inherited(folder: Path, run_id: str) -> Lease | None:
    """The lease of this cell from the parent process; None without a lease."""
    generation, _, rest = os.environ.get(ENVIRONMENT_VARIABLE, "").partition(" ")
    token, _, cell = rest.partition(" ")
    return Lease(folder, run_id, int(generation), token) if cell == run_id and generation.isdecimal() else None


def all_leases(folder: Path) -> dict[str, Path]:
    """The newest lease file of every cell, by run_id."""
    found: dict[str, tuple[int, Path]] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            run_id, _, number = entry.name.removesuffix(SUFFIX).rpartition(".")
            if entry.name.endswith(SUFFIX) and number.isdecimal():
                found[run_id] = max(found.get(run_id, (0, Path())), (int(number), Path(entry.path)))
    return {run_id: path for run_id, (_, path) in found.items()}


def newest(folder: Path, run_id: str) -> int:
    """Newest generation of a cell's leases, 0 if the cell is free."""
    return max(_generations(folder, run_id), default=0)


def read(path: Path) -> Mapping[str, Any]:
    """Content of a lease file; empty if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def process(pid: int) -> dict[str, Any]:
    """Identity of a process: its number, and its start in clock ticks, since numbers are reused.

    The start is None if /proc does not show it.
    """
    return {"pid": pid, "started": _state(pid)[1]}


def is_dead(identity: Mapping[str, Any]) -> bool:
    """Return True if a process certainly no longer runs.

    Args:
        identity: from `process`, in the same PID namespace.
    """
    pid = identity.get("pid")
    if not isinstance(pid, int) or not 0 < pid < 2**31:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    state, started = _state(pid)
    # A zombie answers signals but no longer runs.
    return state in ("Z", "X") or (None not in (started, identity.get("started")) and started != identity["started"])


def _generations(folder: Path, run_id: str) -> Iterator[int]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            name, _, number = entry.name.removesuffix(SUFFIX).rpartition(".")
            if name == run_id and number.isdecimal() and entry.name.endswith(SUFFIX):
                yield int(number)


def is_stale(path: Path) -> bool:
    """Return True for a lease that any process may take over: expired, or of processes that have ended."""
    content = read(path)
    try:
        silent = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    lifetime = content.get("lifetime", UNWRITTEN_SECONDS)
    if silent > (lifetime if isinstance(lifetime, (int, float)) else LIFETIME_SECONDS):
        return True
    if any(value is None or content.get(key) != value for key, value in _place().items()):
        # Processes of another machine or container are not visible: only the heartbeat counts.
        return False
    return all(is_dead(content.get(role) or {}) for role in ("owner", "worker"))


def _place() -> dict[str, str | None]:
    return _place_of(os.getpid())


@cache
def _place_of(pid: int) -> dict[str, str | None]:
    """Host, and on Linux boot and PID namespace: if all are equal, process numbers are comparable.

    None where /proc does not show them.
    """
    place: dict[str, str | None] = {"host": socket.gethostname()}
    if sys.platform.startswith("linux"):
        place |= {"boot": None, "pid_namespace": None}
        with suppress(OSError):
            place["pid_namespace"] = os.readlink("/proc/self/ns/pid")
            place["boot"] = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return place


def _state(pid: int) -> tuple[str | None, int | None]:
    """State letter and start in clock ticks; None if /proc hides the process or belongs to another namespace."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):
            return None, None
        # The command's name, in brackets, may contain spaces and brackets, so fields are counted from the last bracket.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return None, None
