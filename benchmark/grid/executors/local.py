"""Executor that runs cells as processes on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.grid.executors import Ended
from benchmark.records.leases import Lease
from benchmark.records.provenance import CHECKOUT, available_cores, utc
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore

TRAIN = CHECKOUT / "tools" / "train.py"
BOUND = Path(__file__).with_name("bound.py")
GRACE_SECONDS = 10.0
CELL_GIB = 4.0
"""Upper bound of the memory of one cell of the CPU recipes."""
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
ALLOCATOR = {
    # By default glibc maps every large tensor separately and unmaps it when it is freed, so each training step has page
    # faults on all its activations. Keeping them on the heap takes 20 % less time per step on a CPU.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "268435456",
    # Pages of 2 MB for the heap.
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}


OUTPUT = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}
"""Variables of every cell, so that logs are UTF-8 whatever the terminal of the launcher is."""


@dataclass
class _Cell:
    process: subprocess.Popen[bytes]
    log: Path


class LocalExecutor:
    """Runs cells as child processes, which end with this process.

    Args:
        store: store of results, logs and leases.
        workers: number of cells at a time, which share the cores equally.
        imports: files of the user, which each cell imports first.
        program: script that runs one cell, `--spec JSON --out DIR --work DIR --import FILES`.

    Raises:
        ValueError: if `workers` is below 1.
    """

    def __init__(
        self, store: ResultStore, workers: int = 1, imports: Sequence[str | Path] = (), program: Path = TRAIN
    ) -> None:
        if workers < 1:
            raise ValueError(f"a grid needs at least 1 worker, found {workers}")
        self.store, self.workers, self.imports, self.program = store, workers, tuple(imports), program
        self._cells: dict[RunSpec, _Cell] = {}

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Start a cell; its output is appended to its log.

        Raises:
            OSError: if the process cannot be started; no process remains.
        """
        folder = self.store.work_folder(spec)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "progress.json").unlink(missing_ok=True)
        log = folder / "cell.log"
        with open(log, "ab") as output:
            output.write(f"=== {utc(time.time())} {spec.run_id}\n".encode())
            output.flush()
            # A new process session: Ctrl-C reaches only the launcher, which then ends its cells in order.
            process = subprocess.Popen(
                [sys.executable, "-S", str(BOUND), str(os.getpid()), *self.command(spec)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**environment(self.workers), **lease.environment()},
            )
        self._cells[spec] = _Cell(process, log)
        try:
            lease.add_worker(process.pid)
        except OSError:
            self.cancel(spec)
            raise
        return log

    def command(self, spec: RunSpec) -> list[str]:
        """The command that runs a cell."""
        command = [
            sys.executable,
            str(self.program),
            "--spec",
            spec.to_text(),
            "--out",
            str(self.store.root),
            "--work",
            str(self.store.work),
        ]
        for file in self.imports:
            command += ["--import", str(file)]
        return command

    def ended(self) -> list[Ended]:
        """Cells whose process has ended since the last call."""
        over = {spec: cell for spec, cell in self._cells.items() if cell.process.poll() is not None}
        self._cells = {spec: cell for spec, cell in self._cells.items() if spec not in over}
        return [Ended(spec, how_it_ended(cell.process.returncode, cell.log)) for spec, cell in over.items()]

    def steps(self, spec: RunSpec) -> tuple[int, int] | None:
        """Steps done and total steps, from the cell's progress.json; None if the file is missing."""
        try:
            progress = json.loads((self.store.work_folder(spec) / "progress.json").read_text(encoding="utf-8"))
            return int(progress["step"]), int(progress["steps"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def cancel(self, spec: RunSpec) -> None:
        """Kill one cell."""
        cell = self._cells.pop(spec)
        _send(cell, signal.SIGKILL)
        cell.process.wait()

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Ask all cells to end; kill the others after `GRACE_SECONDS` or once `hurry()` returns True."""
        for cell in self._cells.values():
            _send(cell, signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(cell.process.poll() is None for cell in self._cells.values()):
            if hurry() or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        for spec in list(self._cells):
            self.cancel(spec)


def default_workers(cores: int, memory_gib: float | None, gpu: bool) -> int:
    """Default number of cells at a time: on a CPU one per core, since a small network gains little from a second core.

    Args:
        cores: cores to share.
        memory_gib: memory of the machine; None if it is not known.
        gpu: True if there is a GPU, which a single cell can fill.
    """
    if gpu:
        return 1
    fitting = cores if memory_gib is None else int(memory_gib // CELL_GIB)
    return max(1, min(cores, fitting))


def environment(workers: int, cores: int | None = None) -> Mapping[str, str]:
    """Environment of a cell: its share of the cores, and an allocator tuned for training on a CPU.

    Args:
        workers: cells that run at a time.
        cores: cores to share; by default all cores that this process may use.
    """
    threads = max(1, (cores or available_cores()) // workers)
    return {**ALLOCATOR, **os.environ, **dict.fromkeys(THREADS, str(threads)), **OUTPUT}


def how_it_ended(returncode: int, log: Path) -> str:
    """One line: exit code or signal, and the last line of the log."""
    if returncode < 0:
        how = f"killed by {signal_name(-returncode)}"
        how += ", perhaps for lack of memory" if -returncode == signal.SIGKILL else ""
    else:
        how = f"exit code {returncode}"
    last = last_line(log)
    return f"{how}; last line of its log: {last}" if last else how


def signal_name(number: int) -> str:
    """Name of a signal; real-time signals have only numbers."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_line(log: Path) -> str:
    """Last non-empty line of a log; empty if the log has none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = file.read().decode("utf-8", errors="replace").replace("\r", "\n").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip() and not line.startswith("=== ")), "")


def _send(cell: _Cell, number: signal.Signals) -> None:
    """Send a signal to a cell and the processes that it has started."""
    try:
        os.killpg(cell.process.pid, number)
    except (ProcessLookupError, PermissionError):
        cell.process.send_signal(number)
