"""tools/submit.py in a small git checkout: report, conflicts, and the branch."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore
from tools import submit

MARKS = "<!-- leaderboard: begin, made by tools/make_leaderboard.py --readme -->\n<!-- leaderboard: end -->\n"
MAKE = "import sys, pathlib; pathlib.Path(sys.argv[2]).write_text('renewed')\n"


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch, small_rooms):
    """A checkout with one stored result and a stand-in for make_leaderboard.py."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    (root / "tools" / "make_leaderboard.py").write_text(MAKE)
    (root / "README.md").write_text(MARKS)
    write(root / "results", 0, 20.0)
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "n")
    git(root, "config", "user.email", "e@x")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    monkeypatch.setattr(submit, "CHECKOUT", root)
    return root


def write(results: Path, seed: int, miou: float) -> Path:
    """Store a cell of today's code."""
    from benchmark.training.dependencies import identify

    spec = identify(RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), seed))
    metrics = {"semseg": {"mIoU": {"value": miou, "unit": "%", "higher_is_better": True}}}
    origin = {"commit": "0" * 40, "dirty": False, "data": {"id": "d", "fingerprint": "f"}}
    path = ResultStore(results).path(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(RunResult(spec, "done", metrics, {}, origin).to_text())
    return path


def test_new_results_become_a_branch_and_the_work_tree_stays(checkout, capsys):
    path = write(checkout / "results", 1, 22.0)
    path.with_suffix(".details.jsonl.gz").write_bytes(b"curves")
    assert submit.main([str(checkout / "results"), "--branch", "results/mine"]) == 0
    out = capsys.readouterr().out
    assert "can be added\n\n1 new, 1 stored already, 0 in conflict." in out
    assert "| hard\\_sharing | 0 → 0 1 | 20.00 → 21.00 ± 1.41 |" in out.replace("hard_sharing", "hard\\_sharing")
    assert "git push YOUR_FORK results/mine" in out
    changed = git(checkout, "diff", "--name-only", "main", "results/mine").splitlines()
    assert sorted(changed) == sorted(
        ["README.md", *(str(file.relative_to(checkout)) for file in (path, path.with_suffix(".details.jsonl.gz")))]
    )
    assert git(checkout, "log", "-1", "--format=%B", "results/mine") == ("Add 1 result\n\nsmoke: hard_sharing, seed 1")
    assert git(checkout, "branch", "--show-current") == "main"
    assert git(checkout, "worktree", "list").count("\n") == 0


def test_a_conflict_is_shown_and_nothing_is_written(checkout, capsys, tmp_path):
    write(checkout / "results", 0, 21.0)
    assert submit.main([str(checkout / "results"), "--summary", str(tmp_path / "report.md")]) == 1
    out = capsys.readouterr().out
    assert "cannot be added" in out
    assert all(text in out for text in ("### Conflicts", "| semseg/mIoU | 20.0 ", "| 21.0 ", "+1"))
    assert (tmp_path / "report.md").read_text() == out
    assert git(checkout, "branch", "--list") == "* main"


def test_a_result_of_other_code_is_refused(checkout, capsys):
    path = write(checkout / "results", 1, 22.0)
    text = json.loads(path.read_text())
    text["spec"]["ingredients"]["versions"]["method"] = 7
    path.unlink()
    result = RunResult.from_json(text)
    ResultStore(checkout / "results").path(result.spec).write_text(result.to_text())
    assert submit.main([str(checkout / "results"), "--check"]) == 1
    assert "not what this checkout would train: method hard_sharing version 7 -&gt; 1" in capsys.readouterr().out


def test_a_result_of_a_method_that_is_not_in_the_checkout_is_refused(checkout, capsys):
    path = write(checkout / "results", 1, 22.0)
    text = json.loads(path.read_text())
    text["spec"]["method"] = "no_such_method"
    path.unlink()
    result = RunResult.from_json(text)
    ResultStore(checkout / "results").path(result.spec).write_text(result.to_text())
    assert submit.main([str(checkout / "results"), "--check"]) == 1
    message = "no method named 'no_such_method'. Add its file to this checkout and train from there."
    assert message in capsys.readouterr().out


def test_a_pull_request_that_removes_results_says_so(checkout, capsys, tmp_path):
    write(tmp_path / "offer", 1, 22.0)
    folders = [str(tmp_path / "offer"), "--results", str(checkout / "results"), "--check"]
    assert submit.main([*folders, "--complete"]) == 0
    assert "stored, but no longer in the folder" in capsys.readouterr().out


def test_wrong_requests_get_one_line(checkout, capsys, tmp_path):
    assert submit.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("submit.py: no folder ")
    write(checkout / "results", 1, 22.0)
    (checkout / "tools" / "make_leaderboard.py").write_text("changed")
    assert submit.main([str(checkout / "results")]) == 2
    assert "commit your changes of the code first" in capsys.readouterr().err
    git(checkout, "checkout", "-q", ".")
    assert submit.main([str(checkout / "results"), "--branch", "two..dots"]) == 2
    assert "is not a valid branch name" in capsys.readouterr().err


@pytest.fixture
def offered(trained_cell, tmp_path, monkeypatch, small_rooms):
    """A copy of a trained cell's folder of results, and an empty folder of stored results."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    folder = tmp_path / "offered"
    shutil.copytree(trained_cell.parents[2], folder)
    (tmp_path / "stored").mkdir()
    return folder, tmp_path / "stored"


def test_weights_that_have_the_stored_scores_are_accepted(offered, capsys):
    folder, stored = offered
    assert submit.main([str(folder), "--check", "--results", str(stored), "--weights", str(folder / "work")]) == 0
    assert "its weights were scored again, with equal metrics" in capsys.readouterr().out


def test_weights_with_other_scores_than_the_stored_ones_are_refused(offered, capsys):
    folder, stored = offered
    (path,) = folder.glob("runs/smoke/*.json")
    content = json.loads(path.read_text())
    honest = content["metrics"]["depth"]["rmse@pixel"]["value"]
    content["metrics"]["depth"]["rmse@pixel"]["value"] = honest / 2
    path.write_text(json.dumps(content))
    assert submit.main([str(folder), "--check", "--results", str(stored), "--weights", str(folder / "work")]) == 1
    out = capsys.readouterr().out
    assert f"depth/rmse@pixel: stored {honest / 2!r}, the weights score {honest!r}" in out
    assert "cannot be added" in out


def test_missing_weights_are_noted(offered, capsys, tmp_path):
    folder, stored = offered
    assert submit.main([str(folder), "--check", "--results", str(stored), "--weights", str(tmp_path / "nowhere")]) == 0
    assert "not scored again, no weights at" in capsys.readouterr().out
