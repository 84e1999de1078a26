"""The command line: exit codes, one line for wrong use, and the JSON file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import doctor


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small data set of rendered rooms."""
    from datasets.synthetic.generate import RoomPlan, generate

    generate(tmp_path / "rooms", RoomPlan(train_rooms=1, test_rooms=1, size=(48, 64)), workers=1)
    return tmp_path / "rooms"


def test_a_sound_data_set_ends_with_0_and_a_damaged_one_with_1(data, tmp_path, capsys):
    assert doctor.main([str(data), "--workers", "1", "--json", str(tmp_path / "report.json")]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("ok: ")
    assert json.loads((tmp_path / "report.json").read_text())["ok"] is True

    victim = min((data / "normals").iterdir())
    victim.write_bytes(victim.read_bytes()[:500])
    assert doctor.main([str(data), "--workers", "1", "--quick", "1000"]) == 1
    out = capsys.readouterr().out
    assert f"problem: {victim}: truncated" in out
    assert out.splitlines()[-1].startswith("not ok: 1 problem")


@pytest.mark.parametrize("options", [["absent"], ["."], [".", "--quick", "0"], ["--quick", "x"], []])
def test_wrong_use_is_one_line_and_2(tmp_path, options, answer_of):
    run = answer_of(doctor.main, *options, folder=tmp_path)
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert "Traceback" not in run.stderr
