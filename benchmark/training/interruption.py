"""Request to save the state and end, which a batch system sends before the time limit of a job (SIGUSR1)."""

from __future__ import annotations

import signal
import threading
from types import FrameType

_requested = threading.Event()


class CellInterruptedError(BaseException):
    """The training ended on request, after its state was saved. No `Exception`, since it is no failure of the cell."""


def listen() -> None:
    """From here on, SIGUSR1 asks the training to save its state and to end."""
    if hasattr(signal, "SIGUSR1") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, _note)


def is_requested() -> bool:
    """Return True once the training was asked to end."""
    return _requested.is_set()


def _note(number: int, frame: FrameType | None) -> None:
    _requested.set()
