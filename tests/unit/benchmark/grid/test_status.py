"""The state of cells as a table, and the explanation of one cell."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmark.grid import status
from benchmark.grid.cells import cells
from benchmark.grid.explain import explanation, find_cell, last_lines
from benchmark.grid.loop import independent
from benchmark.grid.stale import OlderResults
from benchmark.grid.status import cell_states, status_text, watch_text
from benchmark.records import leases
from benchmark.records.failures import INFRASTRUCTURE
from benchmark.records.identity import Ingredients
from benchmark.records.result import RunResult, failure
from benchmark.records.store import ResultStore

METRICS = {"semseg": {"mIoU": {"value": 1.0, "unit": "%", "higher_is_better": True}}}
TIMES = {"started": "2026-01-01T00:00:00+00:00", "finished": "2026-01-01T00:03:30+00:00"}


@pytest.fixture
def store(tmp_path) -> ResultStore:
    return ResultStore(tmp_path)


@pytest.fixture
def grid():
    ingredients = Ingredients({"size": 1}, {"method": 1})
    found = cells("smoke", ["a"], ["none"], range(5), "b", ["semseg"])
    return [replace(spec, ingredients=ingredients) for spec in found]


@pytest.fixture
def used(store, grid):
    """One cell each that is done, failed, running, stale and missing."""
    done, failed, running, stale, _ = grid
    store.publish(RunResult(done, "done", METRICS, provenance=TIMES), store.claim(done))
    store.publish(failure(failed, "failed", "the disk is gone", TIMES, INFRASTRUCTURE), store.claim(failed))
    old = replace(stale, ingredients=Ingredients({"size": 2}, {"method": 1}))
    store.publish(RunResult(old, "done", METRICS), store.claim(old))
    for lease in (store.work / "leases").iterdir():
        lease.unlink()
    store.claim(running)
    folder = store.work_folder(running)
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text('{"step": 30, "steps": 120}')
    (folder / "cell.log").write_text("first\n\nloading\rstep 30\n")
    return store


def test_the_reason_of_a_stale_cell_is_its_change_since_the_newest_result(used, grid):
    """Two older results of one cell: the one that ended last has another method, whatever the order of their names."""
    for version, day in ((7, 2), (8, 1), (9, 3), (10, 1)):
        old = replace(grid[3], ingredients=Ingredients({"size": 1}, {"method": version}))
        finished = {"finished": f"2026-11-0{day}T00:00:00+00:00"}
        used.publish(RunResult(old, "done", METRICS, provenance=finished), used.claim(old))
    newest = OlderResults(used).of(grid[3])[-1].result
    assert newest.spec.ingredients.versions == {"method": 9}
    assert status_text(grid, used).splitlines()[-1].startswith(f"stale: {newest.run_id}: ")
    assert f"the stored result {newest.run_id} is stale" in explanation(grid[3], used, independent)


def test_every_state_is_found(used, grid):
    states = cell_states(grid, used)
    assert [cell.state for cell in states] == ["done", "failed", "running", "stale", "missing"]
    assert states[0].minutes == 3.5
    assert (states[1].error_class, states[1].error) == ("infrastructure", "the disk is gone")
    assert states[2].step == (30, 120)
    assert states[2].heartbeat < 60
    assert states[2].host == leases.read(states[2].lease)["host"]


def test_a_result_of_another_request_is_not_replaced(store, grid):
    other = replace(grid[0], overrides={"train_cfg.max_iters": 3}, ingredients=Ingredients({"size": 2}, {"method": 1}))
    store.publish(RunResult(other, "done", METRICS), store.claim(other))
    assert [cell.state for cell in cell_states([other, grid[0]], store)] == ["done", "missing"]


def test_a_running_cell_has_minutes_since_its_claim_and_seconds_since_its_heartbeat(used, grid, monkeypatch):
    lease = cell_states(grid, used)[2].lease
    claimed, heartbeat = json.loads(lease.read_text())["claimed"], lease.stat().st_mtime
    monkeypatch.setattr(status, "time", SimpleNamespace(time=lambda: claimed + 600))
    running = cell_states(grid, used)[2]
    assert running.minutes == pytest.approx(10)
    assert running.heartbeat == pytest.approx(claimed + 600 - heartbeat)


def test_the_table_has_a_line_for_each_cell_and_the_sums(used, grid):
    lines = status_text(grid, used).splitlines()
    assert lines[0].split() == ["state", "cell", "owner", "host", "step", "heartbeat", "minutes", "error"]
    assert "30/120" in lines[3]
    assert "infrastructure: the disk is gone" in lines[2]
    assert "5 cells: 1 done, 1 missing, 1 stale, 1 failed, 1 running" in lines
    assert lines[-1].startswith("stale: a+none-b-s3-")
    assert lines[-1].endswith("size 2 -> 1")


def test_a_lease_of_a_dead_process_is_no_running_cell(used, grid):
    (path,) = (used.work / "leases").iterdir()
    path.write_text(json.dumps({**leases.read(path), "owner": {"pid": 0}}))
    assert cell_states(grid, used)[2].state == "missing"


def test_a_cell_in_a_queue_is_told_apart(store, grid):
    store.claim(grid[0]).note(queue="slurm job 17")
    (cell, *_) = cell_states(grid, store)
    assert (cell.state, cell.owner) == ("queued", "slurm job 17")


def test_a_watched_status_fits_the_terminal_and_shows_cells_at_work_first(used, grid):
    text, ended = watch_text(grid, used, height=6)
    assert len(text.splitlines()) <= 6
    assert text.splitlines()[2].startswith("running")
    assert not ended
    assert watch_text(grid[:2], used, height=40)[1], "done and failed cells have ended"


def test_a_cell_is_found_by_any_clear_name(grid):
    for name in (grid[3].run_id, "a+none seed 3", "s3", f"results/runs/smoke/{grid[3].run_id}.json"):
        assert find_cell(grid, name) == grid[3]
    with pytest.raises(ValueError, match="5 cells have 'a' in their name"):
        find_cell(grid, "a")
    with pytest.raises(ValueError, match="no cell named 'zzz' in this grid"):
        find_cell(grid, "zzz")


def test_a_full_name_is_preferred_to_longer_names_that_contain_it():
    grid = cells("smoke", ["a"], ["none"], range(11), "b", ["semseg"])
    assert find_cell(grid, "a+none seed 1") == grid[1]
    assert find_cell(grid, "a+none seed 10") == grid[10]


@pytest.mark.parametrize(("count", "end"), [(4, ""), (5, ", ...")])
def test_four_of_the_cells_that_a_name_could_mean_are_listed(grid, count, end):
    with pytest.raises(ValueError, match="in their name: ") as caught:
        find_cell(grid[:count], "a+none")
    assert str(caught.value).partition("in their name: ")[2] == ", ".join(spec.run_id for spec in grid[:4]) + end


def test_why_names_process_and_host_of_the_holder(used, grid):
    content = leases.read(cell_states(grid, used)[2].lease)
    expected = f"waits: for pid {content['owner']['pid']} on {content['host']}, which holds the cell"
    assert expected in explanation(grid[2], used, independent).splitlines()


def test_why_names_only_needed_cells_that_are_not_done(used, grid):
    waits = [line for line in explanation(grid[4], used, lambda spec: grid[:2]).splitlines() if "waits" in line]
    assert waits == ["waits: for a+none seed 1, which is failed"]
    waits = [line for line in explanation(grid[4], used, lambda spec: [grid[3]]).splitlines() if "waits" in line]
    assert waits == ["waits: for a+none seed 3, which is stale"]


def test_why_tells_that_a_process_ended_without_a_result(used, grid):
    (path,) = (used.work / "leases").iterdir()
    path.write_text(json.dumps({**leases.read(path), "owner": {"pid": 0}}))
    text = explanation(grid[2], used, independent)
    assert "waits: for a launcher; the process that ran it has ended without a result\n" in text
    assert "start the grid" not in text


def test_lines_of_a_log_lose_their_trailing_spaces(tmp_path):
    (tmp_path / "cell.log").write_text("first  \n  second\t\n")
    assert last_lines(tmp_path / "cell.log") == ["first", "  second"]


def test_why_tells_the_holder_and_the_last_lines_of_the_log(used, grid):
    text = explanation(grid[2], used, independent)
    assert "which holds the cell" in text
    assert text.splitlines()[-3:] == ["first", "loading", "step 30"]


def test_why_tells_what_a_cell_waits_for(used, grid):
    text = explanation(grid[4], used, lambda spec: [grid[1]])
    assert "waits: for a+none seed 1, which is failed" in text
    assert "no log at" in text
    assert "waits: for a launcher; start the grid\n" in explanation(grid[4], used, independent)
    assert "waits: for a launcher; start the grid\n" in explanation(grid[3], used, independent), "its result is stale"
    assert "waits: for a launcher; start the grid again\n" in explanation(grid[1], used, independent)
    assert "error: the disk is gone" in explanation(grid[1], used, independent)


def test_the_last_lines_of_a_long_log_are_found(tmp_path):
    log = tmp_path / "cell.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert last_lines(log, 2) == ["line 99998", "line 99999"]


def test_ten_thousand_cells_are_planned_and_listed_in_seconds(store):
    """CPU time, which other load changes little: the bars are 5 s for the plan and 2 s for the status."""
    ingredients = Ingredients({"size": 1}, {"method": 1})
    before = time.process_time()
    found = cells("smoke", ["a"], ["none"], range(10_000), "b", ["semseg"])
    grid = [replace(spec, ingredients=ingredients) for spec in found]
    assert len({spec.run_id for spec in grid}) == 10_000
    assert time.process_time() - before < 5
    text = RunResult(grid[0], "done", METRICS, provenance=TIMES).to_text()
    store.path(grid[0]).parent.mkdir(parents=True)
    for spec in grid[:5000]:
        store.path(spec).write_text(text)
    before = time.process_time()
    assert "10000 cells: 5000 done, 5000 missing" in status_text(grid, store)
    assert time.process_time() - before < 4, "twice the bar, for a busy machine"
