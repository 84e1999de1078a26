"""Resources that executors reserve for a cell."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.grid.executors import ExecutorError
from benchmark.grid.executors.choice import ExecutorOptions, cores_of_cell, gpus_of_cell
from benchmark.grid.executors.remote import CellProcess, RemoteCell, cell_variables
from benchmark.records.result import RunSpec


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
