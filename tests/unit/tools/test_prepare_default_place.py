"""Default of --out: every preparation tool writes below the folder of the data."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tools import prepare_clips, prepare_nyuv2, prepare_pascal_context

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = [
    (prepare_clips, "posed_clip", ["--from"]),
    (prepare_nyuv2, "nyuv2", ["--from-release"]),
    (prepare_pascal_context, "pascal_context", []),
]


@pytest.mark.parametrize(("tool", "name", "option"), TOOLS, ids=[name for _, name, _ in TOOLS])
def test_without_out_the_data_set_goes_below_the_data_folder(
    tool: ModuleType,
    name: str,
    option: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MTL_DATA", str(tmp_path))
    (tmp_path / name).mkdir()
    (tmp_path / name / "notes.txt").write_text("mine")
    assert tool.main([*option, str(tmp_path / "source")]) == 2
    assert str(tmp_path / name) in capsys.readouterr().err
    assert (tmp_path / name / "notes.txt").read_text() == "mine"
