"""A cell on another machine: it runs in a separate folder, and its result file is sent back to the launcher.

The folder takes the place of the folder of results, and holds a lease of the cell for this process alone. The launcher
holds the lease of the grid and stores the result under it, so other machines need no access to the folder of results.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.grid.executors.local import (
    BOUND,
    DEVICES_VARIABLE,
    LOG_VARIABLE,
    TRAIN,
    cell_command,
    describe_end,
    environment,
)
from benchmark.grid.progress import Steps, read_progress
from benchmark.records.failures import class_of_exit
from benchmark.records.leases import FOLDER_VARIABLE
from benchmark.records.provenance import utc
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore

REPORT_SECONDS = 1.0
MODEL_FILES = ("model.safetensors", "regularizer.safetensors")
"""Weights in the work folder of a cell, which other cells may start from."""

Report = Callable[[str, "Steps | None"], None]


@dataclass(frozen=True)
class RemoteCell:
    """Everything that another machine needs to run a cell.

    Args:
        spec: the cell as text.
        work: folder of logs and checkpoints at the launcher.
        mark: name of a file in `work`: where it exists, the folder is shared.
        imports: paths and contents of the files of the user.
        weights: files of needed cells, by path relative to `work`, for machines that do not share it.
        variables: environment variables of the cell, see `cell_variables`.
        cores: cores of the cell.
        program: script that runs a cell.
    """

    spec: str
    work: str
    mark: str
    imports: tuple[tuple[str, bytes], ...] = ()
    weights: Mapping[str, bytes] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    cores: int = 1
    program: str = str(TRAIN)

    @property
    def is_shared(self) -> bool:
        """True if this machine sees the work folder of the launcher."""
        return Path(self.work, self.mark).is_file()


@dataclass(frozen=True)
class RemoteOutcome:
    """End of a cell on another machine.

    Args:
        how: one line about the end of the process.
        error_class: class of a failure without a result.
        result: text of the result file; None if the cell stored none.
        files: contents of the file with details and of the weights, by name.
    """

    how: str
    error_class: str
    result: str | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)


class CellProcess:
    """The process of a cell in a folder of its own.

    Args:
        cell: the cell.
        folder: folder for result and lease; also for logs and checkpoints if the launcher's folder is not shared.
        report: receives the output of the process and the number of steps, about once a second.
    """

    def __init__(self, cell: RemoteCell, folder: Path, report: Report) -> None:
        self.spec = RunSpec.from_text(cell.spec)
        self.cell, self.folder, self.report = cell, folder, report
        self.store = ResultStore(folder / "out", cell.work if cell.is_shared else folder / "work")
        self.process: subprocess.Popen[bytes] | None = None
        self._text: list[str] = []
        self._last_line = ""

    def run(self) -> RemoteOutcome:
        """Run the cell to its end."""
        self._begin()
        work_folder = self.store.work_folder(self.spec)
        work_folder.mkdir(parents=True, exist_ok=True)
        (work_folder / "progress.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-S", str(BOUND), str(os.getpid()), *self._command()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={
                **environment(1, self.cell.cores),
                **self.cell.variables,
                FOLDER_VARIABLE: str(self.folder / "leases"),
            },
        )
        reader = threading.Thread(target=self._read, daemon=True)
        reader.start()
        while self.process.poll() is None:
            self._tell()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(REPORT_SECONDS)
        reader.join(10)
        self._tell()
        return self._outcome(self.process.returncode)

    def interrupt(self, seconds: float) -> None:
        """Ask the training to save its state and end; kill it if it still runs after `seconds`."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.1)
        if self.process.poll() is None:
            self.process.kill()

    def _begin(self) -> None:
        host = socket.gethostname()
        if self.cell.is_shared:
            note = f"continues from a checkpoint if {self.store.work} has one"
        else:
            note = f"starts at the first step, since {self.cell.work} is not shared with this machine"
            for name, content in self.cell.weights.items():
                path = self.store.work / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self._text.append(f"=== {utc(time.time())} {self.spec.run_id} on {host}: {note}\n")

    def _command(self) -> list[str]:
        return cell_command(Path(self.cell.program), self.spec, self.store, self._imports())

    def _imports(self) -> list[Path]:
        """The files of the user: the files themselves if this machine sees them, else copies."""
        found = []
        for name, content in self.cell.imports:
            path = Path(name)
            if not path.is_file():
                path = self.folder / "imports" / path.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            found.append(path)
        return found

    def _read(self) -> None:
        if self.process is None or self.process.stdout is None:
            return
        with self.process.stdout as output:
            for line in output:
                text = line.decode("utf-8", errors="replace")
                self._text.append(text)
                self._last_line = text.strip()[:300] or self._last_line

    def _tell(self) -> None:
        text, self._text = self._text, []
        self.report("".join(text), read_progress(self.store.work_folder(self.spec)))

    def _outcome(self, returncode: int) -> RemoteOutcome:
        work_folder, path = self.store.work_folder(self.spec), self.store.path(self.spec)
        files = {}
        for file in (self.store.details_path(self.spec), *(() if self.cell.is_shared else _weights(work_folder))):
            if file.is_file():
                files[file.name] = file.read_bytes()
        text = path.read_text(encoding="utf-8") if path.is_file() else None
        how = describe_end(returncode, self._last_line)
        return RemoteOutcome(how, class_of_exit(returncode), text, files)


def run_in_temporary_folder(cell: RemoteCell, folder: Path, report: Report) -> RemoteOutcome:
    """Run a cell, and remove its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return CellProcess(cell, folder, report).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cell_variables() -> dict[str, str]:
    """Environment variables of the launcher that carry --devices and --log to cells on other machines."""
    return {name: os.environ[name] for name in (DEVICES_VARIABLE, LOG_VARIABLE) if name in os.environ}


def files_of_user(imports: Sequence[str | Path]) -> tuple[tuple[str, bytes], ...]:
    """Absolute paths and contents of files of the user."""
    return tuple((str(Path(file).resolve()), Path(file).read_bytes()) for file in imports)


def weights_of(needed: Sequence[RunSpec], store: ResultStore) -> dict[str, bytes]:
    """Weights of cells that a cell starts from, by path relative to the work folder."""
    files = [file for spec in needed for file in _weights(store.work_folder(spec)) if file.is_file()]
    return {str(file.relative_to(store.work)): file.read_bytes() for file in files}


def _weights(work_folder: Path) -> list[Path]:
    return [work_folder / name for name in MODEL_FILES]
