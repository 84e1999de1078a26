"""Processes that tests start: found by their command lines, waited for, stopped for longer than their leases live."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmark.records import leases


def wait_until(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: if it does not hold after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def stall(launcher: subprocess.Popen[Any], folder: Path, seconds: float) -> None:
    """Stop a launcher for some seconds and make its leases in a folder old, as if they had outlived their lifetime."""
    launcher.send_signal(signal.SIGSTOP)
    for path in folder.glob("*.lease"):
        if leases.read(path).get("owner", {}).get("pid") == launcher.pid:
            with suppress(FileNotFoundError):
                os.utime(path, (0, 0))
    time.sleep(seconds)
    launcher.send_signal(signal.SIGCONT)


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


def wait_for_end_of(*texts: str) -> None:
    """Wait until no command line contains all texts; raises as `wait_until`."""
    wait_until(lambda: not processes_with(*texts))
