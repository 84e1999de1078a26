"""Results on disk: one JSON per cell, written atomically, and who may write it.

    ROOT/runs/<recipe>/<run_id>.json     results, kept in git
    WORK/<recipe>/<run_id>/              log, progress and checkpoints of a cell; ignored by git
    WORK/leases/                         cells that are being worked on, see `benchmark.records.leases`

All state is derived from these files; there is no database beside them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path

from benchmark.records import leases
from benchmark.records.atomic import replacing, write_text
from benchmark.records.leases import Lease
from benchmark.records.result import DONE, RecordError, RunResult, RunSpec

Version = tuple[int, int]


class StoreError(RuntimeError):
    """A result may not be stored; the message is one line."""


@dataclass(frozen=True)
class Stored:
    """A result and the file that it was read from."""

    result: RunResult
    path: Path


@dataclass(frozen=True)
class Unreadable:
    """A file that is no result that this checkout reads, and why, in one line that names it."""

    path: Path
    reason: str


class ResultStore:
    """The results below one folder.

    Args:
        root: folder of results.
        work: folder of logs, checkpoints and leases; `root/work` if not given.
        lease_seconds: how long a cell stays taken without a sign of life from its holder.
    """

    def __init__(
        self, root: str | Path, work: str | Path | None = None, lease_seconds: float = leases.LIFETIME_SECONDS
    ) -> None:
        self.root = Path(root)
        self.work = Path(work) if work is not None else self.root / "work"
        self.lease_seconds = lease_seconds

    def path(self, spec: RunSpec) -> Path:
        """Where the result of a cell is kept."""
        return self.root / "runs" / spec.folder / f"{spec.run_id}.json"

    def work_folder(self, spec: RunSpec) -> Path:
        """Where a cell keeps its log, progress and checkpoints."""
        return self.work / spec.folder / spec.run_id

    def read(self, spec: RunSpec) -> RunResult | None:
        """The stored result of a cell, None where there is none.

        Raises:
            RecordError: if there is a file that is no such result.
        """
        path = self.path(spec)
        try:
            return read_result(path)
        except FileNotFoundError:
            return None

    def finished(self, spec: RunSpec) -> bool:
        """Whether the cell is done and so never needs to be run again."""
        result = self.read(spec)
        return result is not None and result.status == DONE

    def version(self, spec: RunSpec) -> Version | None:
        """Changes whenever the result of a cell is stored anew; None where there is none."""
        try:
            status = self.path(spec).stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino

    def results(self, recipe: str | None = None) -> Iterator[Stored | Unreadable]:
        """Every result file, in the order of the names; what cannot be read is reported, not raised.

        Args:
            recipe: only results of this recipe.
        """
        seen: dict[str, Path] = {}
        # Sorted as text, which is ten times as fast as comparing paths.
        for path in map(Path, sorted(glob(str(Path(escape(str(self.root)), "runs", "*", "*.json"))))):
            try:
                result = read_result(path)
            except (RecordError, OSError) as error:
                yield Unreadable(path, _one_line(path, error))
                continue
            home = self.path(result.spec)
            first = seen.setdefault(result.run_id, home if path != home and home.exists() else path)
            if first != path:
                yield Unreadable(path, f"{path}: run_id: found that of {first} again, expected each only once")
            elif recipe is None or recipe == result.spec.recipe:
                yield Stored(result, path)

    def claim(self, spec: RunSpec) -> Lease | None:
        """The right to run a cell; None while somebody else holds it."""
        return leases.acquire(self.work / "leases", spec.run_id, self.lease_seconds)

    @contextmanager
    def hold(self, spec: RunSpec) -> Iterator[Lease]:
        """Hold a cell while it runs in this process: by the lease that a launcher handed down, else by a new one.

        Raises:
            StoreError: if somebody else works on the cell.
        """
        lease = leases.inherited(self.work / "leases", spec.run_id)
        if lease is not None:
            # The launcher beats and gives the cell back.
            yield lease
            return
        lease = self.claim(spec)
        if lease is None:
            raise StoreError(f"{spec.run_id}: another process is running this cell (see {self.work / 'leases'})")
        with leases.kept_alive(lease, interval=self.lease_seconds / 12):
            yield lease

    def details_path(self, spec: RunSpec) -> Path:
        """File with training curves and metrics of single images of a cell, beside its result."""
        return self.path(spec).with_suffix(".details.jsonl.gz")

    def check_writable(self, spec: RunSpec) -> None:
        """Write and remove a file where the result of a cell will be stored, before hours of training.

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
            result: its place follows from its spec.
            lease: shows that the caller holds the cell.
            details: file with curves and metrics of single images that is stored with a result of status `done`.

        Raises:
            StoreError: if another process has taken the cell over, or if it is done already.
        """
        if lease.run_id != result.run_id or not lease.held():
            raise StoreError(f"{result.run_id}: not stored, since another process has taken this cell over")
        if self.finished(result.spec):
            raise StoreError(f"{result.run_id}: not stored, since {self.path(result.spec)} is done already")
        path = self.path(result.spec)
        if details is not None and result.status == DONE:
            with replacing(self.details_path(result.spec)) as temporary:
                shutil.copyfile(details, temporary)
        write_text(path, result.to_text())
        return path


def read_result(path: Path) -> RunResult:
    """A result file.

    Raises:
        FileNotFoundError: if there is none.
        RecordError: if it is no result that this checkout reads.
    """
    try:
        return RunResult.from_text(path.read_bytes().decode("utf-8"), source=str(path))
    except UnicodeDecodeError as error:
        raise RecordError(f"{path}: not readable as text: {error.reason} at byte {error.start}") from None


def _one_line(path: Path, error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if str(path) in text else f"{path}: {text}"
