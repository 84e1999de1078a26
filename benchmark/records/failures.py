"""Classes of failures, which are stored with a result and decide how a grid goes on. Imports no torch."""

from __future__ import annotations

import errno
import signal

INFRASTRUCTURE, OUT_OF_MEMORY, DIVERGED, CODE, DATA = FAILURE_CLASSES = (
    "infrastructure",
    "out of memory",
    "diverged",
    "code",
    "data",
)
"""Causes of a failure: the machine, its memory, the training, the program, the data set."""

RETRY_EXIT_CODE = 75
"""Exit code of a cell that could not store a result because of the machine (EX_TEMPFAIL of sysexits.h)."""
INTERRUPTED_EXIT_CODE = 85
"""Exit code of a cell that was asked to save its state and end, and goes on when it is started again."""

ENDED_FROM_OUTSIDE = frozenset(
    getattr(signal, name) for name in ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE")
)
MACHINE_ERRORS = frozenset(
    getattr(errno, name)
    for name in (
        *("ENOSPC", "EDQUOT", "EIO", "EROFS", "ESTALE", "ENOLCK", "ENODEV", "ENFILE", "EMFILE", "EAGAIN"),
        *("ENETDOWN", "ENETUNREACH", "EHOSTDOWN", "EHOSTUNREACH", "ETIMEDOUT", "ECONNRESET", "ECONNREFUSED", "EPIPE"),
    )
    if hasattr(errno, name)
)
"""Errors of an operating system that a second start of the same program may not meet."""


def class_of_exit(returncode: int) -> str:
    """The class of a process that ended without a result.

    Args:
        returncode: exit code, or the negative number of the signal that ended the process.
    """
    if returncode in (RETRY_EXIT_CODE, INTERRUPTED_EXIT_CODE) or -returncode in ENDED_FROM_OUTSIDE:
        return INFRASTRUCTURE
    return CODE


def class_of_os_error(error: OSError) -> str:
    """The class of an error of the operating system: out of memory, infrastructure, or code, such as a wrong path."""
    if error.errno == errno.ENOMEM:
        return OUT_OF_MEMORY
    if error.errno in MACHINE_ERRORS or isinstance(error, (ConnectionError, TimeoutError)):
        return INFRASTRUCTURE
    return CODE
