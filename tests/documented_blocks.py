"""Fenced blocks of README and docs: files to write, Python and commands to run, and marks of what is not run."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(
    r"(?:^<!-- not run: (?P<mark>.*?) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)
REASONS = ("needs data", "needs a GPU", "run by CI", "output", "folder")
"""Beginnings of the marks, `<!-- not run: needs data: the prepared NYU-v2 -->` in the line before a block."""
SHELL = ("", "bash")
"""Languages of commands."""
PYTHON = re.compile(r"^(?:\.venv/bin/)?python ")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        page: path of its page in the checkout.
        language: "python", "json"; "" or "bash" for commands.
        body: its text.
        mark: why it is not run; empty if it is run.
    """

    page: str
    language: str
    body: str
    mark: str

    def commands(self) -> list[list[str]]:
        """Words of each command line; a backslash continues a line, a hash begins a comment."""
        lines = self.body.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def pages() -> list[str]:
    """Pages with blocks, as paths in the checkout."""
    files = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
    return [path.relative_to(CHECKOUT).as_posix() for path in files]


def blocks_of(page: str) -> list[Block]:
    """Blocks of a page in their order."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    return [Block(page, found["language"], found["body"], found["mark"] or "") for found in BLOCK.finditer(text)]


def file_of(block: Block) -> str:
    """File that a Python block is, as commands of the page name it; empty for a block that is run."""
    text = (CHECKOUT / block.page).read_text(encoding="utf-8")
    named = re.match(r"# (\w+\.py)\n", block.body)
    registered = re.search(r'\.register\(\s*"(\w+)"', block.body)
    name = named[1] if named else f"{registered[1]}.py" if registered else ""
    used = re.search(rf"--import (\S*\b{re.escape(name)})\b", text) if name else None
    return used[1] if used else name


def abridged(command: list[str]) -> list[str]:
    """A command that checks everything and computes little: grids of other recipes than smoke, and pytest."""
    if "pytest" in command:
        return [*command, "--collect-only", "-q"]
    if "tools/run_grid.py" in command and not {"smoke", "--status"} & set(command):
        return [*command, "--dry-run"]
    return command
