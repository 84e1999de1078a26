"""Every block of README and docs is run, in a copy of the checkout, or says why it is not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documented_blocks import CHECKOUT, PYTHON, REASONS, SHELL, Block, abridged, blocks_of, file_of, pages

SECONDS = 1200
"""Longest time of one command."""


@pytest.mark.parametrize("page", pages())
def test_a_block_is_code_that_can_run_or_says_what_it_needs(page: str) -> None:
    for block in blocks_of(page):
        if block.mark:
            assert block.mark.startswith(REASONS), f"{page}: found {block.mark!r}, expected one of {REASONS}"
        elif block.language == "json":
            json.loads(block.body)
        elif block.language == "python":
            compile(block.body, page, "exec")
        else:
            assert block.language in SHELL, f"{page}: mark blocks of the kind {block.language!r} as output"
            for line in block.body.replace("\\\n", " ").splitlines():
                assert not line.strip() or PYTHON.match(line), (
                    f"{page}: mark the block of {line!r}, or make it a command"
                )


def test_blocks_become_files_or_commands() -> None:
    body = '# my_loss.py\nfrom benchmark.losses import LOSSES\n\n@LOSSES.register("charbonnier")\n'
    assert file_of(Block("docs/grid.md", "python", body, "")) == "my_loss.py"
    (method,) = (block for block in blocks_of("docs/tutorial.md") if block.language == "python")
    assert file_of(method) == "../task_gates.py"
    assert abridged(["python", "tools/run_grid.py", "--recipe", "nyuv2_lite"])[-1] == "--dry-run"
    assert Block("", "", "a \\\n  b  # c\n\nd\n", "").commands() == [["a", "b"], ["d"]]


@pytest.fixture
def checkout(tmp_path: Path, small_rooms: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the files that git knows, with a commit of its own, and the small rooms as data."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    root = tmp_path / "checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CHECKOUT / name, root / name)
    git = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "copy"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("page", pages())
def test_blocks_of_a_page_run_one_after_another(page: str, checkout: Path) -> None:
    for block in blocks_of(page):
        if not block.mark and block.language in (*SHELL, "python"):
            run_block(block, checkout)


def run_block(block: Block, checkout: Path) -> None:
    """Write the file that a block is, or run it."""
    name = file_of(block) if block.language == "python" else ""
    if name:
        (checkout / name).unlink(missing_ok=True)
        (checkout / name).write_text(block.body)
        return
    commands = [["python", "-c", block.body]] if block.language == "python" else block.commands()
    for command in commands:
        words = [sys.executable, *abridged(command)[1:]]
        run = subprocess.run(
            words, cwd=checkout, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
        output = f"{run.stdout[-1500:]}{run.stderr[-1500:]}"
        assert run.returncode == 0, f"{block.page}: {' '.join(command)}: exit code {run.returncode}\n{output}"
