"""Files that are written in full or not at all, and a lock between processes."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK_SECONDS = 30.0
"""Longest wait for a lock; a lock is held for milliseconds."""
STALE_SECONDS = 3600.0
"""Age at which a temporary file certainly has no writer: a file is written in seconds."""
SUFFIX = ".tmp"
TOKEN_BYTES = 6


def write_text(path: Path, text: str) -> None:
    """Write a file atomically: a reader sees the old or the new text, also after a crash."""
    with replacing(path) as temporary:
        _write(temporary, text)


def write_short_lived_text(path: Path, text: str) -> None:
    """Write a file atomically for running processes, without waiting for the disk; a crash may leave it empty."""
    temporary = _temporary(path)
    try:
        _write(temporary, text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def create_text(path: Path, text: str) -> bool:
    """Create a file with its text in one step; False if the file exists.

    Raises:
        OSError: if the file cannot be written; no partial file remains.
    """
    temporary = _temporary(path)
    try:
        _write(temporary, text)
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            # On a file system without links, the file is empty for a moment.
            return _create(path, text)
    finally:
        temporary.unlink(missing_ok=True)
    return True


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; its file replaces `path` if the block ends without an error.

    The file is synced before it is renamed. After a power failure the old file may be back, but never a part of a file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Temporary files of writers in a folder, as pairs: name of the file to be written, path of the temporary file."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            name, _, token = entry.name.removesuffix(SUFFIX).rpartition(".")
            if entry.name.startswith(".") and entry.name.endswith(SUFFIX) and len(token) == 2 * TOKEN_BYTES:
                yield name[1:], Path(entry.path)


def is_abandoned(temporary: Path) -> bool:
    """Return True for a temporary file that is older than `STALE_SECONDS`."""
    try:
        return time.time() - temporary.stat().st_mtime > STALE_SECONDS
    except OSError:
        return False


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes, on a file that stays empty. On a file system without locks, nothing is locked.

    Raises:
        TimeoutError: if another process holds the lock for `LOCK_SECONDS`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_SECONDS
    with open(path, "a", encoding="utf-8") as file:
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path}: locked by another process for {LOCK_SECONDS:.0f} s")
            time.sleep(0.05)
        # Closing the file frees the lock.
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # The file system has no locks.
        return True
    return True


def _temporary(path: Path) -> Path:
    # File systems take names of 255 bytes; the names of results are shorter than 200.
    return path.with_name(f".{path.name[:200]}.{secrets.token_hex(TOKEN_BYTES)}{SUFFIX}")


def _write(path: Path, text: str) -> None:
    with open(path, "x", encoding="utf-8", newline="\n") as file:
        file.write(text)


def _create(path: Path, text: str) -> bool:
    try:
        _write(path, text)
    except FileExistsError:
        return False
    except OSError:
        path.unlink(missing_ok=True)
        raise
    return True
