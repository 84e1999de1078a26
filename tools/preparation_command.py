"""Shared code of the prepare_* tools: common options, errors in one line, and a summary of the prepared data set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.records.provenance import data_home
from tools.command_line import WRONG_USE, positive, shown

if TYPE_CHECKING:
    from datasets.layout.layout import DatasetInfo
    from datasets.preparation.preparing import Source

INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def add_preparation_options(parser: argparse.ArgumentParser, folder: str) -> None:
    """Add --out, --workers, --limit and --overwrite.

    Args:
        parser: parser of the tool.
        folder: name of the default folder in the data folder.
    """
    parser.set_defaults(folder=folder)
    parser.add_argument("--out", type=Path, help=f"output folder (default: {folder} in $MTL_DATA, else data/{folder})")
    parser.add_argument("--workers", type=positive, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--limit", type=positive, metavar="N", help="only the first N frames of each split")
    parser.add_argument("--overwrite", action="store_true", help="replace the data set in the output folder")


def run_preparation(tool: str, options: argparse.Namespace, open_source: Callable[[Path, ExitStack], Source]) -> int:
    """Prepare a data set and print a summary.

    Args:
        tool: name of the tool, for messages.
        options: parsed options, with the options of `add_preparation_options`.
        open_source: opens the source, given the output folder and a stack that removes unpacked archives at the end.

    Returns:
        Exit code: 0 if the data set was written, 2 for a wrong input or output folder, 130 after Ctrl-C.
    """
    from benchmark.boundaries.formats.content import DataError
    from datasets.doctor.at_preparation import PreparationExaminer
    from datasets.layout.layout import exclusive
    from datasets.preparation.preparing import check_vacant, prepare, progress

    out = options.out or data_home() / options.folder
    try:
        check_vacant(out, options.overwrite)
        with ExitStack() as stack:
            stack.enter_context(exclusive(out.absolute()))
            source, track = open_source(out, stack), progress(f"preparing {options.folder}")
            examiner = PreparationExaminer()
            info = prepare(source, out, workers=options.workers, limit=options.limit, track=track, examiner=examiner)
    except (DataError, OSError) as error:
        print(f"{tool}: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print(f"{tool}: stopped; nothing was changed", file=sys.stderr)
        return INTERRUPTED
    print(summary(info, out))
    for finding in info.findings:
        print(f"{tool}: {finding}", file=sys.stderr)
    return 0


def summary(info: DatasetInfo, out: Path) -> str:
    """Id, number and size of the frames, sources, validation split and notes, one line each."""
    counts = ", ".join(f"{number} {split}" for split, number in info.counts.items())
    size = "of several sizes" if info.size is None else f"of {info.size[1]}x{info.size[0]} pixels"
    sources = [f"{modality}: {source}" for modality, source in info.sources.items()]
    lines = [f"{shown(out)}: {info.id} ({counts} frames {size})", *sources, f"validation: {info.validation}"]
    return "\n  ".join([*lines, *(f"note: {note}" for note in info.notes)])
