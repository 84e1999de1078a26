"""Tools as functions, and the grid's tool with cells that compute nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from registrations import forget

from benchmark.grid.executors import local

CHECKOUT = Path(__file__).resolve().parents[3]
TOOL = CHECKOUT / "tools" / "run_grid.py"
METHODS = """
from benchmark.registry import METHODS
from mtl_methods.hard_sharing import HardSharing

for name in ("quick", "crashes", "flaky"):

    @METHODS.register(name, title=name, paper="none", year=2026)
    class Fake(HardSharing):
        pass
"""


class Answer(NamedTuple):
    """Exit code and output of a tool."""

    returncode: Any
    stdout: str
    stderr: str


@pytest.fixture
def answer_of(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`answer_of(main, *arguments, folder=PATH)`: the answer of a tool that is called in a folder.

    The tool runs in this process: starting one costs seconds of imports.
    """

    def call(main: Callable[[list[str]], int], *arguments: object, folder: Path | None = None) -> Answer:
        with monkeypatch.context() as patch:
            if folder is not None:
                patch.chdir(folder)
            capfd.readouterr()
            try:
                code: Any = main([str(argument) for argument in arguments])
            except SystemExit as end:
                code = end.code
        return Answer(code, *capfd.readouterr())

    return call


@pytest.fixture(scope="module")
def run_grid():
    """The tool as a module."""
    spec = importlib.util.spec_from_file_location("tool_run_grid", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def call(run_grid, tmp_path, monkeypatch, answer_of):
    """`call(*arguments)`: exit code, stdout and stderr of the tool, whose cells are the fakes of the grid's tests.

    Unless the arguments say otherwise: the smoke recipe; the fakes, which are tried with values, on a small backbone.
    """
    fake = CHECKOUT / "tests" / "unit" / "benchmark" / "grid" / "fake_cell.py"
    monkeypatch.setattr(run_grid, "prepare_data", lambda requests: None)
    monkeypatch.setattr(local.LocalExecutor.__init__, "__defaults__", (1, (), fake))

    def run(*arguments: str) -> Answer:
        names_cells = {"--recipe", "--board", "--grid"} & set(arguments)
        recipe = [] if names_cells else ["--recipe", "smoke"]
        backbone = ["--backbone", "timm:test_resnet"] if "--import" in arguments and not names_cells else []
        return answer_of(run_grid.main, *recipe, *backbone, "--out", tmp_path / "out", *arguments)

    return run


@pytest.fixture
def fakes(run_grid, tmp_path):
    """Options that register the methods of the fake cell."""
    from benchmark.registry import METHODS as REGISTRY

    file = tmp_path / "fakes.py"
    file.write_text(METHODS)
    yield ["--import", str(file)]
    forget(REGISTRY, "quick", "crashes", "flaky")
