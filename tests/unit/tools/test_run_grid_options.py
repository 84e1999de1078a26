"""tools/run_grid.py: grid files, sweeps, and options that show or choose cells."""

from __future__ import annotations

import pytest


def test_a_grid_file_runs_its_cells(call, fakes, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'recipe = "smoke"\nmethods = ["quick"]\ntasks = ["semseg"]\nseeds = [1]\n'
        'sweep = { "train_cfg.max_iters" = [2, 3] }\n'
    )
    assert call(*fakes, "--grid", str(file))[0] == 0
    code, out, _ = call(*fakes, "--grid", str(file), "--status")
    assert "2 cells: 2 done, 0 missing" in out
    code, _, err = call("--grid", str(tmp_path / "none.toml"), "--status")
    assert code == 2
    assert err.count("\n") == 1


def test_a_setting_with_several_values_makes_a_cell_for_each(call):
    arguments = ["--methods", "hard_sharing", "--regularizers", "none,aux_heads"]
    code, out, _ = call(*arguments, "--set", "regularizer.weight=0.1,0.3", "--dry-run")
    assert code == 0
    assert out.splitlines()[-1] == "3 cells, 3 not done"
    assert len([line for line in out.splitlines() if "+aux_heads" in line]) == 2


def test_failed_cells_alone_are_run_and_a_limit_is_kept(call, fakes, tmp_path):
    arguments = [*fakes, "--methods", "quick,flaky", "--tasks", "semseg"]
    call(*arguments, "--limit", "1")
    assert len(list(tmp_path.glob("out/runs/smoke/*.json"))) == 1
    call(*arguments)
    assert "2 cells: 1 done, 0 missing, 0 stale, 1 failed" in call(*arguments, "--status")[1]
    assert "1 cell: 0 done, 0 missing, 0 stale, 1 failed" in call(*arguments, "--only", "failed", "--status")[1]
    assert call(*arguments, "--only", "failed")[0] == 0
    assert "no cell to run" in call(*arguments, "--only", "failed")[2]


def test_a_failure_is_told_once(call, fakes):
    _, out, err = call(*fakes, "--methods", "crashes", "--tasks", "semseg")
    assert (out + err).count("last words") == 1


def test_why_explains_one_cell(call, fakes):
    arguments = [*fakes, "--methods", "quick,crashes", "--tasks", "semseg"]
    call(*arguments)
    code, out, _ = call(*arguments, "--why", "crashes+none seed 0")
    assert code == 0
    assert "exit code 3" in out
    assert out.splitlines()[-1] == "last words"
    assert "no cell named 'nobody'" in call(*arguments, "--why", "nobody")[2]


def test_a_watched_grid_that_has_ended_is_shown_once(call, fakes):
    arguments = [*fakes, "--methods", "quick", "--tasks", "semseg"]
    call(*arguments)
    assert "1 cell: 1 done" in call(*arguments, "--watch", "0.1")[1]


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_executor_without_its_package_is_answered_with_the_command_that_installs_it(
    call, fakes, monkeypatch, executor, package
):
    from benchmark.grid.executors import choice

    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    code, _, err = call(*fakes, "--methods", "quick", "--tasks", "semseg", "--executor", executor)
    assert code == 2
    assert f"pip install {package}" in err
    assert err.count("\n") == 1
