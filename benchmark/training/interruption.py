"""Request to save the state and end, which a batch system sends before the time limit of a job (SIGUSR1)."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_requested = threading.Event()


class CellInterruptedError(BaseException):
    """The training ended on request, after its state was saved. Not an `Exception`, since the cell has not failed."""


def listen() -> None:
    """Let SIGUSR1 ask the training to save its state and to end. Only the main thread can set this."""
    if hasattr(signal, "SIGUSR1") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, _note)


def is_requested() -> bool:
    """Return True once the training was asked to end."""
    return _requested.is_set()


def _note(number: int, frame: FrameType | None) -> None:
    _requested.set()
