"""Start of a cell on several devices of this machine by torchrun's launcher, one process for each.

The processes are children of the process that holds the lease of the cell, and end with it. The first of them writes
the result into a file; the parent publishes it, or the first error of any of them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure, record
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from benchmark.grid.executors.bound import __file__ as BOUND
from benchmark.grid.executors.local import THREADS, signal_name
from benchmark.records.atomic import write_text
from benchmark.records.provenance import available_cores
from benchmark.records.result import FAILED, RunResult, RunSpec, failure
from benchmark.records.validation import shortened
from benchmark.training.cell import one_line, run_cell
from benchmark.training.checkpoints import OtherDevicesError
from benchmark.training.data_parallel import devices_here
from benchmark.training.origin import Origin

RESULT_VARIABLE = "MTL_DEVICES_RESULT"
"""Environment variable with the file that the first process writes its result into."""
RESULT_FILE = "devices_result.json"
SHUTDOWN_SECONDS = 8
"""Time for the processes to end after a signal; shorter than the time that a launcher of grids gives a cell."""


class CellPartError(RuntimeError):
    """A process of a cell failed; the message is one line for the result."""


class RefusedError(RuntimeError):
    """The cell cannot run on these devices; the message is one line, and no result is stored."""


def run_on_devices(
    spec: RunSpec, folder: Path, imports: Sequence[str | Path], devices: int, command: Sequence[str]
) -> RunResult:
    """Run a cell on several devices.

    Args:
        spec: the cell.
        folder: folder of the cell.
        imports: files of the user.
        devices: number of devices.
        command: Python script and arguments of each process, which calls `run_part`.

    Raises:
        RefusedError: if the training began on another number of devices.
        SystemExit: after a signal; all processes have ended.
    """
    folder.mkdir(parents=True, exist_ok=True)
    origin = Origin(spec, time.time(), tuple(imports))
    stored = folder / RESULT_FILE
    stored.unlink(missing_ok=True)
    os.environ.update({RESULT_VARIABLE: str(stored)} | dict.fromkeys(THREADS, str(_threads(devices))))
    arguments = ["-S", BOUND, str(os.getpid()), sys.executable, *command]
    try:
        elastic_launch(_launch_config(spec, devices), sys.executable)(*arguments)
        return RunResult.from_text(stored.read_bytes(), str(stored))
    except ChildFailedError as error:
        return failure(spec, FAILED, _reason(error), origin.provenance())
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    finally:
        stored.unlink(missing_ok=True)


def run_part(spec: RunSpec, folder: Path, imports: Sequence[str | Path], logs: Sequence[str]) -> RunResult:
    """Run the part of a cell that belongs to this process, within `process_group`.

    Raises:
        CellPartError: after any error, in one line.
        RefusedError: if the training began on another number of devices.
    """
    result = cast(RunResult, _recorded(spec, folder, imports, logs))
    if devices_here().writes and os.environ.get(RESULT_VARIABLE):
        write_text(Path(os.environ[RESULT_VARIABLE]), result.to_text())
    return result


@record
def _recorded(spec: RunSpec, folder: Path, imports: Sequence[str | Path], logs: Sequence[str]) -> RunResult:
    """Result of the cell; torchrun's launcher receives an error."""
    try:
        return run_cell(spec, folder, imports, logs)
    except OtherDevicesError as error:
        raise RefusedError(str(error)) from None
    except Exception as error:
        raise CellPartError(one_line(error)) from error


def _launch_config(spec: RunSpec, devices: int) -> LaunchConfig:
    return LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=devices,
        run_id=f"{spec.run_id}-{os.getpid()}",
        # Port 0: every cell gets a free port.
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
        shutdown_timeout=SHUTDOWN_SECONDS,
    )


def _threads(devices: int) -> int:
    """Threads of each process: its share of the threads of the cell."""
    given = os.environ.get(THREADS[0], "")
    return max(1, (int(given) if given.isdecimal() else available_cores()) // devices)


def _reason(error: ChildFailedError) -> str:
    """The first error of any process, in one line.

    Raises:
        RefusedError: if this is the first error.
    """
    rank, first = error.get_first_failure()
    text = _message(first)
    kind, colon, message = text.partition(": ")
    if colon and kind == RefusedError.__name__:
        raise RefusedError(message)
    return message if colon and kind == CellPartError.__name__ else f"device {rank}: {text}"


def _message(process: ProcessFailure) -> str:
    if process.exitcode < 0:
        name = signal_name(-process.exitcode)
        return f"killed by {name}" + (", perhaps for lack of memory" if name == "SIGKILL" else "")
    text = process.message if isinstance(process.message, str) else process.message["message"]
    return shortened(text, 500)
