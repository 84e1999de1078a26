"""The table of a study on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.summarize_study import main


def test_a_folder_without_results_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip().count("\n") == 0


def test_an_unreadable_result_is_named_and_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "runs" / "smoke"
    folder.mkdir(parents=True)
    (folder / "broken.json").write_text("{")
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert printed.out == "No setting has a result.\n"
    assert "broken.json" in printed.err
