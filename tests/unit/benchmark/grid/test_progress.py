"""Progress of a grid on a terminal and as lines."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from benchmark.grid import progress
from benchmark.grid.progress import (
    LineProgress,
    Outcome,
    TerminalProgress,
    clock,
    progress_on,
    read_progress,
    time_left,
)
from benchmark.records.result import RunSpec

FIRST, SECOND = (RunSpec("smoke", "mtan", "none", "b", ("semseg",), seed) for seed in (0, 1))


@pytest.fixture
def now(monkeypatch):
    """A clock that stands still until it is told to move: `now[0] += 60`."""
    time_now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: time_now[0])
    return time_now


@pytest.fixture
def stream():
    """What a progress display has written."""
    return io.StringIO()


@pytest.fixture
def bars(stream, monkeypatch):
    """Bars on a terminal of 120 columns."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    return TerminalProgress(stream)


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


def test_the_time_left_of_a_continued_cell_does_not_count_its_earlier_steps(now):
    """60 of 1000 steps take 60 s, 240 are left; of 3 cells 0.06 is done in 60 s and 2.24 are left: 2240 s."""
    stream = io.StringIO()
    lines = LineProgress(stream, interval=60)
    lines.begin(left=3, total=3)
    lines.started(FIRST, Path("first.log"), (700, 1000))
    lines.advanced(FIRST, 0, 1)
    now[0] += 60
    lines.advanced(FIRST, 760, 1000)
    assert stream.getvalue().splitlines()[-2:] == [
        "  ... mtan+none seed 0 76%, 0:04:00 left",
        "  ... grid 0/3, 0:37:20 left",
    ]
    now[0] += 240
    lines.ended(FIRST, Outcome("done"))
    assert stream.getvalue().splitlines()[-1] == "done mtan+none seed 0 after 0:05:00; grid 1/3, 0:33:20 left", (
        "0.3 cells in 300 s: 2 take 2000 s"
    )


def test_a_cell_that_falls_back_to_an_earlier_checkpoint_is_timed_from_there(now):
    """It had done 700 steps, but continues at 500: 100 steps in 100 s, 400 are left."""
    stream = io.StringIO()
    lines = LineProgress(stream, interval=60)
    lines.begin(left=1, total=1)
    lines.started(FIRST, Path("first.log"), (700, 1000))
    now[0] += 50
    lines.advanced(FIRST, 500, 1000)
    now[0] += 50
    lines.advanced(FIRST, 600, 1000)
    assert "  ... mtan+none seed 0 60%, 0:06:40 left" in stream.getvalue()


def test_bars_of_continued_cells_begin_where_they_stood(bars):
    """Two cells that stand at 0.7 and 0.5, of three: 1.8 are to do. After 0.18 more, the grid's bar stands at 10 %."""
    bars.begin(left=3, total=3)
    bars.started(FIRST, Path("first.log"), (700, 1000))
    bars.started(SECOND, Path("second.log"), (500, 1000))
    bars.advanced(FIRST, 0, 1)
    assert [task.percentage for task in bars.bars.tasks] == [0, 70, 50]
    bars.advanced(FIRST, 880, 1000)
    assert bars.bars.tasks[0].percentage == pytest.approx(10)
    bars.ended(FIRST, Outcome("done"))
    bars.advanced(SECOND, 500, 1000)
    assert bars.bars.tasks[0].percentage == pytest.approx(100 / 6), "0.3 of 1.8"
    bars.close()


def test_a_cell_that_is_continued_twice_counts_once(bars):
    """Of two cells, one stands at 0.4 when it is tried again: 1.6 are to do, and 0.16 of them are done at 0.56."""
    bars.begin(left=2, total=2)
    bars.started(FIRST, Path("first.log"), (200, 1000))
    bars.started(FIRST, Path("first.log"), (400, 1000))
    bars.advanced(FIRST, 560, 1000)
    assert bars.bars.tasks[0].percentage == pytest.approx(10)
    bars.close()


def test_a_terminal_gets_a_bar_for_the_grid_and_one_for_each_running_cell(bars, stream):
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


def test_running_cells_get_a_line_each_minute(now):
    stream = io.StringIO()
    lines = LineProgress(stream)
    lines.begin(left=1, total=1)
    lines.started(FIRST, Path("first.log"))
    now[0] += 59
    lines.advanced(FIRST, 1, 4)
    assert "..." not in stream.getvalue()
    now[0] += 1
    lines.advanced(FIRST, 1, 4)
    assert "  ... mtan+none seed 0 25%, 0:03:00 left" in stream.getvalue()


def test_the_bar_of_the_grid_counts_cells_and_sixteen_cells_have_bars(bars, stream):
    bars.begin(left=20, total=25)
    assert "5 of 25 cells have a result, 20 to run" in stream.getvalue()
    for seed in range(18):
        bars.started(RunSpec("smoke", "mtan", "none", "b", ("semseg",), seed), Path("cell.log"))
    assert len(bars.bars.tasks) == 1 + 16
    bars.ended(FIRST, Outcome("done"))
    assert bars.bars.tasks[0].description == "grid 1/20"
    bars.close()


def test_the_bar_of_the_grid_never_stands_below_zero(bars):
    """The only cell had done 0.7, and continues at an earlier checkpoint, at 0.5."""
    bars.begin(left=1, total=1)
    bars.started(FIRST, Path("first.log"), (700, 1000))
    bars.advanced(FIRST, 500, 1000)
    assert bars.bars.tasks[0].completed == 0
    bars.close()


def test_the_time_left_is_known_once_some_work_is_done(now):
    assert time_left(now[0] - 60, 0.0, 1.0) == "time left not known yet"
    assert time_left(now[0] - 60, 0.5, 0.0) == "nearly done"
    assert time_left(now[0] - 60, 0.5, 1.0) == "0:02:00 left"


@pytest.mark.parametrize("text", ["", "[1]", '{"step": null, "steps": 3}', '{"step": 3}', '{"step": "x", "steps": 3}'])
def test_progress_that_cannot_be_read_is_unknown(tmp_path, text):
    (tmp_path / "progress.json").write_text(text)
    assert read_progress(tmp_path) is None
