"""Processes of this machine, found by their command lines."""

from __future__ import annotations

import time
from pathlib import Path


def command_line(pid: int) -> str:
    """Arguments of a process, separated by zeros; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def processes_with(*texts: str) -> list[int]:
    """Processes whose command line contains all texts."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return [pid for pid in pids if all(text in command_line(pid) for text in texts)]


def wait_for_end_of(*texts: str, seconds: float = 20.0) -> None:
    """Wait until no command line contains all texts.

    Raises:
        AssertionError: if one is left after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while processes_with(*texts):
        assert time.monotonic() < deadline, f"processes of {texts} are still running"
        time.sleep(0.1)
