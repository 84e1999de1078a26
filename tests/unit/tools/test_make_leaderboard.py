"""tools/make_leaderboard.py as a command."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore
from tools.make_leaderboard import main

METRICS = {"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}


@pytest.fixture
def call(answer_of):
    """`call(*arguments, folder=PATH)`: the answer of the tool."""
    return partial(answer_of, main)


@pytest.fixture
def results(tmp_path) -> Path:
    """Three good results and a file of another schema."""
    store = ResultStore(tmp_path / "results")
    for seed in range(3):
        spec = RunSpec("smoke", "single_task", "none", "b", ("semseg",), seed)
        with store.hold(spec) as lease:
            store.publish(RunResult(spec, "done", METRICS), lease)
    (store.root / "runs" / "smoke" / "other.json").write_text('{"schema_version": 7}')
    return store.root


def test_it_writes_all_files_and_names_what_it_leaves_out(results, call):
    answer = call("--results", "results", folder=results.parent)
    assert answer.returncode == 0
    files = ("LEADERBOARD.md", "leaderboard.csv", "comparisons.csv", "board.html")
    assert answer.stdout == f"{', '.join(f'results/{name}' for name in files)}: 3 results, 1 left out\n"
    assert answer.stderr.startswith("left out: results/runs/smoke/other.json: schema_version: found 7, expected 1")
    assert answer.stderr.count("\n") == 1
    assert "single_task" in (results / "LEADERBOARD.md").read_text()
    assert "single_task" in (results / "leaderboard.csv").read_text()


def test_strict_gives_an_exit_code_for_omitted_files(results, call):
    assert call("--results", str(results), "--strict", folder=results).returncode == 1
    (results / "runs" / "smoke" / "other.json").unlink()
    assert call("--results", str(results), "--strict", folder=results).returncode == 0


def test_the_files_can_go_elsewhere(results, tmp_path, call):
    assert call("--results", str(results), "--out", str(tmp_path / "new"), folder=results).returncode == 0
    text = (tmp_path / "new" / "LEADERBOARD.md").read_text()
    assert "](../results/runs/smoke/single_task" in text


def test_wrong_requests_get_one_line(tmp_path, call):
    (tmp_path / "broken.json").write_text("{")
    for arguments, message in [
        (("--results", "none"), "no folder none"),
        (("--nonsense",), "unrecognized arguments: --nonsense"),
        (("--results", ".", "--reported", "broken.json"), "broken.json: not readable as JSON"),
    ]:
        answer = call(*arguments, folder=tmp_path)
        assert answer.returncode == 2
        assert message in answer.stderr
        assert answer.stderr.count("\n") == 1


def test_check_names_what_is_outdated_and_writes_nothing(results, call):
    assert call("--results", "results", folder=results.parent).returncode == 0
    assert call("--results", "results", "--check", folder=results.parent).returncode == 0
    (results / "leaderboard.csv").write_text("changed")
    answer = call("--results", "results", "--check", folder=results.parent)
    assert answer.returncode == 1
    assert "outdated: results/leaderboard.csv; run python tools/make_leaderboard.py" in answer.stderr
    assert (results / "leaderboard.csv").read_text() == "changed"


def test_the_readme_block_needs_its_marks(results, call):
    (results / "README.md").write_text("no marks")
    answer = call("--results", ".", "--readme", "README.md", folder=results)
    assert answer.returncode == 2
    assert "README.md: no block to rewrite" in answer.stderr


def test_latex_is_printed_and_chosen_metrics_are_known(results, call):
    answer = call("--results", ".", "--latex", "smoke", "--columns", "semseg/mIoU", folder=results)
    assert answer.returncode == 0
    assert "\\toprule" in answer.stdout
    assert not (results / "LEADERBOARD.md").exists()
    for arguments, message in [
        (("--latex", "nothing"), "--latex: found 'nothing', expected a board or recipe with results: smoke"),
        (("--columns", "semseg/none"), "--columns: found 'semseg/none', expected some of semseg/mIoU"),
    ]:
        answer = call("--results", ".", *arguments, folder=results)
        assert answer.returncode == 2
        assert message in answer.stderr


def test_check_compares_with_the_chosen_metrics(results, call):
    chosen = ("--results", "results", "--columns", "semseg/mIoU")
    assert call(*chosen, "--parquet", folder=results.parent).returncode == 0
    assert {path.name for path in results.glob("*.parquet")} == {"leaderboard.parquet", "comparisons.parquet"}
    assert call(*chosen, "--check", folder=results.parent).returncode == 0
