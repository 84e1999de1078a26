"""tools/new_method.py as a command: the stub works, and wrong arguments are refused in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from registrations import forget

from benchmark.registry import METHODS, import_files

CHECKOUT = Path(__file__).resolve().parents[3]
TOOL = CHECKOUT / "tools" / "new_method.py"
QUICK_CHECKS = (
    "is_built_from_tasks_and_backbone_alone",
    "predicts_each_task_at_input_size",
    "features_are_what_feature_specs_say",
    "has_shared_features",
    "every_parameter_gets_a_gradient",
    "its_card_is_complete",
)


def new_method(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the tool."""
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False)


def contract_tests(file: Path, selection: str) -> subprocess.CompletedProcess[str]:
    """Run contract tests with a user's own file, as in the printed next steps."""
    command = [sys.executable, "-m", "pytest", "tests/contract", "-q", "-p", "no:cacheprovider"]
    options = ["-k", selection, "--import", file]
    return subprocess.run(command + options, cwd=CHECKOUT, capture_output=True, text=True, check=False)


@pytest.fixture
def stub(tmp_path: Path) -> Path:
    """A new method, outside the checkout."""
    answer = new_method("brand_new", "--title", "Brand-New", "--year", "2025", "--folder", tmp_path)
    assert answer.returncode == 0, answer.stderr
    return tmp_path / "brand_new.py"


def test_an_unchanged_stub_passes_the_contract(stub: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(CHECKOUT / "tests" / "contract")
        from test_method_contract import CHECKS
    import_files([str(stub)])
    try:
        for name in QUICK_CHECKS:
            CHECKS[name]("brand_new")
    finally:
        forget(METHODS, "brand_new")


@pytest.mark.slow
def test_a_stub_passes_the_whole_contract_on_every_backbone_and_with_every_regularizer(stub: Path) -> None:
    run = contract_tests(stub, "brand_new")
    assert run.returncode == 0, run.stdout


def test_a_stub_is_clean_and_short(stub: Path) -> None:
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", CHECKOUT / "pyproject.toml", stub]
    run = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout
    assert len(stub.read_text().splitlines()) <= 60
    assert 'METHODS.register("brand_new", title="Brand-New", paper="https://' in stub.read_text()
    assert "class BrandNew(Method)" in stub.read_text()


def test_the_output_lists_the_next_steps(tmp_path: Path) -> None:
    answer = new_method("brand_new", "--folder", tmp_path)
    assert f"pytest tests/contract -k brand_new --import {tmp_path / 'brand_new.py'}" in answer.stdout
    assert "run_grid.py --recipe smoke --methods brand_new" in answer.stdout


def test_an_existing_file_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / "brand_new.py").write_text("mine")
    answer = new_method("brand_new", "--folder", tmp_path)
    assert answer.returncode == 2
    assert answer.stderr == f"new_method.py: {tmp_path / 'brand_new.py'} already exists and is not changed\n"
    assert (tmp_path / "brand_new.py").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["BrandNew"], "snake_case"),
        (["brand-new"], "snake_case"),
        (["_private"], "snake_case"),
        (["../escape"], "snake_case"),
        (["class"], "snake_case"),
        (["all"], "snake_case"),
        (["method"], "the class Method"),
        (["hard_sharing"], "the method 'hard_sharing' already exists"),
        (["brand_new", "--title", 'a "quoted" word'], "--title"),
        (["brand_new", "--paper", "two\nlines"], "--paper"),
        (["brand_new", "--year", "soon"], "--year"),
        (["brand_new", "--folder", "no/such/folder"], "no/such/folder"),
    ],
)
def test_a_wrong_name_or_title_is_refused_in_one_line(arguments: list[str], reason: str, tmp_path: Path) -> None:
    folder = [] if "--folder" in arguments else ["--folder", tmp_path]
    answer = new_method(*arguments, *folder)
    assert answer.returncode == 2
    assert answer.stderr.startswith("new_method.py: ")
    assert answer.stderr.count("\n") == 1
    assert reason in answer.stderr
    assert not list(tmp_path.iterdir())
