"""Lists of the names that a grid knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cards.listing import KINDS, listing
from benchmark.registry import METHODS
from tools.run_grid import main


def lines_of(kind: str, results: Path = Path("results")) -> dict[str, str]:
    """Text by name."""
    return {name: text.strip() for name, _, text in (line.partition(" ") for line in listing(kind, results))}


def test_texts_of_each_kind() -> None:
    assert lines_of("metrics")["delta1"] == "[%, higher is better] 100 * share of pixels with r < 1.25"
    assert lines_of("metrics")["rmse@pixel"] == "[m, lower is better] sqrt(sum (p - g)^2 / n)"
    assert lines_of("tasks")["depth"] == "[m] ranked by rmse@pixel, trained with l1"
    assert lines_of("losses")["l1"] == "Mean absolute difference."
    assert lines_of("recipes")["nyuv2_lite"] == "NYU-v2 on a CPU."
    assert lines_of("regularizers")["none"].startswith("training with the task losses alone")
    assert lines_of("backbones")["timm:NAME"].startswith("Any model of timm")


def test_all_methods_are_listed_in_columns() -> None:
    lines = listing("methods", Path("results"))
    assert [line.split()[0] for line in lines] == METHODS.names()
    width = max(map(len, METHODS.names())) + 2
    assert all(line[width - 2 : width] == "  " and line[width] != " " for line in lines)


def test_a_board_file_that_is_wrong_has_its_error_as_text(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "boards" / "mine.toml").write_text("version = [")
    assert "mine.toml" in lines_of("boards", tmp_path)["mine"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_tool_prints_each_list(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", kind]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == listing(kind, Path("results"))
    assert all(len(line.split()) > 1 for line in printed), "a name without text"
