"""Executor that runs cells as processes on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.grid.executors import Ended
from benchmark.grid.executors.gpus import VISIBLE, GpuShares, free_port
from benchmark.grid.progress import read_progress
from benchmark.records.failures import class_of_exit
from benchmark.records.leases import Lease
from benchmark.records.provenance import CHECKOUT, available_cores, utc
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore

TRAIN = CHECKOUT / "tools" / "train.py"
BOUND = Path(__file__).with_name("bound.py")
DEVICES_VARIABLE, LOG_VARIABLE = "MTL_DEVICES", "MTL_LOG"
"""Environment variables of a cell with the defaults of --devices and --log of tools/train.py."""
SAVE_SECONDS = 30.0
"""Longest wait for a cell that was asked to save its state: the rest of a step, and the writing."""
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
"""Environment variables of every cell, so that logs are UTF-8 with any terminal of the launcher."""


@dataclass
class _Cell:
    process: subprocess.Popen[bytes]
    log: Path
    gpus: tuple[str, ...] = ()


class LocalExecutor:
    """Runs cells as child processes, which end with this process.

    Args:
        store: store of results, logs and leases.
        workers: number of cells at a time, which share the cores equally.
        imports: files of the user, which each cell imports first.
        program: script that runs one cell, `--spec JSON --out DIR --work DIR --import FILES`.
        gpus: GPUs to share out; a cell sees only its own.
        gpus_per_cell: GPUs of a cell, below 1 if several cells share one; 0 to let every cell see all GPUs.

    Raises:
        ValueError: if `workers` is below 1.
    """

    def __init__(
        self,
        store: ResultStore,
        workers: int = 1,
        imports: Sequence[str | Path] = (),
        program: Path = TRAIN,
        *,
        gpus: Sequence[str] = (),
        gpus_per_cell: float = 0.0,
    ) -> None:
        if workers < 1:
            raise ValueError(f"a grid needs at least 1 worker, found {workers}")
        self.store, self.workers, self.imports, self.program = store, workers, tuple(imports), program
        self._cells: dict[RunSpec, _Cell] = {}
        self._gpus = GpuShares(gpus, gpus_per_cell)

    def start(self, spec: RunSpec, lease: Lease) -> Path:
        """Start a cell; its output is appended to its log.

        Raises:
            OSError: if the process cannot be started; no process remains.
        """
        folder = self.store.work_folder(spec)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "progress.json").unlink(missing_ok=True)
        log, gpus = folder / "cell.log", self._gpus.take()
        try:
            process = self._process(spec, lease, log, gpus)
        except OSError:
            self._gpus.give_back(gpus)
            raise
        self._cells[spec] = _Cell(process, log, gpus)
        try:
            lease.add_worker(process.pid)
        except OSError:
            self.cancel(spec)
            raise
        return log

    def _process(self, spec: RunSpec, lease: Lease, log: Path, gpus: Sequence[str]) -> subprocess.Popen[bytes]:
        with open(log, "ab") as output:
            output.write(f"=== {utc(time.time())} {spec.run_id}\n".encode())
            output.flush()
            # A new process session: Ctrl-C reaches only the launcher, which then ends its cells in order.
            return subprocess.Popen(
                [sys.executable, "-S", str(BOUND), str(os.getpid()), *self.command(spec)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**environment(self.workers), **lease.environment(), **_devices(gpus)},
            )

    def command(self, spec: RunSpec) -> list[str]:
        """The command that runs a cell."""
        return cell_command(self.program, spec, self.store, self.imports)

    def ended(self) -> list[Ended]:
        """Cells whose process has ended since the last call."""
        over = {spec: cell for spec, cell in self._cells.items() if cell.process.poll() is not None}
        self._cells = {spec: cell for spec, cell in self._cells.items() if spec not in over}
        for cell in over.values():
            self._gpus.give_back(cell.gpus)
        return [
            Ended(spec, how_it_ended(cell.process.returncode, cell.log), class_of_exit(cell.process.returncode))
            for spec, cell in over.items()
        ]

    def steps(self, spec: RunSpec) -> tuple[int, int] | None:
        """Steps done and total steps, from the cell's progress.json; None without a readable file."""
        return read_progress(self.store.work_folder(spec))

    def cancel(self, spec: RunSpec) -> None:
        """Kill one cell."""
        cell = self._cells.pop(spec)
        _send(cell, signal.SIGKILL)
        cell.process.wait()
        self._gpus.give_back(cell.gpus)

    def stop(self, hurry: Callable[[], bool]) -> None:
        """Ask all cells to save their state and end; then ask them to end; then kill them.

        Args:
            hurry: returns True to kill the cells at once.
        """
        for cell in self._cells.values():
            # Not to the process group: the signal would kill the cell's data loaders.
            cell.process.send_signal(signal.SIGUSR1)
        if not self._have_ended(SAVE_SECONDS, hurry):
            for cell in self._cells.values():
                _send(cell, signal.SIGTERM)
            self._have_ended(GRACE_SECONDS, hurry)
        for spec in list(self._cells):
            self.cancel(spec)

    def _have_ended(self, seconds: float, hurry: Callable[[], bool]) -> bool:
        """Wait for the end of all cells; False if one still runs after `seconds`, or once `hurry()` is True."""
        deadline = time.monotonic() + seconds
        while any(cell.process.poll() is None for cell in self._cells.values()):
            if hurry() or time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def cell_command(program: Path, spec: RunSpec, store: ResultStore, imports: Sequence[str | Path]) -> list[str]:
    """The command that runs a cell and stores its result below the root of a store."""
    command = [sys.executable, str(program), "--spec", spec.to_text()]
    command += ["--out", str(store.root), "--work", str(store.work)]
    for file in imports:
        command += ["--import", str(file)]
    return command


def default_workers(cores: int, memory_gib: float | None, gpu_cells: int | None) -> int:
    """Default number of cells at a time: on a CPU one per core, since a small network gains little from a second core.

    Args:
        cores: cores to share.
        memory_gib: memory of the machine; None if it is not known.
        gpu_cells: cells that the GPUs take; None for a machine without one.
    """
    if gpu_cells is not None:
        return max(1, gpu_cells)
    fitting = cores if memory_gib is None else int(memory_gib // CELL_GIB)
    return max(1, min(cores, fitting))


def _devices(gpus: Sequence[str]) -> Mapping[str, str]:
    """Environment variables of a cell with GPUs: its GPUs, and a free port for the connection of its processes."""
    if not gpus:
        return {}
    return {VISIBLE: ",".join(gpus), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}


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
    return describe_end(returncode, last_line(log))


def describe_end(returncode: int, last: str) -> str:
    """One line: exit code or signal, and the last line of the log."""
    if returncode < 0:
        how = f"killed by {signal_name(-returncode)}"
        how += ", perhaps for lack of memory" if -returncode == signal.SIGKILL else ""
    else:
        how = f"exit code {returncode}"
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
