"""Atomic writes: a reader never sees a partial file."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.records import atomic

CHECKOUT = Path(atomic.__file__).resolve().parents[2]
WRITER = """
import sys; sys.path.insert(0, sys.argv[1])
from pathlib import Path
from benchmark.records.atomic import write_text
while True:
    for letter in "ab":
        write_text(Path(sys.argv[2]), letter * 1_000_000)
"""


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file.json"
    for delay in (0.0, 0.02, 0.05):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(CHECKOUT), str(path)])
        deadline = time.monotonic() + 20
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(delay)
        for _ in range(5):
            text = path.read_text()
            assert len(text) == 1_000_000
            assert len(set(text)) == 1, "a mixture of two writes"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert len(path.read_text()) == 1_000_000


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    atomic.write_text(path, "old")

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.json"]


def test_missing_folders_are_made(tmp_path):
    atomic.write_text(tmp_path / "a" / "b" / "c.txt", "x")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "x"


def test_a_lock_is_waited_for_and_then_given_up(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "a.lock"
    monkeypatch.setattr(atomic, "LOCK_SECONDS", 0.2)
    with atomic.locked(path):
        before = time.monotonic()
        with pytest.raises(TimeoutError, match="a.lock: locked by another process for 0 s"), atomic.locked(path):
            pass
        assert time.monotonic() - before >= 0.2
    with atomic.locked(path):
        pass


def test_nothing_is_locked_on_a_file_system_without_locks(tmp_path, monkeypatch):
    def no_locks(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with atomic.locked(tmp_path / "a.lock"):
        pass


@pytest.mark.parametrize("links", [True, False])
def test_an_existing_file_is_not_created_again(tmp_path, monkeypatch, links):
    def no_links(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a"
    assert atomic.create_text(path, "first")
    assert not atomic.create_text(path, "second")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a", "first")]


def test_a_half_written_new_file_is_removed(tmp_path, monkeypatch):
    def no_links(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    write = atomic._write

    def full_disk(path: Path, text: str) -> None:
        write(path, text)
        if path.name == "a":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", no_links)
    monkeypatch.setattr(atomic, "_write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        atomic.create_text(tmp_path / "a", "text")
    assert list(tmp_path.iterdir()) == []


def test_names_of_255_bytes_and_line_ends_of_unix_are_written(tmp_path):
    path = tmp_path / ("x" * 255)
    atomic.write_text(path, "a\nb\n")
    assert path.read_bytes() == b"a\nb\n"


def test_only_files_with_the_names_of_temporary_files_are_listed(tmp_path):
    for name in (f".a.b.{'0' * 12}.tmp", ".a.0.tmp", f"a.{'0' * 12}.tmp", f".a.{'0' * 12}"):
        (tmp_path / name).touch()
    assert list(atomic.temporary_files(tmp_path)) == [("a.b", tmp_path / f".a.b.{'0' * 12}.tmp")]
    assert list(atomic.temporary_files(tmp_path / "none")) == []


def test_a_temporary_file_is_abandoned_after_an_hour(tmp_path):
    path = tmp_path / "a"
    path.touch()
    for age, abandoned in ((3500, False), (3700, True)):
        os.utime(path, (time.time() - age,) * 2)
        assert atomic.is_abandoned(path) is abandoned
    assert not atomic.is_abandoned(tmp_path / "none")
