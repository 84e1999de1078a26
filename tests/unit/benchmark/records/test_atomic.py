"""Atomic writes: a reader never sees a partial file."""

from __future__ import annotations

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
