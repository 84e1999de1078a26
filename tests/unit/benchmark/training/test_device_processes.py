"""Start of the processes of a cell on several devices, without torchrun's launcher: threads, results and errors."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from benchmark.grid.executors.local import THREADS
from benchmark.records.result import RunResult, RunSpec
from benchmark.training import device_processes
from benchmark.training.checkpoints import OtherDevicesError
from benchmark.training.data_parallel import Devices
from benchmark.training.device_processes import (
    RESULT_FILE,
    RESULT_VARIABLE,
    CellPartError,
    RefusedError,
    run_on_devices,
    run_part,
)

SPEC = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
METRICS = {"semseg": {"mIoU": {"value": 1.0, "unit": "%", "higher_is_better": True}}}
DONE = RunResult(SPEC, "done", METRICS)
Launch = Callable[[Callable[..., None]], list[Any]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that a start sets; they are restored after the test."""
    for name in (RESULT_VARIABLE, *THREADS):
        monkeypatch.setenv(name, "")


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Launch:
    """Replace torchrun's launcher by a function; the list receives configuration, program and arguments."""

    def replace_by(work: Callable[..., None]) -> list[Any]:
        calls: list[Any] = []

        def elastic_launch(config: Any, program: str) -> Callable[..., None]:
            def start(*arguments: str) -> None:
                calls.append((config, program, arguments))
                work()

            return start

        monkeypatch.setattr(device_processes, "elastic_launch", elastic_launch)
        return calls

    return replace_by


def test_the_result_of_the_first_process_is_that_of_the_cell(tmp_path: Path, launch: Launch) -> None:
    """A result that an earlier start left behind is removed before the start, and the file is removed in the end."""
    folder = tmp_path / "cell"
    folder.mkdir()
    (folder / RESULT_FILE).write_text("of an earlier start")
    seen: list[bool] = []

    def work() -> None:
        seen.append((folder / RESULT_FILE).exists())
        Path(os.environ[RESULT_VARIABLE]).write_text(DONE.to_text())

    calls = launch(work)
    assert run_on_devices(SPEC, folder, (), 4, ["tools/train.py", "--part"]) == DONE
    assert seen == [False]
    assert not (folder / RESULT_FILE).exists()
    ((config, _, arguments),) = calls
    assert (config.min_nodes, config.max_nodes, config.nproc_per_node, config.max_restarts) == (1, 1, 4, 0)
    assert arguments[-2:] == ("tools/train.py", "--part")
    assert str(os.getpid()) in arguments


@pytest.mark.parametrize(("given", "devices", "threads"), [("8", 3, "2"), ("1", 4, "1"), ("", 2, "3"), ("all", 2, "3")])
def test_processes_share_the_threads_of_the_cell_or_the_cores(
    given: str, devices: int, threads: str, tmp_path: Path, launch: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rounded down, and one at the least; the machine has seven cores."""
    monkeypatch.setenv(THREADS[0], given)
    monkeypatch.setattr(device_processes, "available_cores", lambda: 7)
    launch(lambda: Path(os.environ[RESULT_VARIABLE]).write_text(DONE.to_text()))
    run_on_devices(SPEC, tmp_path, (), devices, [])
    assert {os.environ[name] for name in THREADS} == {threads}


def failing(rank: int, exitcode: int, message: str | None, folder: Path) -> Callable[[], None]:
    """A start whose process of this rank ended with an exit code, or with an error of its own."""
    file = folder / "error.json"
    if message is not None:
        file.write_text(json.dumps({"message": {"message": message, "extraInfo": {"timestamp": "1"}}}))

    def work() -> None:
        raise ChildFailedError("train.py", {rank: ProcessFailure(rank, 5, exitcode, str(file))})

    return work


@pytest.mark.parametrize(
    ("exitcode", "message", "error"),
    [
        (1, "CellPartError: frame 3: damaged", "frame 3: damaged"),
        (1, "KeyError: 'depth'", "device 2: KeyError: 'depth'"),
        (-9, None, "device 2: killed by SIGKILL, perhaps for lack of memory"),
        (-15, None, "device 2: killed by SIGTERM"),
    ],
)
def test_the_first_error_of_any_process_is_the_error_of_the_cell(
    exitcode: int, message: str | None, error: str, tmp_path: Path, launch: Launch
) -> None:
    launch(failing(2, exitcode, message, tmp_path))
    result = run_on_devices(SPEC, tmp_path, (), 4, [])
    assert (result.status, result.error) == ("failed", error)
    assert "command" in result.provenance


def test_a_refusal_and_a_signal_are_no_results(tmp_path: Path, launch: Launch) -> None:
    launch(failing(0, 1, "RefusedError: the training began on 2 devices", tmp_path))
    with pytest.raises(RefusedError, match=r"^the training began on 2 devices$"):
        run_on_devices(SPEC, tmp_path, (), 4, [])

    def stop() -> None:
        raise SignalException("stopped", signal.SIGTERM)

    launch(stop)
    with pytest.raises(SystemExit) as stopped:
        run_on_devices(SPEC, tmp_path, (), 4, [])
    assert stopped.value.code == 128 + 15


def test_the_first_process_alone_writes_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_processes, "run_cell", lambda *arguments: DONE)
    path = tmp_path / "result.json"
    for index, written in ((1, False), (0, True)):
        monkeypatch.setattr(device_processes, "devices_here", lambda index=index: Devices(2, index))
        monkeypatch.setenv(RESULT_VARIABLE, str(path))
        assert run_part(SPEC, tmp_path, (), ()) == DONE
        assert path.exists() == written
    assert RunResult.from_text(path.read_text()) == DONE


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OtherDevicesError("began on 2 devices"), RefusedError, "began on 2 devices"),
        (ValueError("frame 3:\ndamaged"), CellPartError, "frame 3: damaged"),
        (RuntimeError("no kernel"), CellPartError, "RuntimeError: no kernel"),
    ],
)
def test_an_error_of_a_process_is_passed_on_in_one_line(
    error: Exception, kind: type[Exception], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> RunResult:
        raise error

    monkeypatch.setattr(device_processes, "run_cell", fail)
    with pytest.raises(kind, match=f"^{message}$"):
        run_part(SPEC, tmp_path, (), ())
