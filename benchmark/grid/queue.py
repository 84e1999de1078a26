"""Queue of the waiting cells, in the order of the grid; a cell can be put back with a delay."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterable, Iterator

from benchmark.records.result import RunSpec


class CellQueue:
    """Waiting cells. After its delay, a cell that was put back comes before cells that were never taken."""

    def __init__(self, cells: Iterable[RunSpec] = ()) -> None:
        self._ready = deque(cells)
        self._delayed: list[tuple[float, int, RunSpec]] = []
        self._inside = set(self._ready)
        self._count = 0

    def take(self) -> RunSpec | None:
        """Remove and return the next cell whose waiting time is over; None without such a cell."""
        if self._delayed and self._delayed[0][0] <= time.monotonic():
            spec = heapq.heappop(self._delayed)[2]
        elif self._ready:
            spec = self._ready.popleft()
        else:
            return None
        self._inside.remove(spec)
        return spec

    def put_back(self, spec: RunSpec, seconds: float = 0.0) -> None:
        """Let a cell wait for `seconds`."""
        self._count += 1
        heapq.heappush(self._delayed, (time.monotonic() + seconds, self._count, spec))
        self._inside.add(spec)

    def __contains__(self, spec: RunSpec) -> bool:
        return spec in self._inside

    def __len__(self) -> int:
        return len(self._inside)

    def __iter__(self) -> Iterator[RunSpec]:
        yield from (spec for _, _, spec in sorted(self._delayed))
        yield from self._ready
