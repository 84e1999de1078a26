"""Benchmark of the launcher: its table, and that it runs the real loop and store."""

from __future__ import annotations

import re

import pytest

from benchmark.records.store import ResultStore
from tools import measure_grid


def test_all_cells_are_planned_run_and_published(tmp_path):
    store = ResultStore(tmp_path / "results")
    grid = measure_grid.planned(5)
    measure_grid.run_in_process(grid, store)
    assert sorted(path.name for path in store.root.glob("runs/smoke/*.json")) == sorted(
        f"{spec.run_id}.json" for spec in grid
    )
    assert {store.read(spec).metrics["semseg"]["mIoU"]["value"] for spec in grid} == {0.5}


def test_the_table_has_seconds_and_cells_per_second(capsys):
    assert measure_grid.main(["--cells", "4"]) == 0
    rows = dict(re.findall(r"^\| ([a-z ]+) \| \d+\.\d\d \| (\d+) \|$", capsys.readouterr().out, re.MULTILINE))
    assert list(rows) == ["plan", "run in process", "status"]
    assert all(int(rate) > 0 for rate in rows.values())


def test_a_wrong_number_of_cells_is_refused(capsys):
    with pytest.raises(SystemExit) as ended:
        measure_grid.main(["--cells", "0"])
    assert ended.value.code == 2
    assert "--cells" in capsys.readouterr().err
