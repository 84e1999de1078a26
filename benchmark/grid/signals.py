"""Signals that stop a grid. The handler only records them; the loop reacts at a safe point."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class StopSignals:
    """Context in which SIGINT (Ctrl-C), SIGTERM and SIGHUP only set `first`, and `again` when repeated.

    Python catches signals in the main thread only. In other threads this class does nothing.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.again = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            # Keep ignoring a signal that is already ignored, such as SIGHUP under nohup.
            wanted = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._note) for number in wanted}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.again = self.first is not None
        self.first = self.first or number
