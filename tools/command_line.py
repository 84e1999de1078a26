"""Shared code of the command-line tools: parser, option types, errors, and paths for messages."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

from benchmark.records.escaping import escape_terminal

WRONG_USE = 2
"""Exit code of a tool after a request that it cannot fulfil."""


class Parser(argparse.ArgumentParser):
    """Argument parser with errors of one line, which keeps the line breaks of a description.

    It also makes standard output and standard error accept any text, whatever their encoding.

    Args:
        description: docstring of the tool's module.
    """

    def __init__(self, description: str | None) -> None:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """End with the message and the exit code of wrong use."""
        self.exit(WRONG_USE, escape_terminal(f"{self.prog}: {message} (see {self.prog} --help)\n"))


def positive(text: str) -> int:
    """A whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of 1 or more, found {text!r}")
    return int(text)


def check_writable(folder: Path) -> None:
    """Refuse a folder that cannot be created or written. Does not create it.

    Raises:
        OSError: in one line that names the folder.
    """
    place = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise OSError(f"{shown(folder)} cannot be written: {shown(place)} is not a folder that this user may write to")


def refuse(tool: str, error: BaseException) -> int:
    """Print an error as one line on standard error; returns the exit code of wrong use."""
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    print(f"{tool}: {escape_terminal(' '.join(str(text).split()))}", file=sys.stderr)
    return WRONG_USE


def shown(path: Path) -> str:
    """A path for messages: relative if it is below the current folder."""
    absolute, here = os.path.abspath(path), os.getcwd()
    return os.path.relpath(absolute, here) if absolute.startswith(here + os.sep) else str(path)
