"""Resources that executors reserve for a cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.grid.executors import ExecutorError
from benchmark.grid.executors.choice import ExecutorOptions, cores_of_cell, gpus_of_cell, make_executor
from benchmark.grid.executors.remote import CellProcess, RemoteCell, cell_variables
from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore


@pytest.mark.parametrize(
    ("devices", "asked", "has_gpus", "gpus"),
    [
        (1, None, True, 1),
        (4, None, True, 4),
        (4, None, False, 0),
        (1, 0.5, True, 0.5),
        (2, 2, True, 2),
        (2, 0, True, 0),
    ],
)
def test_a_cell_gets_a_gpu_for_each_device(devices: int, asked: float | None, has_gpus: bool, gpus: float) -> None:
    assert gpus_of_cell(ExecutorOptions(gpus_per_cell=asked, devices=devices), has_gpus) == gpus


def test_fewer_gpus_than_devices_are_refused() -> None:
    with pytest.raises(ExecutorError, match="--devices 4 needs --gpus-per-cell 4, found 2"):
        gpus_of_cell(ExecutorOptions(gpus_per_cell=2, devices=4), True)


def test_a_number_of_gpus_above_one_is_whole() -> None:
    with pytest.raises(ExecutorError, match=r"--gpus-per-cell 1\.5: expected a whole number of GPUs, or a part of one"):
        gpus_of_cell(ExecutorOptions(gpus_per_cell=1.5), True)


@pytest.mark.parametrize(("gpus_per_cell", "workers"), [(0.6, 3), (0.5, 5)])
def test_more_cells_than_the_gpus_take_are_refused(
    store: ResultStore, monkeypatch: pytest.MonkeyPatch, gpus_per_cell: float, workers: int
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    with pytest.raises(ExecutorError, match=f"--workers {workers}: 2 GPUs take {workers - 1} cells"):
        make_executor(ExecutorOptions("local", workers=workers, gpus_per_cell=gpus_per_cell), store)


@pytest.mark.parametrize(("devices", "cores", "expected"), [(1, 1, 1), (4, 1, 4), (2, 8, 8)])
def test_a_cell_gets_a_core_for_each_process(devices: int, cores: int, expected: int) -> None:
    assert cores_of_cell(ExecutorOptions(cpus_per_cell=cores, devices=devices)) == expected


def test_devices_and_logs_travel_to_a_cell_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher's variables are in the environment of the cell's process, and its other variables are not sent."""
    monkeypatch.setenv("MTL_DEVICES", "2")
    monkeypatch.setenv("MTL_LOG", "tensorboard")
    sent = cell_variables()
    assert sent == {"MTL_DEVICES": "2", "MTL_LOG": "tensorboard"}
    for name in sent:
        monkeypatch.delenv(name)
    program = tmp_path / "show.py"
    program.write_text("import os\nprint(os.environ['MTL_DEVICES'], os.environ['MTL_LOG'])\n")
    spec = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
    texts: list[str] = []
    cell = RemoteCell(spec.to_text(), str(tmp_path / "work"), "mark", variables=sent, program=str(program))
    CellProcess(cell, tmp_path / "cell", lambda text, steps: texts.append(text)).run()
    assert "2 tensorboard" in "".join(texts)
