"""tools/compare.py as a command."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore
from tools.compare import main


def store_cells(root: Path, miou: float) -> None:
    """Three seeds of one row."""
    store = ResultStore(root)
    for seed in range(3):
        spec = RunSpec("smoke", "mtan", "none", "b", ("semseg",), seed)
        metrics = {"semseg": {"mIoU": {"value": miou + seed, "unit": "%", "higher_is_better": True}}}
        with store.hold(spec) as lease:
            store.publish(RunResult(spec, "done", metrics), lease)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    store_cells(tmp_path / "old", 20.0)
    store_cells(tmp_path / "new", 22.0)
    return tmp_path


@pytest.fixture
def call(answer_of):
    """`call(*arguments, folder=PATH)`: the answer of the tool."""
    return partial(answer_of, main)


def test_two_folders_are_compared_cell_by_cell(folders, call):
    """2 / 20, 2 / 21 and 2 / 22 are 10, 9.524 and 9.091 %: mean 9.54."""
    answer = call("old", "new", folder=folders)
    assert answer.returncode == 0
    assert "mtan (smoke)" in answer.stdout
    assert "+9.54 [" in answer.stdout
    assert "nothing that is recorded" in answer.stdout


def test_a_wrong_name_gets_one_line(folders, call):
    answer = call("mtam", "new", "--results", "old", folder=folders)
    assert answer.returncode == 2
    assert answer.stderr.startswith("compare.py: found 'mtam'")
    assert answer.stderr.count("\n") == 1


def test_a_metric_that_no_result_has_gets_one_line(folders, call):
    assert "semseg mIoU" in call("old", "new", "--columns", "semseg/mIoU", folder=folders).stdout
    answer = call("old", "new", "--columns", "depth/delta1", folder=folders)
    assert answer.returncode == 2
    assert answer.stderr == "compare.py: --columns: found 'depth/delta1', expected some of semseg/mIoU\n"
