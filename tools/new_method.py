#!/usr/bin/env python
"""Write the file of a new method: a working stub that passes the contract tests unchanged.

    python tools/new_method.py my_method --title MyMethod --paper https://arxiv.org/abs/... --year 2026

writes mtl_methods/my_method.py and prints the next steps. With --folder, the file may be outside the checkout; give
it to the other tools and the tests by --import.
"""

from __future__ import annotations

import argparse
import keyword
import re
import sys
import time
from pathlib import Path
from string import Template

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import WRONG_USE, Parser, shown  # noqa: E402

METHODS_FOLDER = CHECKOUT / "mtl_methods"
SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
QUOTABLE = re.compile(r'[^"\\\n\r]+')

STUB = Template('''\
"""$title: one sentence on the idea.

Source: Author et al., "Title", VENUE $year, $paper
Differs from the paper: nothing, or each point with its reason.
Consulted: released code at <link>, commit <hash>, licence <name>; nothing copied.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import task_heads, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_stages


@METHODS.register("$name", title="$title", paper="$paper", year=$year)
class $class_name(Method):
    """Parts that are shared, parts that are per task, and the features that regularizers read.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_stages`.
    """

    def __init__(self, tasks: TaskSet, backbone: str) -> None:
        super().__init__(tasks, backbone)
        self.stages, specs = make_stages(backbone)
        self.feature_specs = (specs[-1],)
        self.heads = task_heads(specs[-1].channels, tasks)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task."""
        features = images
        for stage in self.stages:
            features = stage(features)
        (features,) = self.share(features)
        size = images.shape[-2:]
        predictions = {name: upsample_to(head(features), size) for name, head in self.heads.items()}
        return MultiTaskOutput(predictions, (features,))
''')
IMPORTED_BY_THE_STUB = ("Tensor", "Method", "MultiTaskOutput", "TaskSet")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
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
        "--folder", type=Path, default=METHODS_FOLDER, metavar="DIR", help="folder of the file (default: mtl_methods)"
    )
    return parser.parse_args(arguments)


def check_name(name: str) -> None:
    """Refuse a name that cannot be the name of a method.

    Raises:
        ValueError: with the reason.
    """
    if not SNAKE_CASE.fullmatch(name) or keyword.iskeyword(name) or name == "all":
        raise ValueError(f"{name!r} cannot name a method; choose a snake_case name such as 'pad_net'")
    if camel_case(name) in IMPORTED_BY_THE_STUB:
        raise ValueError(f"{name!r} would name the class {camel_case(name)}, which is taken; choose another name")
    for taken in (METHODS_FOLDER / f"{name}.py", METHODS_FOLDER / name):
        if taken.exists():
            raise ValueError(f"the method {name!r} already exists, {shown(taken)}; choose another name")


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


def write_stub(folder: Path, name: str, title: str, paper: str, year: int) -> Path:
    """Write the stub.

    Raises:
        FileExistsError: if the file exists; it is not changed.
        FileNotFoundError: if the folder is missing.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; --folder names one that exists")
    path = folder / f"{name}.py"
    text = STUB.substitute(name=name, title=title, paper=paper, year=year, class_name=camel_case(name))
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    return path


def next_steps(path: Path) -> str:
    """The next steps, as commands."""
    outside = "" if path.resolve().parent == METHODS_FOLDER else f" --import {shown(path)}"
    return (
        f"wrote {shown(path)}; it trains unchanged. Next:\n"
        "  1. fill in its header, then make it the method\n"
        f"  2. pytest tests/contract -k {path.stem}{outside}\n"
        f"  3. python tools/run_grid.py --recipe smoke --methods {path.stem}{outside}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the file. Exit code 0, or 2 for wrong arguments."""
    options = parse_arguments(arguments)
    title = camel_case(options.name) if options.title is None else options.title
    try:
        check_name(options.name)
        check_text("--title", title)
        check_text("--paper", options.paper)
        path = write_stub(options.folder, options.name, title, options.paper, options.year)
    except FileExistsError as error:
        print(f"new_method.py: {error.filename} already exists and is not changed", file=sys.stderr)
        return WRONG_USE
    except (ValueError, OSError) as error:
        print(f"new_method.py: {error}", file=sys.stderr)
        return WRONG_USE
    print(next_steps(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
