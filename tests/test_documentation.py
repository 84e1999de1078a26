"""README and docs: every command parses, every link leads to a file, and the examples work as they are printed."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch
from registrations import forget

from benchmark.contracts import Method
from benchmark.registry import DATASETS, METHODS, import_file
from benchmark.tasks import NYUV2_TASKS
from benchmark.training.builders import build_split
from datasets.own.manifest import read_manifest
from tools import make_leaderboard

CHECKOUT = Path(__file__).resolve().parents[1]
PAGES = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|\s|`)(?:\.venv/bin/)?python (tools/\w+\.py)([^`\n]*)")
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)")


def commands() -> Iterator[tuple[str, str, list[str]]]:
    """Page, tool and arguments of every printed command; a backslash continues a line, a hash begins a comment."""
    for page in PAGES:
        text = page.read_text().replace("\\\n", " ")
        for tool, rest in COMMAND.findall(text):
            yield page.name, tool, shlex.split(rest, comments=True)


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of a page in a language."""
    return [body for found, body in BLOCK.findall(page.read_text()) if found == language]


@pytest.mark.parametrize(("page", "tool", "arguments"), list(commands()))
def test_a_printed_command_is_understood_by_its_tool(page: str, tool: str, arguments: list[str]) -> None:
    module = import_module(tool.removesuffix(".py").replace("/", "."))
    try:
        module.parse_arguments(arguments)
    except SystemExit as error:
        pytest.fail(f"{page}: {tool} {' '.join(arguments)}: exit code {error.code}")


def test_there_are_commands_to_check() -> None:
    tools = {tool for _, tool, _ in commands()}
    assert {"tools/run_grid.py", "tools/new_method.py", "tools/prepare_nyuv2.py", "tools/make_leaderboard.py"} <= tools


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    broken = [link for link in links if not (page.parent / link).exists()]
    assert not broken, f"{page.name} links to files that do not exist: {broken}"


def test_the_leaderboard_and_the_table_of_the_readme_are_made_from_the_committed_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = ["--readme", str(CHECKOUT / "README.md"), "--picture", str(CHECKOUT / "docs" / "pictures" / "board.svg")]
    code = make_leaderboard.main(["--check", *made])
    assert code == 0, f"run make board\n{capsys.readouterr().err}"


@pytest.mark.parametrize(("page", "name"), [("README.md", "my_method"), ("docs/tutorial.md", "task_gates")])
def test_the_method_of_a_page_trains(tmp_path: Path, page: str, name: str) -> None:
    """Its own name is replaced, so that it does not meet a method of the same name."""
    (example,) = (block for block in blocks(CHECKOUT / page, "python") if "METHODS.register" in block)
    file = tmp_path / "readme_method.py"
    file.write_text(example.replace(f'"{name}"', '"readme_method"'))
    import_file(file)
    try:
        method: Method = METHODS.create("readme_method", NYUV2_TASKS, "resnet18")
        output = method(torch.randn(2, 3, 64, 96))
        assert {name: tuple(value.shape) for name, value in output.predictions.items()} == {
            name: (2, task.channels, 64, 96) for name, task in NYUV2_TASKS.items()
        }
        torch.stack([value.square().mean() for value in output.predictions.values()]).sum().backward()
        assert all(parameter.grad is not None for parameter in method.parameters())
    finally:
        forget(METHODS, "readme_method")


def test_the_manifest_of_the_docs_is_accepted(tmp_path: Path) -> None:
    (example,) = blocks(CHECKOUT / "docs" / "your_data.md", "json")
    assert set(json.loads(example)["tasks"]) == {"semseg", "depth", "normals", "boundary"}
    (tmp_path / "manifest.json").write_text(example)
    for name in ("train", "test"):
        (tmp_path / f"{name}.txt").write_text(f"{name}_0001\n")
    assert set(read_manifest(tmp_path).tasks) == {"semseg", "depth", "normals", "boundary"}


def test_python_of_the_results_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    for example in blocks(CHECKOUT / "docs" / "results.md", "python"):
        exec(compile(example, "docs/results.md", "exec"), {})


def test_the_data_set_class_of_the_docs_is_read(tmp_path: Path) -> None:
    """Two frames of 32x48 with a depth of 2 metres."""
    (example,) = (text for text in blocks(CHECKOUT / "docs" / "your_data.md", "python") if "DATASETS" in text)
    (tmp_path / "my_data.py").write_text(example.replace('"my_rooms"', '"docs_rooms"'))
    import_file(tmp_path / "my_data.py")
    try:
        for split in ("train", "test"):
            (tmp_path / split).mkdir()
            item = {"image": torch.zeros(3, 32, 48), "depth": torch.full((1, 32, 48), 2.0), "intrinsics": torch.eye(3)}
            torch.save(item, tmp_path / split / "0001.pt")
        data = build_split("docs_rooms", str(tmp_path), "train", ("depth",), 0)
        assert data[0]["targets"]["depth"].mean() == 2
    finally:
        forget(DATASETS, "docs_rooms")
