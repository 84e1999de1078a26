"""tools/evaluate.py: refused requests; scoring itself is tested end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import stored_cell
from benchmark.records.validation import RecordError
from tools import evaluate

SPEC = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("{", "not readable as JSON"),
        ("[]", "found [], expected a mapping"),
        (RunResult(SPEC, "done").to_text(), "no weights of hard_sharing+none-resnet18-s0"),
        (RunResult(SPEC, "done").to_text().replace('"seed": 0', '"seed": "\\u001b[31m"'), "spec.seed: found"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(text, message, small_rooms, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    path = tmp_path / "results" / "runs" / "smoke" / "result.json"
    path.parent.mkdir(parents=True)
    if text is not None:
        path.write_text(text)
    assert evaluate.main([str(path)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert err.strip().isprintable()


def test_a_result_outside_of_a_folder_of_results_needs_the_folder_of_its_weights(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    path.write_text(RunResult(SPEC, "done").to_text())
    # A path like that of a file directly below the root of the file system.
    monkeypatch.setattr(Path, "resolve", lambda self, strict=False: Path("/result.json"))
    with pytest.raises(RecordError, match="name the folder of its weights with --work"):
        stored_cell(path)
    assert stored_cell(path, tmp_path / "work")[1] == tmp_path / "work" / "smoke" / SPEC.run_id


def test_a_result_is_looked_up_in_the_folder_runs_of_its_results(tmp_path):
    for folder in ("runs", "copies"):
        path = tmp_path / folder / "smoke" / "result.json"
        path.parent.mkdir(parents=True)
        path.write_text(RunResult(SPEC, "done").to_text())
    assert stored_cell(tmp_path / "runs" / "smoke" / "result.json")[1] == tmp_path / "work" / "smoke" / SPEC.run_id
    with pytest.raises(
        RecordError, match="does not lie in DIR/runs/RECIPE; name the folder of its weights with --work"
    ):
        stored_cell(tmp_path / "copies" / "smoke" / "result.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name either a result file or --imported DIR"),
        (["--imported", "folder"], "--imported needs --recipe"),
        (["--imported", "folder", "--recipe", "smoke", "--store"], "are for a result file"),
        (["result.json", "--json", "no_such_folder/numbers.json"], "no folder no_such_folder"),
    ],
)
def test_wrong_requests_get_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        evaluate.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
