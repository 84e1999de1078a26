"""Shared code of the command-line tools."""

from __future__ import annotations

import io
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tools.command_line import Parser, add_cell_options, pass_cell_options, refuse, shown


def test_any_text_can_be_printed_to_a_stream_of_any_encoding(monkeypatch):
    """A finished grid must not end in a UnicodeEncodeError, for example on the terminal of a batch system."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    Parser("a tool")
    print("Δm ± 1 \udcff", flush=True)
    assert written.getvalue() == rb"\u0394m \xb1 1 \udcff" + b"\n"


def test_an_error_becomes_one_line_without_control_characters(capsys):
    assert refuse("tool.py", ValueError("two\nlines \x1b[31m")) == 2
    assert refuse("tool.py", KeyError("a name")) == 2
    assert capsys.readouterr().err == "tool.py: two lines \\x1b[31m\ntool.py: a name\n"


def test_paths_below_the_current_folder_are_shown_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "a" / "b") == str(Path("a", "b"))
    assert shown(Path("/elsewhere")) == "/elsewhere"


def test_a_launcher_passes_devices_and_logs_to_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set, so that they are restored after the test.
    monkeypatch.setenv("MTL_DEVICES", "1")
    monkeypatch.setenv("MTL_LOG", "")
    launcher = Parser("launcher")
    add_cell_options(launcher)
    assert vars(launcher.parse_args([])) == {"devices": 1, "log": ""}
    pass_cell_options(launcher.parse_args(["--devices", "4", "--log", "wandb"]))
    cell = Parser("cell")
    add_cell_options(cell)
    assert vars(cell.parse_args([])) == {"devices": 4, "log": "wandb"}


@pytest.mark.parametrize(
    ("tool", "option"),
    [
        ("measure_boundaries", "--images"),
        ("measure_boundaries", "--segments"),
        ("measure_loading", "--images"),
        ("measure_loading", "--rounds"),
        ("measure_runner", "--turns"),
        ("measure_runner", "--steps"),
        ("measure_speed", "--runs"),
        ("measure_cost", "--runs"),
        ("measure_grid", "--cells"),
    ],
)
@pytest.mark.parametrize("value", ["0", "-1", "1.5"])
def test_a_number_of_measurements_is_at_least_one(
    tool: str, option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        import_module(f"tools.{tool}").main([option, value])
    assert stopped.value.code == 2
    assert f"argument {option}: expected an integer of 1 or more, found '{value}'" in capsys.readouterr().err
