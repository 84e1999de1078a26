"""The process of a cell on another machine: how it is interrupted, and what remains of it."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest
from processes import wait_until

from benchmark.grid.executors.remote import CellProcess, RemoteCell, RemoteOutcome, run_in_temporary_folder
from benchmark.records.result import RunSpec

SPEC = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
PROGRAM = """
import signal, sys, time
from pathlib import Path

def save(number, frame):
    Path({said!r}).write_text("saved")
    sys.exit(3)

signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGUSR1, save if {saves} else signal.SIG_IGN)
Path({said!r}).write_text("runs")
time.sleep(60)
"""


def cell_of(folder: Path, program: str) -> RemoteCell:
    """A cell whose training is this program, on a machine that does not share the launcher's folder."""
    file = folder / "program.py"
    file.write_text(program)
    return RemoteCell(SPEC.to_text(), str(folder / "launcher"), "mark", program=str(file))


@pytest.mark.parametrize(
    ("saves", "seconds", "last", "code"), [(True, 20.0, "saved", 3), (False, 0.3, "runs", -signal.SIGKILL)]
)
def test_an_interrupted_cell_may_save_its_state_and_is_killed_if_it_does_not(
    saves: bool, seconds: float, last: str, code: int, tmp_path: Path
) -> None:
    said = tmp_path / "said.txt"
    cell = CellProcess(cell_of(tmp_path, PROGRAM.format(said=str(said), saves=saves)), tmp_path / "cell", print)
    thread = threading.Thread(target=cell.run)
    thread.start()
    wait_until(lambda: said.exists() and said.read_text() == "runs")
    cell.interrupt(seconds)
    thread.join(30)
    assert said.read_text() == last
    assert cell.process is not None
    assert cell.process.returncode == code


def test_the_folder_of_a_cell_is_removed_at_its_end(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    outcome = run_in_temporary_folder(cell_of(tmp_path, "print('last words')"), folder, lambda text, steps: None)
    assert isinstance(outcome, RemoteOutcome)
    assert "last words" in outcome.how
    assert not folder.exists()
