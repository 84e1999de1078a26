"""Who holds which cell: leases as files, so that any process that sees the folder may join a grid or die.

A claim creates `<run_id>.<generation>.lease` with O_EXCL. A lease is stale once its heartbeat, the file's modification
time, is older than its lifetime, or, on its own host, once its processes are dead; whoever then creates the next
generation holds the cell. Generation and a random token make the fencing token: a holder that was taken over finds a
newer generation or another token, and may publish nothing.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.records.atomic import write_text

LIFETIME_SECONDS = 120.0
"""Far above the interval of heartbeats, so that a busy disk or clocks that differ by a minute cost nobody a cell."""
ENVIRONMENT_VARIABLE = "MTL_LEASE"
"""Hands a launcher's lease down to the process that it starts for a cell."""
SUFFIX = ".lease"


@dataclass(frozen=True)
class Lease:
    """The right to run a cell and to publish its result.

    Args:
        folder: where the leases lie.
        run_id: the cell.
        generation: how often it was claimed since it was last free.
        token: random text of this claim.
    """

    folder: Path
    run_id: str
    generation: int
    token: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / f"{self.run_id}.{self.generation}{SUFFIX}"

    def held(self) -> bool:
        """Whether nobody has taken over."""
        return newest(self.folder, self.run_id) == self.generation and read(self.path).get("token") == self.token

    def heartbeat(self) -> bool:
        """Say that the holder lives; False if somebody else has taken over."""
        if not self.held():
            return False
        try:
            os.utime(self.path)
        except FileNotFoundError:
            return False
        return True

    def add_worker(self, pid: int) -> None:
        """Note the process that works for the holder: the cell stays taken while either lives."""
        write_text(self.path, json.dumps({**read(self.path), "worker": process(pid)}))

    def release(self) -> None:
        """Give the cell back; nothing happens if somebody else has taken over."""
        if self.held():
            self.path.unlink(missing_ok=True)

    def environment(self) -> dict[str, str]:
        """Environment variable that hands the lease down to a child process."""
        return {ENVIRONMENT_VARIABLE: f"{self.generation} {self.token} {self.run_id}"}


def acquire(folder: Path, run_id: str, lifetime: float = LIFETIME_SECONDS) -> Lease | None:
    """Claim a cell; None if somebody holds it.

    Args:
        folder: where the leases lie.
        run_id: the cell.
        lifetime: seconds without a heartbeat after which anybody may take the cell over.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generation = newest(folder, run_id)
    if generation and not _is_stale(folder / f"{run_id}.{generation}{SUFFIX}"):
        return None
    lease = Lease(folder, run_id, generation + 1, secrets.token_hex(8))
    owner = {"run_id": run_id, "token": lease.token, "lifetime": lifetime, "host": socket.gethostname(), "worker": None}
    if not _create(lease.path, json.dumps({**owner, "owner": process(os.getpid())})):
        return None
    for old in range(1, generation + 1):
        (folder / f"{run_id}.{old}{SUFFIX}").unlink(missing_ok=True)
    return lease


@contextmanager
def kept_alive(lease: Lease, interval: float) -> Iterator[None]:
    """Beat from a thread beside the work, and give the cell back at the end.

    Args:
        lease: of the cell.
        interval: seconds between two heartbeats.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(interval):
            lease.heartbeat()

    thread = threading.Thread(target=beat, name=f"lease of {lease.run_id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        lease.release()


def inherited(folder: Path, run_id: str) -> Lease | None:
    """The lease that the process which started this one has handed down for this cell, if any."""
    generation, _, rest = os.environ.get(ENVIRONMENT_VARIABLE, "").partition(" ")
    token, _, cell = rest.partition(" ")
    return Lease(folder, run_id, int(generation), token) if cell == run_id and generation.isdigit() else None


def newest(folder: Path, run_id: str) -> int:
    """Newest generation of a cell's leases, 0 where it is free."""
    return max(_generations(folder, run_id), default=0)


def read(path: Path) -> Mapping[str, Any]:
    """What a lease file says; empty where it is gone or was not yet written."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def process(pid: int) -> dict[str, Any]:
    """What tells a process from a later one of the same number: its start in clock ticks, where Linux tells."""
    return {"pid": pid, "started": _state(pid)[1]}


def is_alive(identity: Mapping[str, Any]) -> bool:
    """Whether the process that `process` described still runs on this host."""
    pid = identity.get("pid")
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    state, started = _state(pid)
    # A zombie answers signals but will never work again.
    return state not in ("Z", "X") and started == identity.get("started")


def _generations(folder: Path, run_id: str) -> Iterator[int]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            name, _, number = entry.name.removesuffix(SUFFIX).rpartition(".")
            if name == run_id and number.isdigit() and entry.name.endswith(SUFFIX):
                yield int(number)


def _create(path: Path, text: str) -> bool:
    """Create the file with its text; False if it is there already."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    return True


def _is_stale(path: Path) -> bool:
    content = read(path)
    try:
        silent = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    # An empty file is one that its owner is about to write, unless it stays so.
    if silent > float(content.get("lifetime", LIFETIME_SECONDS)):
        return True
    if not content or content.get("host") != socket.gethostname():
        return False
    return not any(is_alive(content.get(role) or {}) for role in ("owner", "worker"))


def _state(pid: int) -> tuple[str | None, int | None]:
    """State letter and start in clock ticks, where Linux tells."""
    try:
        # The command's name, in brackets, may itself hold spaces and brackets: count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return None, None
