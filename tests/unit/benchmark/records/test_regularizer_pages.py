"""Files of pages about a regularizer: what they hold, and one line for each fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.leaderboard.files import read_contents, texts_of
from benchmark.records.regularizer_pages import read_pages
from benchmark.records.validation import RecordError

BOARD = """
title = "A board"
recipe = "smoke"
version = 1
methods = ["mtan"]
"""
PAGE = """
title = "Does it help?"
regularizers = ["aux"]
boards = ["small"]
"""


def results(root: Path, page: str, **files: str) -> Path:
    for name, text in {"boards/small.toml": BOARD, "pages/AUX.toml": page, **files}.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_a_page_is_made_beside_the_leaderboard(tmp_path: Path) -> None:
    root = results(tmp_path, PAGE + 'appendix = "old.md"\n', **{"old.md": "## Earlier\n"})
    texts = texts_of(read_contents(root, root / "reported.json"), root)
    assert list(texts) == ["LEADERBOARD.md", "leaderboard.csv", "comparisons.csv", "AUX.md"]
    assert texts["AUX.md"].startswith("# Does it help?\n")
    assert texts["AUX.md"].endswith("## Earlier\n")


def test_no_pages_without_files(tmp_path: Path) -> None:
    assert read_pages(tmp_path) == []


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (PAGE.replace("small", "smal"), "AUX.toml: boards: no board named 'smal'. Did you mean 'small'? Boards: small"),
        (PAGE.replace('["aux"]', "[]"), "AUX.toml: regularizers: Tuple should have at least 1 item"),
        (PAGE.replace('["small"]', "[]"), "AUX.toml: boards: Tuple should have at least 1 item"),
        (PAGE + "titel = 1\n", "AUX.toml: unknown key titel. Did you mean 'title'?"),
        ("title = ", "AUX.toml: not readable as TOML"),
    ],
)
def test_a_wrong_entry_is_told_in_one_line(tmp_path: Path, page: str, says: str) -> None:
    with pytest.raises(RecordError) as fault:
        read_pages(results(tmp_path, page))
    assert says in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("name", ["LEADERBOARD", "Leaderboard", "README"])
def test_a_page_cannot_replace_another_text(tmp_path: Path, name: str) -> None:
    root = results(tmp_path, PAGE, **{f"pages/{name}.toml": PAGE})
    with pytest.raises(RecordError, match=f"{name}.toml: another text of the results has this name"):
        read_pages(root)


@pytest.mark.parametrize(
    ("appendix", "says"),
    [("../secret.md", "is outside the folder of results"), ("missing.md", "missing.md is not readable")],
)
def test_an_appendix_is_a_readable_file_of_the_results(tmp_path: Path, appendix: str, says: str) -> None:
    (tmp_path / "secret.md").write_text("secret")
    (tmp_path / "results").mkdir()
    root = results(tmp_path / "results", PAGE + f'appendix = "{appendix}"\n')
    with pytest.raises(RecordError, match=says):
        read_contents(root, root / "reported.json")
