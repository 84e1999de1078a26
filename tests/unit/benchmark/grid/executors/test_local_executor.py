"""Command and environment of a cell's process, and the description of its end."""

from __future__ import annotations

import pytest
from processes import wait_until

from benchmark.grid.executors import local
from benchmark.grid.executors.local import LocalExecutor, default_workers, environment, how_it_ended, last_line
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore

SPEC = RunSpec("smoke", "quick", "none", "b", ("semseg",), 0)


@pytest.mark.parametrize(
    ("cores", "memory", "gpu_cells", "workers"),
    [(8, 64.0, 1, 1), (8, 64.0, 4, 4), (8, 64.0, None, 8), (8, 11.9, None, 2), (2, 1.0, None, 1), (4, None, None, 4)],
)
def test_the_default_number_of_cells_follows_gpus_cores_and_memory(cores, memory, gpu_cells, workers):
    assert default_workers(cores, memory, gpu_cells) == workers


@pytest.mark.parametrize(("workers", "cores", "threads"), [(1, 8, "8"), (3, 8, "2"), (2, 2, "1"), (16, 8, "1")])
def test_cells_share_out_the_cores(workers, cores, threads):
    given = environment(workers, cores)
    assert {given[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")} == {threads}


def test_the_allocator_is_tuned_unless_the_user_has_set_it(monkeypatch):
    monkeypatch.delenv("MALLOC_TOP_PAD_", raising=False)
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    given = environment(1, 1)
    assert given["MALLOC_MMAP_MAX_"] == "7"
    assert given["MALLOC_TOP_PAD_"] == "268435456"


def test_the_command_contains_the_complete_cell(tmp_path):
    store = ResultStore(tmp_path / "out", tmp_path / "work")
    command = LocalExecutor(store, imports=["a.py", "b.py"]).command(SPEC)
    assert command[1].endswith("train.py")
    assert RunSpec.from_text(command[command.index("--spec") + 1]) == SPEC
    assert command[-8:] == [
        "--out",
        str(tmp_path / "out"),
        "--work",
        str(tmp_path / "work"),
        "--import",
        "a.py",
        "--import",
        "b.py",
    ]


def test_the_last_line_of_a_log_is_found(tmp_path):
    log = tmp_path / "cell.log"
    log.write_text("x\n" * 10_000 + "=== head\nValueError: why\n\n")
    assert last_line(log) == "ValueError: why"
    log.write_bytes(b"50%\r 100%\r\xff done\n")
    assert last_line(log).endswith("done")
    log.write_text("=== head\n")
    assert last_line(log) == ""
    assert last_line(tmp_path / "none.log") == ""


def test_the_end_of_a_process_is_told_in_one_line(tmp_path):
    log = tmp_path / "cell.log"
    log.write_text("MemoryError\n")
    assert how_it_ended(1, log) == "exit code 1; last line of its log: MemoryError"
    assert how_it_ended(-11, tmp_path / "none.log") == "killed by SIGSEGV"
    assert how_it_ended(-40, tmp_path / "none.log") == "killed by signal 40", "real-time signals have no name"


def test_progress_of_a_cell_is_read_from_its_file(tmp_path):
    store = ResultStore(tmp_path)
    executor = LocalExecutor(store)
    assert executor.steps(SPEC) is None
    folder = store.work_folder(SPEC)
    folder.mkdir(parents=True)
    for text, expected in [('{"step": 3, "steps": 10}', (3, 10)), ('{"step": 3', None), ("[]", None), ("{}", None)]:
        (folder / "progress.json").write_text(text)
        assert executor.steps(SPEC) == expected


def test_no_workers_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least 1 worker, found 0"):
        LocalExecutor(ResultStore(tmp_path), 0)


STUBBORN = """
import signal, sys, time
from pathlib import Path

def end(number, frame):
    Path({said!r}).write_text("asked to end")
    sys.exit()

signal.signal(signal.SIGUSR1, signal.SIG_IGN)
signal.signal(signal.SIGTERM, end if {ends} else signal.SIG_IGN)
Path({said!r}).write_text("runs")
time.sleep(60)
"""


def stubborn_cell(folder, ends):
    """An executor whose only cell saves nothing, its process, and the file that tells what the cell was asked."""
    program, said = folder / "stubborn.py", folder / "said.txt"
    program.write_text(STUBBORN.format(said=str(said), ends=ends))
    store = ResultStore(folder / "out")
    executor = LocalExecutor(store, 1, program=program)
    executor.start(SPEC, store.claim(SPEC))
    wait_until(lambda: said.exists() and said.read_text() == "runs")
    (cell,) = executor._cells.values()
    return executor, cell.process, said


@pytest.mark.parametrize(("ends", "last"), [(True, "asked to end"), (False, "runs")])
def test_a_cell_that_saves_nothing_is_asked_to_end_and_killed_in_the_end(tmp_path, monkeypatch, ends, last):
    monkeypatch.setattr(local, "SAVE_SECONDS", 0.3)
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.3 if not ends else 10.0)
    executor, process, said = stubborn_cell(tmp_path, ends)
    executor.stop(hurry=lambda: False)
    assert process.poll() is not None
    assert said.read_text() == last


def test_a_second_request_kills_at_once(tmp_path):
    """Until then, the steps of an earlier run are not shown as steps of this one."""
    folder = ResultStore(tmp_path / "out").work_folder(SPEC)
    folder.mkdir(parents=True)
    (folder / "progress.json").write_text('{"step": 3, "steps": 10}')
    executor, process, _ = stubborn_cell(tmp_path, ends=True)
    assert executor.steps(SPEC) is None
    executor.stop(hurry=lambda: True)
    assert process.poll() is not None
