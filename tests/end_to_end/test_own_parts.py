"""The examples of docs/extending.md and docs/your_data.md, typed as a user would, in a folder outside the checkout."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from registrations import forget
from safetensors.torch import save_file

from benchmark.records.store import ResultStore, Stored
from benchmark.registry import DATASETS, import_files
from benchmark.training.identity import check_data, data_identity, ensure_data
from benchmark.training.recipe_files import load_recipe

CHECKOUT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("extending.md", "your_data.md")


def blocks(page: str) -> list[tuple[str, str]]:
    """Language and text of the fenced blocks of a page."""
    return BLOCK.findall((CHECKOUT / "docs" / page).read_text())


def files() -> Iterator[tuple[str, str]]:
    """Name and text of the files that the pages print; the first line is a comment with the name."""
    for page in PAGES:
        for language, text in blocks(page):
            name = re.match(r"# (\w+\.py)\n", text)
            if language == "python" and name:
                yield name[1], text


def commands() -> list[str]:
    """Commands of the pages that read one of the files, or a backbone of timm."""
    lines = [
        line
        for page in PAGES
        for language, text in blocks(page)
        if not language
        for line in text.replace("\\\n", " ").splitlines()
    ]
    return [line for line in lines if any(name in line for name, _ in files()) or "timm:" in line]


def typed(command: str, folder: Path) -> list[str]:
    """The command with its tool in the checkout and its results in the folder."""
    _, *words = shlex.split(command.replace("$PWD", str(folder)))
    if words[:2] == ["-m", "pytest"]:
        # The selected tests of the quick run.
        return [
            "-m",
            "pytest",
            "-q",
            "-m",
            "not slow",
            "-p",
            "no:cacheprovider",
            *(str(CHECKOUT / words[2]), *words[3:]),
        ]
    out = ["--results", "--out"] if "make_leaderboard" in words[0] else ["--out"]
    return [str(CHECKOUT / words[0]), *words[1:], *(part for name in out for part in (name, str(folder / "results")))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all files of the pages, local weights, and the data of the data set class."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in files():
        (folder / name).write_text(text)
    state = timm.create_model("pvt_v2_b0").state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, folder / "weights.safetensors")
    for split in ("train", "test"):
        (folder / "frames" / split).mkdir(parents=True)
        for number in range(2):
            item = {"image": torch.randn(3, 64, 96), "depth": torch.full((1, 64, 96), 2.0), "intrinsics": torch.eye(3)}
            torch.save(item, folder / "frames" / split / f"{number}.pt")
    return folder


def test_the_pages_have_an_example_of_every_kind() -> None:
    assert {name for name, _ in files()} == {
        "my_loss.py",
        "my_metric.py",
        "gradient_agreement.py",
        "my_backbone.py",
        "my_recipe.py",
        "my_task.py",
        "disparity_recipe.py",
        "my_data.py",
        "my_data_recipe.py",
    }


def run(command: str, folder: Path, small_rooms: Path) -> subprocess.CompletedProcess[str]:
    """Run a printed command in the folder."""
    environment = {**os.environ, "MTL_DATA": str(small_rooms)}
    words = [sys.executable, *typed(command, folder)]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_every_printed_command_works(folder: Path, small_rooms: Path) -> None:
    """In the order of the pages; a table of a metric needs the results before it, and later cells rewrite it."""
    for command in commands():
        done = run(command, folder, small_rooms)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert "passed" in done.stdout or "-m pytest" not in command, "no contract test was selected"
        if "make_leaderboard" in command:
            assert "within_10cm" in (folder / "results" / "LEADERBOARD.md").read_text(), command
    results: list[Any] = [found for found in ResultStore(folder / "results").results() if isinstance(found, Stored)]
    assert len(results) >= 8
    assert all(found.result.status == "done" for found in results)
    assert any("within_10cm" in found.result.metrics["depth"] for found in results)


def test_the_data_set_class_of_the_page_is_planned_without_further_methods(folder: Path) -> None:
    import_files([str(folder / "my_data.py")])
    try:
        recipe = load_recipe(str(folder / "my_data_recipe.py"), {"root": str(folder / "frames")})
        check_data(recipe)
        ensure_data(recipe)
        assert data_identity(recipe) == {"id": "my_rooms"}
    finally:
        forget(DATASETS, "my_rooms")


@pytest.mark.slow
def test_a_wrong_loss_is_named_with_file_and_line_before_the_training(folder: Path, small_rooms: Path) -> None:
    text = (folder / "my_loss.py").read_text().replace("values.sum()", "values.sums()")
    (folder / "wrong_loss.py").write_text(text.replace("charbonnier", "wrong_loss"))
    command = (
        "python tools/run_grid.py --recipe smoke --methods hard_sharing --import wrong_loss.py "
        "--set tasks.depth.loss=wrong_loss --dry-run"
    )
    done = run(command, folder, small_rooms)
    assert done.returncode == 2
    assert re.search(r"has no attribute 'sums'.*\(wrong_loss\.py, line 12\)$", done.stderr.splitlines()[-1]), (
        done.stderr
    )
