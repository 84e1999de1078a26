"""Running a grid with real processes that may die at any moment, and with several launchers."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fake_grids import HERE, grid_of, launch, num_stored, run_here, starts
from processes import wait_until

from benchmark.grid.cells import run
from benchmark.grid.executors.local import LocalExecutor
from benchmark.grid.progress import LineProgress
from benchmark.records import leases
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.store import STATE_FILES, ResultStore

METRICS = {"semseg": {"mIoU": {"value": 1.0, "unit": "%", "higher_is_better": True}}}


def test_every_cell_is_run_once_and_never_again(store):
    grid = grid_of("quick", seeds=3)
    assert not run_here(grid, store).not_done
    assert not run_here(grid, store).not_done
    assert starts(store) == {spec.run_id: 1 for spec in grid}
    assert not list((store.work / "leases").iterdir())


def test_a_failure_is_a_result_and_stops_nothing(store):
    grid = grid_of("fails", "crashes", "killed", "quick")
    report = run_here(grid, store)
    errors = {spec.method: outcome.error for spec, outcome in report.not_done.items()}
    assert errors["fails"] == "as told"
    assert errors["crashes"] == "exit code 3; last line of its log: last words"
    assert errors["killed"].startswith("killed by SIGKILL, perhaps for lack of memory; last line of its log: threads")
    assert store.read(grid[1]).error == errors["crashes"]
    assert store.read(grid[1]).provenance["started"]
    assert store.finished(grid[3])


def test_failed_cells_are_run_again_and_diverged_ones_only_on_request(store):
    flaky, diverged = *grid_of("flaky"), *grid_of("quick")
    with store.hold(diverged) as lease:
        store.publish(failure(diverged, "diverged", "the loss is NaN at step 3", {}), lease)
    assert run_here([flaky, diverged], store).outcomes[flaky].status == "failed"
    report = run_here([flaky, diverged], store)
    assert report.outcomes[flaky].status == "done"
    assert report.outcomes[diverged].error == "the loss is NaN at step 3"
    assert not run_here([flaky, diverged], store, retry=("diverged",)).not_done


def test_without_retry_a_failure_stands(store):
    grid = grid_of("flaky")
    run_here(grid, store)
    assert run_here(grid, store, retry=()).outcomes[grid[0]].status == "failed"
    assert sum(starts(store).values()) == 1


def test_a_cell_whose_place_holds_another_file_is_reported_and_left_alone(store):
    grid = grid_of("quick", seeds=2)
    path = store.path(grid[0])
    path.parent.mkdir(parents=True)
    path.write_text('{"schema_version": 2}')
    report = run_here(grid, store)
    assert "schema_version: found 2, expected 1" in report.outcomes[grid[0]].error
    assert "move this file away" in report.outcomes[grid[0]].error
    assert path.read_text() == '{"schema_version": 2}'
    assert report.outcomes[grid[1]].status == "done"


def test_a_launcher_killed_hard_is_continued_by_the_same_command(store):
    """After SIGKILL, done cells stay; the running cell ends with the launcher and is the only one to run again."""
    grid = grid_of("slow", seeds=6, seconds=0.3)
    launcher = launch(store, "slow", 6, 0.3)
    wait_until(lambda: num_stored(store) >= 2 and len(starts(store)) >= 3)
    launcher.send_signal(signal.SIGKILL)
    launcher.communicate()
    done = {spec.run_id: store.path(spec).read_bytes() for spec in grid if store.read(spec)}
    pids = [int(line.split()[1]) for line in (store.work / "started.txt").read_text().splitlines()]
    if sys.platform.startswith("linux"):
        wait_until(lambda: all(leases.is_dead(leases.process(pid)) for pid in pids), 10)
    assert not run_here(grid, store).not_done
    for spec in grid:
        if spec.run_id in done:
            assert starts(store)[spec.run_id] == 1, "a finished cell was run again"
            assert store.path(spec).read_bytes() == done[spec.run_id]


def test_a_continued_cell_is_shown_with_the_steps_that_it_has(store, monkeypatch):
    """Its progress.json, which the executor removes, is read before."""
    (spec,) = grid_of("slow", seconds=0.1)
    folder = store.work_folder(spec)
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text('{"step": 7, "steps": 10}')
    (folder / STATE_FILES[0]).write_text("7")
    told = []
    monkeypatch.setattr(LineProgress, "started", lambda self, spec, log, earlier=None: told.append(earlier))
    assert not run_here([spec], store).not_done
    assert told == [(7, 10)]


def test_a_stopped_launcher_ends_its_cells_and_gives_them_back(store):
    for number in (signal.SIGINT, signal.SIGTERM):
        (store.work / "started.txt").write_text("")
        launcher = launch(store, "slow", 3, 10)
        wait_until(lambda: len(starts(store)) == 2)
        launcher.send_signal(number)
        output, _ = launcher.communicate(timeout=20)
        assert f"stopped by {int(number)}" in output
        assert "Traceback" not in output
        assert not list((store.work / "leases").iterdir())
        assert "failed" not in output, "a cell that was stopped is no failure"
        assert num_stored(store) == 0
        for line in (store.work / "started.txt").read_text().splitlines():
            assert leases.is_dead(leases.process(int(line.split()[1])))


def test_a_stopped_launcher_lets_its_cells_save_their_state(store):
    """Every step that a cell began is in its state: none has to be done again."""
    launcher = launch(store, "slow", 2, 3)
    wait_until(lambda: len(list(store.work.glob(f"smoke/*/{STATE_FILES[0]}"))) == 2)
    launcher.send_signal(signal.SIGTERM)
    launcher.communicate(timeout=20)
    for state in store.work.glob(f"smoke/*/{STATE_FILES[0]}"):
        begun = [line for line in state.with_name("cell.log").read_text().splitlines() if line.startswith("step ")]
        assert int(state.read_text()) == len(begun) < 10


def test_two_launchers_started_together_run_each_cell_once(store):
    launchers = [launch(store, "quick,fails,slow", 4, 0.1) for _ in range(2)]
    outputs = [launcher.communicate(timeout=60)[0] for launcher in launchers]
    assert set(starts(store).values()) == {1}, outputs
    assert len(starts(store)) == 12
    assert [launcher.returncode for launcher in launchers] == [1, 1], "both know of the cells that failed"


def test_a_cell_of_another_launcher_is_waited_for_and_taken_over_when_that_dies(store):
    grid = grid_of("quick")
    held = store.claim(grid[0])
    # A holder on another host whose last heartbeat is two seconds short of the lifetime.
    held.path.write_text(json.dumps({**leases.read(held.path), "host": "elsewhere"}))
    then = time.time() - leases.LIFETIME_SECONDS + 1.5
    os.utime(held.path, (then, then))
    before = time.monotonic()
    assert not run_here(grid, store).not_done
    assert time.monotonic() - before > 1.0
    assert "is being run by another process" in (store.work / "progress.txt").read_text()


def test_a_result_that_another_launcher_stores_meanwhile_is_taken(store):
    grid = grid_of("quick")
    lease = store.claim(grid[0])

    class Progress(LineProgress):
        def note(self, line: str) -> None:
            store.publish(RunResult(grid[0], "done", METRICS), lease)
            lease.release()

    executor = LocalExecutor(store, 1, program=HERE / "fake_cell.py")
    with open(os.devnull, "w") as stream:
        assert not run(grid, store, executor, Progress(stream)).not_done
    assert not (store.work / "started.txt").exists()


def test_a_cell_waits_for_the_cells_that_it_needs_and_is_left_if_they_fail(store):
    first, second, crashing = *grid_of("slow", "quick", seconds=0.3), *grid_of("crashes")
    needs = {second: [first]}
    report = run_here([second, first], store, depends_on=lambda spec: needs.get(spec, []))
    assert not report.not_done
    order = [line.split("+")[0] for line in (store.work / "started.txt").read_text().splitlines()]
    assert order == ["slow", "quick"]
    third = grid_of("quick", seeds=2)[1]
    report = run_here([third, crashing], store, depends_on=lambda spec: [crashing] if spec == third else [])
    assert report.outcomes[third].status == "left"
    assert report.outcomes[third].error == "needs crashes+none seed 0, which is not done"


def test_a_program_that_cannot_be_started_is_a_failure(store):
    grid = grid_of("quick")
    executor = LocalExecutor(store, 1, program=HERE / "no_such_cell.py")
    with open(os.devnull, "w") as stream:
        report = run(grid, store, executor, LineProgress(stream))
    assert "no_such_cell.py" in report.not_done[grid[0]].error


def full_disk(*arguments: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("owner", "name", "message"),
    [
        (ResultStore, "claim", "could not be claimed"),
        (leases.Lease, "add_worker", "could not be started"),
        (LocalExecutor, "start", "could not be started"),
    ],
)
def test_a_full_disk_fails_one_cell_and_stops_nothing(store, monkeypatch, owner, name, message):
    """The first cell meets the full disk; the second one runs."""
    grid = grid_of("slow", "quick", seconds=30)
    original, calls = getattr(owner, name), []

    def first_fails(*arguments: Any) -> Any:
        calls.append(arguments)
        return full_disk() if len(calls) == 1 else original(*arguments)

    monkeypatch.setattr(owner, name, first_fails)
    report = run_here(grid, store, workers=1, retries=0)
    assert report.outcomes[grid[0]].status == "failed"
    assert message in report.outcomes[grid[0]].error
    assert "No space left on device" in report.outcomes[grid[0]].error
    assert report.outcomes[grid[1]].status == "done"
    assert not list((store.work / "leases").iterdir())


@pytest.mark.parametrize("name", ["claim", "publish"])
def test_a_disk_that_is_full_for_a_moment_costs_nothing(store, monkeypatch, name):
    grid = grid_of("crashes" if name == "publish" else "quick")
    original, calls = getattr(ResultStore, name), []

    def first_fails(*arguments: Any) -> Any:
        calls.append(arguments)
        return full_disk() if len(calls) == 1 else original(*arguments)

    monkeypatch.setattr(ResultStore, name, first_fails)
    report = run_here(grid, store, workers=1)
    assert report.outcomes[grid[0]].status == ("failed" if name == "publish" else "done")
    assert store.read(grid[0]) is not None or name == "publish"


def test_a_failure_that_cannot_be_stored_is_reported(store, monkeypatch):
    grid = grid_of("crashes", "quick")
    monkeypatch.setattr(ResultStore, "publish", full_disk)
    report = run_here(grid, store)
    assert "last words" in report.outcomes[grid[0]].error
    assert "No space left on device" in report.outcomes[grid[0]].error
    assert report.outcomes[grid[1]].status == "done"


def test_the_display_is_updated_twice_a_second(store):
    asked = []

    class Asked(LocalExecutor):
        def steps(self, spec: RunSpec) -> tuple[int, int] | None:
            asked.append(spec)
            return super().steps(spec)

    executor, started = Asked(store, 1, program=HERE / "fake_cell.py"), time.monotonic()
    with open(os.devnull, "w") as stream:
        run(grid_of("slow", seconds=2.0), store, executor, LineProgress(stream))
    assert 2 <= len(asked) <= 1 + (time.monotonic() - started) / 0.5


def test_a_cell_that_another_launcher_has_taken_over_is_waited_for(store):
    """The cell's process ends without a result, since it no longer holds the lease; that is no failure."""
    grid = grid_of("quick")
    takeover = []

    class Taken(LocalExecutor):
        def start(self, spec: RunSpec, lease: leases.Lease) -> Path:
            log = super().start(spec, lease)
            if not takeover:
                # As if this launcher had stalled for longer than the lifetime of its lease.
                os.utime(lease.path, (0, 0))
                takeover.append(store.claim(spec))
            return log

    class Progress(LineProgress):
        def note(self, line: str) -> None:
            if "was taken over" in line:
                store.publish(RunResult(grid[0], "done", METRICS), takeover[0])
                takeover[0].release()

    executor = Taken(store, 1, program=HERE / "fake_cell.py")
    with open(os.devnull, "w") as stream:
        report = run(grid, store, executor, Progress(stream))
    assert report.outcomes[grid[0]].status == "done"
    assert store.read(grid[0]).metrics == METRICS


def test_each_failure_is_shown_once_with_control_characters_escaped(store):
    grid = grid_of("fails", "quick")
    with store.hold(grid[1]) as lease:
        store.publish(failure(grid[1], "diverged", "the loss is \x1b[31mNaN", {}), lease)
    run_here(grid, store)
    text = (store.work / "progress.txt").read_text()
    assert text.count("as told") == 1
    assert text.count(r"the loss is \x1b[31mNaN") == 1
    assert "\x1b" not in text
