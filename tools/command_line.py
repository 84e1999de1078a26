"""Shared code of the command-line tools: parser, option types, errors, and paths for messages."""

from __future__ import annotations

import argparse
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmark.grid.executors.local import DEVICES_VARIABLE, LOG_VARIABLE
from benchmark.records.escaping import escape_terminal

if TYPE_CHECKING:
    from benchmark.inference.model import TrainedModel

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


def image_size(text: str) -> tuple[int, int]:
    """(H, W) from "480x640"."""
    height, _, width = text.partition("x")
    try:
        return positive(height), positive(width)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 480x640, found {text!r}") from None


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select a trained model; `load_model_of` reads them."""
    parser.add_argument(
        "--run",
        required=True,
        metavar="RUN",
        help="result file RUN_ID.json, folder of a model, model.safetensors, or hf://owner/name",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights of a result file (default: the cell's)")
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: DIR/work for DIR/runs/...)")
    parser.add_argument("--recipe", metavar="FILE", help="your own recipe, if the result names it; it is run as code")
    parser.add_argument("--device", default="cpu", help="device of torch, such as cuda (default: cpu)")
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="your own Python file with the method or backbone of the model",
    )


def load_model_of(options: argparse.Namespace) -> TrainedModel:
    """The trained model that the options of `add_model_options` select.

    Raises:
        OSError, ValueError, KeyError, ImportError, RuntimeError: if it cannot be loaded, in one line.
    """
    from benchmark.inference.loading import load

    return load(
        options.run,
        weights=options.weights,
        work=options.work,
        recipe=options.recipe,
        imports=options.imports,
        device=options.device,
    )


def add_cell_options(parser: argparse.ArgumentParser) -> None:
    """Add --devices and --log. Their defaults are environment variables, which a launcher sets for its cells."""
    parser.add_argument(
        "--devices",
        type=positive,
        default=os.environ.get(DEVICES_VARIABLE, "1"),
        metavar="N",
        help="GPUs, or processes on a CPU, that share each batch of a cell (default: 1)",
    )
    parser.add_argument(
        "--log",
        default=os.environ.get(LOG_VARIABLE, ""),
        metavar="A,B",
        help="also follow trainings in tensorboard, wandb or mlflow: losses, rates, gradient ratios, pictures",
    )


def pass_cell_options(options: argparse.Namespace) -> None:
    """Set the environment variables of --devices and --log for the cells that this process starts."""
    os.environ.update({DEVICES_VARIABLE: str(options.devices), LOG_VARIABLE: options.log})


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
