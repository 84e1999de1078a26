"""tools/reproduce.py: the checks, the verdicts and their exit codes; one training is repeated in full (slow)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmark.records.provenance import hardware, versions
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore, read_result
from tools import reproduce, train


@pytest.fixture
def rooms(small_rooms, monkeypatch):
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    return small_rooms


def result_of(seed: int, miou: float, **provenance: object) -> RunResult:
    """A finished cell of today's code with one metric."""
    from benchmark.training.dependencies import identify

    spec = identify(RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), seed))
    metrics = {"semseg": {"mIoU": {"value": miou, "unit": "%", "higher_is_better": True}}}
    origin = {"versions": versions(), "hardware": hardware(), "data": {"id": "d", "fingerprint": "f"}}
    return RunResult(spec, "done", metrics, {}, {**origin, **provenance})


def store(root: Path, *results: RunResult) -> list[Path]:
    paths = [ResultStore(root).path(result.spec) for result in results]
    for path, result in zip(paths, results, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(result.to_text())
    return paths


@pytest.mark.parametrize(
    ("again", "num_seeds", "code", "verdict"),
    [
        (20.0, 1, 0, "verdict: equal (all 1 metrics to 1e-9)"),
        (20.5, 4, 0, "verdict: within the spread of its seeds (95 % prediction intervals from the row's 3 other seeds"),
        (60.0, 4, 1, "verdict: outside (a ranking metric lies outside its 95 % prediction interval"),
        (20.5, 3, 1, "verdict: undecided (the numbers differ, and the row's 2 other seeds are too few"),
    ],
)
def test_the_verdict_and_its_exit_code(rooms, tmp_path, monkeypatch, capsys, again, num_seeds, code, verdict):
    paths = store(tmp_path, *(result_of(seed, 20.0 + seed) for seed in range(num_seeds)))
    monkeypatch.setattr(reproduce, "run_again", lambda *arguments: result_of(0, again))
    assert reproduce.main([str(paths[0])]) == code
    out = capsys.readouterr().out
    assert verdict in out
    assert "environment: equal versions and machine\n" in out


def test_what_changed_since_is_said_before_and_with_the_verdict(rooms, tmp_path, monkeypatch, capsys):
    stored = result_of(0, 20.0, versions={**versions(), "torch": "1.0"})
    old = replace(stored.spec.ingredients, versions={**stored.spec.ingredients.versions, "method": 7})
    (path,) = store(tmp_path, replace(stored, spec=replace(stored.spec, ingredients=old)))
    assert reproduce.main([str(path), "--check"]) == 1
    out = capsys.readouterr().out
    assert "  torch 1.0 -> " in out
    assert "  method hard_sharing version 7 -> 1\n" in out
    assert "  the result names no commit\n" in out
    monkeypatch.setattr(reproduce, "run_again", lambda *arguments: result_of(0, 30.0))
    assert reproduce.main([str(path)]) == 1
    assert "; changed since the result: method hard_sharing version 7 -> 1; torch 1.0 -> " in capsys.readouterr().out


def test_changed_files_of_the_cell_are_named(rooms, tmp_path, monkeypatch, capsys):
    """Since the commit, the method changed in code, the heads in a comment alone; the cell does not run PAP."""
    from benchmark.training import reproduction

    names = ["mtl_methods/hard_sharing.py", "benchmark/heads.py", "mtl_methods/pap.py"]
    copies = {
        names[0]: b"x = 1\n",
        names[1]: Path("benchmark/heads.py").read_bytes() + b"# old\n",
        names[2]: b"x = 1\n",
    }
    monkeypatch.setattr(reproduction, "changed_files", lambda since: names)
    monkeypatch.setattr(reproduction, "content_at", lambda since, name: copies[name])
    (path,) = store(tmp_path, result_of(0, 20.0, commit="0" * 40, dirty=False))
    assert reproduce.main([str(path), "--check"]) == 1
    out = capsys.readouterr().out
    assert "code:        differs\n  mtl_methods/hard_sharing.py changed since commit 000000000000\n" in out
    assert out.count("changed since") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not readable as JSON"),
        (RunResult(RunSpec("smoke", "no_such", "none", "resnet18", ("semseg",), 0), "done").to_text(), "no_such"),
        (
            RunResult(RunSpec("own.py", "pap", "none", "resnet18", ("semseg",), 0), "done").to_text(),
            "not a shipped one",
        ),
        (
            RunResult(
                RunSpec("smoke", "pap", "none", "resnet18", ("semseg",), 0), "failed", error="no memory"
            ).to_text(),
            "the cell failed, so it has no numbers: no memory",
        ),
    ],
)
def test_what_cannot_run_again_is_refused_in_one_line(rooms, tmp_path, capsys, text, message):
    path = tmp_path / "result.json"
    path.write_text(text)
    assert reproduce.main([str(path)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_second_run_that_fails_is_told_with_the_last_line_of_its_log(rooms, tmp_path, monkeypatch, capsys):
    """The training ends with code 3."""
    (path,) = store(tmp_path, result_of(0, 20.0, hardware={**hardware(), "threads": 5}))
    started = []

    def end(command, *, env, stdout, **options):
        started.append((command, env["OMP_NUM_THREADS"]))
        stdout.write(b"first\nno room for the network\n")
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(reproduce.subprocess, "run", end)
    assert reproduce.main([str(path), "--keep", str(tmp_path / "again")]) == 1
    err = capsys.readouterr().err
    assert "exit code 3; last line of its log: no room for the network" in err
    ((command, threads),) = started
    assert threads == "5", "the threads of the stored run"
    assert command[-2:] == ["--out", str(tmp_path / "again")]


@pytest.mark.slow
def test_a_cell_that_runs_again_has_equal_numbers(rooms, tmp_path, capfd):
    """The whole path: train, store, train again in a process of its own, compare bit by bit."""
    out = tmp_path / "results"
    request = ["--recipe", "smoke", "--method", "hard_sharing", "--tasks", "semseg,depth", "--out", str(out)]
    assert train.main(request) == 0
    (path,) = out.glob("runs/smoke/*.json")
    assert reproduce.main([str(path), "--keep", str(tmp_path / "again")]) == 0
    assert "verdict: equal" in capfd.readouterr().out
    (second,) = tmp_path.glob("again/runs/smoke/*.json")
    assert read_result(second).metrics == read_result(path).metrics
    text = json.loads(path.read_text())
    text["metrics"]["depth"]["rmse@pixel"]["value"] += 0.1
    path.write_text(json.dumps(text))
    assert reproduce.main([str(path)]) == 1
    assert "verdict: undecided" in capfd.readouterr().out
