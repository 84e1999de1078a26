"""Results on disk: one JSON file per cell, written atomically by the holder of the cell's lease.

    ROOT/runs/<recipe>/<run_id>.json     results, kept in git
    WORK/<recipe>/<run_id>/              log, progress and checkpoints of a cell; ignored by git
    WORK/leases/                         cells that are being worked on, see `benchmark.records.leases`

All state is derived from these files; there is no database.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path

from benchmark.records import leases
from benchmark.records.atomic import is_abandoned, locked, replacing, temporary_files, write_text
from benchmark.records.escaping import escape_terminal
from benchmark.records.leases import Lease
from benchmark.records.result import DONE, RunResult, RunSpec
from benchmark.records.result_schema import Outline
from benchmark.records.validation import RecordError, adapter_of, read_from, shortened

Version = tuple[int, int]
RUNS = Path("runs")
"""Folder of the results below the root of a store."""
STATE_FILES = ("training_state.pt", "training_state.previous.pt")
"""Names of the newest and the previous training state in the work folder of a cell."""
MAX_BYTES = 16 << 20
"""Size of the largest file that is read as a result."""


class StoreError(RuntimeError):
    """A result may not be stored; the message is one line."""


@dataclass(frozen=True)
class Stored:
    """A result and the file that it was read from."""

    result: RunResult
    path: Path


@dataclass(frozen=True)
class Unreadable:
    """A file that is not a readable result, with the reason in one line that names the file."""

    path: Path
    reason: str


class ResultStore:
    """The results below one folder.

    Args:
        root: folder of results.
        work: folder of logs, checkpoints and leases; `root/work` if not given.
        lease_seconds: time without a heartbeat after which a cell is free again.
    """

    def __init__(
        self, root: str | Path, work: str | Path | None = None, lease_seconds: float = leases.LIFETIME_SECONDS
    ) -> None:
        self.root = Path(root)
        self.work = Path(work) if work is not None else self.root / "work"
        self.lease_seconds = lease_seconds

    def path(self, spec: RunSpec) -> Path:
        """File of a cell's result."""
        return self.root / RUNS / spec.folder / f"{spec.run_id}.json"

    @property
    def leases(self) -> Path:
        """Folder of the leases."""
        return Path(os.environ.get(leases.FOLDER_VARIABLE) or self.work / "leases")

    def work_folder(self, spec: RunSpec) -> Path:
        """Folder of a cell's log, progress and checkpoints."""
        return self.work / spec.folder / spec.run_id

    def read(self, spec: RunSpec) -> RunResult | None:
        """The stored result of a cell; None if it has none.

        Raises:
            RecordError: if the file cannot be read as a result.
        """
        path = self.path(spec)
        try:
            return read_result(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RecordError(f"{path}: not readable: {error.strerror or error}") from None

    def outline(self, spec: RunSpec) -> Outline | None:
        """Status, error and times of a stored result, without a check of its other entries; None if it has none.

        Raises:
            RecordError: if the file cannot be read.
        """
        path = self.path(spec)
        try:
            with read_from(str(path)):
                outline: Outline = adapter_of(Outline).validate_json(path.read_bytes())
                return outline
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RecordError(f"{path}: not readable: {error.strerror or error}") from None

    def finished(self, spec: RunSpec) -> bool:
        """Return True if the cell is done, so that it is never run again."""
        result = self.read(spec)
        return result is not None and result.status == DONE

    def remove_leftovers(self, done: Iterable[RunSpec]) -> None:
        """Remove training states and temporary files of cells that are done, and old temporary files of other cells.

        A process that is killed between two steps leaves such files.
        """
        specs = {spec.run_id: spec for spec in done}
        for spec in specs.values():
            remove_files(self.work_folder(spec), STATE_FILES)
            for _, temporary in temporary_files(self.work_folder(spec)):
                temporary.unlink(missing_ok=True)
        folders = {self.path(spec).parent for spec in specs.values()} | {self.leases}
        for folder in folders:
            for name, temporary in temporary_files(folder):
                # Names are a run_id and an ending; a run_id may have dots.
                parts = name.split(".")
                is_done = any(".".join(parts[:count]) in specs for count in range(1, len(parts)))
                if is_done or is_abandoned(temporary):
                    temporary.unlink(missing_ok=True)

    def version(self, spec: RunSpec) -> Version | None:
        """A value that changes whenever the result of a cell is stored; None if the cell has no result."""
        try:
            status = self.path(spec).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_ino

    def results(self, recipe: str | None = None) -> Iterator[Stored | Unreadable]:
        """Every result file, in the order of the names; a file that cannot be read is reported, not raised.

        Args:
            recipe: only results of this recipe; unreadable files of all recipes are reported.
        """
        seen: dict[str, Path] = {}
        # Sorting as text is ten times as fast as comparing paths.
        for path in map(Path, sorted(glob(str(Path(escape(str(self.root)), RUNS, "*", "*.json"))))):
            try:
                result = read_result(path)
            except (RecordError, OSError) as error:
                yield Unreadable(path, _one_line(path, error))
                continue
            home = self.path(result.spec)
            first = seen.setdefault(result.run_id, home if path != home and home.exists() else path)
            if first != path:
                yield Unreadable(path, _one_line(path, f"the same cell as {first}, expected one file for each cell"))
            elif recipe is None or recipe == result.spec.recipe:
                yield Stored(result, path)

    def claim(self, spec: RunSpec) -> Lease | None:
        """The right to run a cell; None while another process holds it."""
        return leases.acquire(self.leases, spec.run_id, self.lease_seconds)

    @contextmanager
    def hold(self, spec: RunSpec) -> Iterator[Lease]:
        """Hold a cell while it runs in this process, by the launcher's lease or a new one.

        Raises:
            StoreError: if another process holds the cell.
        """
        lease = leases.inherited(self.leases, spec.run_id)
        if lease is not None:
            # The launcher sends heartbeats and frees the cell.
            yield lease
            return
        lease = self.claim(spec)
        if lease is None:
            raise StoreError(f"{spec.run_id}: another process is running this cell (see {self.leases})")
        with leases.kept_alive(lease, interval=self.lease_seconds / 12):
            yield lease

    def details_path(self, spec: RunSpec) -> Path:
        """File with training curves and metrics of single images of a cell, in the folder of its result."""
        return self.path(spec).with_suffix(".details.jsonl.gz")

    def check_writable(self, spec: RunSpec) -> None:
        """Test before the training that the result of a cell can be written.

        Raises:
            StoreError: if the folder cannot be written.
        """
        folder = self.path(spec).parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable.", suffix=".tmp") as file:
                file.write(b"0" * 4096)
        except OSError as error:
            raise StoreError(f"{folder}: cannot write results ({error.strerror}); name another --out") from None

    def publish(self, result: RunResult, lease: Lease, details: Path | None = None) -> Path:
        """Store a result.

        Args:
            result: result of the cell; its spec gives the path.
            lease: lease that the caller holds.
            details: file with curves and metrics of single images that is stored with a result of status `done`.

        Raises:
            StoreError: if another process has taken the cell over, or if it is done already.
            OSError: if the file cannot be written.
        """
        path = self.path(result.spec)
        # Without the lock, a process that stalls between check and write would replace a newer result.
        with locked(self.work / "publish.lock"):
            if lease.run_id != result.run_id or not lease.held():
                raise StoreError(f"{result.run_id}: not stored, since another process has taken this cell over")
            if self.finished(result.spec):
                raise StoreError(f"{result.run_id}: not stored, since {path} is done already")
            if details is not None and result.status == DONE:
                with replacing(self.details_path(result.spec)) as temporary:
                    shutil.copyfile(details, temporary)
            write_text(path, result.to_text())
        return path


def remove_files(folder: Path, names: Iterable[str]) -> None:
    """Remove files of a folder and their temporary files. An `OSError` ends the removal and is ignored."""
    wanted = set(names)
    with suppress(OSError):
        for name in wanted:
            (folder / name).unlink(missing_ok=True)
        for name, temporary in temporary_files(folder):
            if name in wanted:
                temporary.unlink(missing_ok=True)


def read_result(path: Path) -> RunResult:
    """Read a result file.

    Raises:
        FileNotFoundError: if the file is missing.
        RecordError: if the file is not a readable result.
    """
    if not path.name.isprintable():
        raise RecordError(f"{path}: the name of the file has characters that cannot be printed")
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        raise RecordError(f"{path}: not a regular file of at most {MAX_BYTES >> 20} MiB")
    return RunResult.from_text(path.read_bytes(), str(path))


def stored_cell(path: Path, work: Path | None = None) -> tuple[RunResult, Path]:
    """Read a result file that the user names.

    Args:
        path: DIR/runs/RECIPE/RUN_ID.json.
        work: folder of logs and checkpoints; DIR/work if not given.

    Returns:
        The result, and the folder of the cell's log and checkpoints.

    Raises:
        RecordError: if the file is not a result, or if it lies in another folder and `work` is not given.
    """
    result = read_result(path)
    return result, store_of(path, work).work_folder(result.spec)


def store_of(path: Path, work: Path | None = None) -> ResultStore:
    """The store of a result file DIR/runs/RECIPE/RUN_ID.json.

    Args:
        path: the result file.
        work: folder of logs and checkpoints; DIR/work if not given.

    Raises:
        RecordError: if the file lies in another folder and `work` is not given.
    """
    folders = path.resolve().parents
    if work is None and (len(folders) < 3 or folders[1].name != RUNS.name):
        raise RecordError(f"{path}: does not lie in DIR/runs/RECIPE; name the folder of its weights with --work")
    return ResultStore(folders[2] if len(folders) > 2 else path.parent, work)


def _one_line(path: Path, error: object) -> str:
    text = shortened(error, 1000)
    return escape_terminal(text if str(path) in text else f"{path}: {text}")
