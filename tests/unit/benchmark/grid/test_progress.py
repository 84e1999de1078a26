"""Progress of a grid on a terminal and as lines."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from benchmark.grid import progress
from benchmark.grid.progress import LineProgress, Outcome, TerminalProgress, clock, progress_on
from benchmark.records.result import RunSpec

FIRST, SECOND = (RunSpec("smoke", "mtan", "none", "b", ("semseg",), seed) for seed in (0, 1))


@pytest.fixture
def now(monkeypatch):
    """A clock that stands still until it is told to move: `now[0] += 60`."""
    time_now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: time_now[0])
    return time_now


def test_lines_tell_of_every_event_and_the_time_left(now):
    """Of 2 cells one is over after 100 s and the other half done: 1.5 of 2 in 100 s leaves 33 s."""
    stream = io.StringIO()
    lines = LineProgress(stream, interval=60)
    lines.begin(left=2, total=5)
    lines.started(FIRST, Path("first.log"))
    lines.started(SECOND, Path("second.log"))
    now[0] += 100
    lines.ended(FIRST, Outcome("failed", "out of memory"))
    lines.advanced(SECOND, 750, 1500)
    lines.advanced(SECOND, 751, 1500)
    lines.close()
    assert stream.getvalue().splitlines() == [
        "3 of 5 cells have a result, 2 to run",
        "start mtan+none seed 0, log first.log",
        "start mtan+none seed 1, log second.log",
        "failed mtan+none seed 0: out of memory after 0:01:40; grid 1/2, 0:01:40 left",
        "  ... mtan+none seed 1 50%, 0:01:40 left",
        "  ... grid 1/2, 0:00:33 left",
    ]


def test_a_terminal_gets_a_bar_for_the_grid_and_one_for_each_running_cell(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    stream = io.StringIO()
    bars = TerminalProgress(stream)
    bars.begin(left=2, total=2)
    bars.started(FIRST, Path("first.log"))
    bars.advanced(FIRST, 750, 1500)
    shown = stream.getvalue()
    assert "mtan+none seed 0" in shown
    assert " 50%" in shown
    assert " 25%" in shown, "half of one of two cells is a quarter of the grid"
    bars.ended(FIRST, Outcome("diverged", "the loss is [NaN]"))
    bars.close()
    assert "diverged mtan+none seed 0: the loss is [NaN]" in stream.getvalue()


def test_what_is_no_terminal_gets_lines():
    assert isinstance(progress_on(io.StringIO()), progress.LineProgress)


def test_clock():
    assert [clock(seconds) for seconds in (0, 59.6, 3725, 360_000)] == ["0:00:00", "0:01:00", "1:02:05", "100:00:00"]
