"""Stub files of new methods and regularizers: names, texts and writing."""

from __future__ import annotations

import argparse
import keyword
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from tools.command_line import WRONG_USE, Parser, shown

SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
QUOTABLE = re.compile(r'[^"\\\n\r]+')


@dataclass(frozen=True)
class Stub:
    """Kind of a stub file.

    Args:
        tool: name of the tool, for messages.
        kind: noun in messages, "method".
        example: a good name.
        folder: default folder of the file, where no other entry of the name may exist.
        template: text with $name, $title, $paper, $year and $class_name.
        imported: names that the text imports, so that the class cannot have them.
        next_steps: (path, option --import or nothing) -> the printed next steps.
    """

    tool: str
    kind: str
    example: str
    folder: Path
    template: Template
    imported: tuple[str, ...]
    next_steps: Callable[[Path, str], str]


def parse_stub_arguments(stub: Stub, description: str | None, arguments: list[str] | None) -> argparse.Namespace:
    """Command line of a tool that writes a stub."""
    parser = Parser(description)
    parser.add_argument("name", metavar="NAME", help="name on the command line and of the file, in snake_case")
    parser.add_argument("--title", help="name in tables, as in the paper (default: NAME in CamelCase)")
    parser.add_argument(
        "--paper",
        default="https://arxiv.org/abs/...",
        metavar="LINK",
        help="link to the paper (default: a placeholder)",
    )
    parser.add_argument(
        "--year", type=int, default=time.localtime().tm_year, help="year of publication (default: %(default)s)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=stub.folder,
        metavar="DIR",
        help=f"folder of the file (default: {stub.folder.name})",
    )
    return parser.parse_args(arguments)


def check_name(stub: Stub, name: str) -> None:
    """Refuse a name that an entry cannot have.

    Raises:
        ValueError: with the reason.
    """
    if not SNAKE_CASE.fullmatch(name) or keyword.iskeyword(name) or name == "all":
        raise ValueError(f"{name!r} cannot name a {stub.kind}; choose a snake_case name such as {stub.example!r}")
    if camel_case(name) in stub.imported:
        raise ValueError(f"{name!r} would name the class {camel_case(name)}, which is taken; choose another name")
    for taken in (stub.folder / f"{name}.py", stub.folder / name):
        if taken.exists():
            raise ValueError(f"the {stub.kind} {name!r} already exists, {shown(taken)}; choose another name")


def check_text(option: str, text: str) -> None:
    """Refuse a text that does not fit between quotation marks.

    Raises:
        ValueError: with the option and the text.
    """
    if not QUOTABLE.fullmatch(text):
        raise ValueError(f"{option} must be one line without quotation marks and backslashes, found {text!r}")


def camel_case(name: str) -> str:
    """my_method -> MyMethod."""
    return "".join(word.capitalize() for word in name.split("_"))


def write_stub(stub: Stub, options: argparse.Namespace) -> int:
    """Check the request, write the stub and print the next steps. Exit code 0, or 2 for wrong arguments."""
    title = camel_case(options.name) if options.title is None else options.title
    path = options.folder / f"{options.name}.py"
    try:
        check_name(stub, options.name)
        check_text("--title", title)
        check_text("--paper", options.paper)
        if not options.folder.is_dir():
            raise FileNotFoundError(f"no folder {options.folder}; --folder names one that exists")
        text = stub.template.substitute(
            name=options.name, title=title, paper=options.paper, year=options.year, class_name=camel_case(options.name)
        )
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        print(f"{stub.tool}: {error.filename} already exists and is not changed", file=sys.stderr)
        return WRONG_USE
    except (ValueError, OSError) as error:
        print(f"{stub.tool}: {error}", file=sys.stderr)
        return WRONG_USE
    outside = "" if path.resolve().parent == stub.folder else f" --import {shown(path)}"
    print(f"wrote {shown(path)}; it trains unchanged. Next:\n{stub.next_steps(path, outside)}")
    return 0
