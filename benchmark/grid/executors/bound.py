"""Run a command that ends when its launcher dies.

    python bound.py LAUNCHER_PID COMMAND...

This is a script, since code between fork and exec is unsafe if the launcher has threads. Without the script, the cells
of a launcher killed by SIGKILL would continue while the next launcher starts them again.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(launcher: int, command: list[str]) -> None:
    """Ask Linux to send SIGTERM to this process if the launcher dies, then execute the command."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # The launcher may have died before the request took effect.
    if os.getppid() != launcher:
        sys.exit("the launcher has ended before the cell could start")
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
