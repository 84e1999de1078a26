"""Prepare PASCAL-Context for training: check it, and write one layout to disk.

    python tools/prepare_pascal_context.py PASCAL_MT.tgz
    python tools/prepare_pascal_context.py PASCALContext.tar.gz

The release of ASTMT (PASCAL_MT) or of ATRC and InvPT (PASCALContext), as a folder or an archive.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser  # noqa: E402
from tools.preparation_command import add_preparation_options, run_preparation  # noqa: E402

if TYPE_CHECKING:
    from datasets.preparation.preparing import Source


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(__doc__)
    parser.add_argument("release", type=Path, metavar="PATH", help="folder or archive (tar, tar.gz, zip, ...)")
    add_preparation_options(parser, "pascal_context")
    return parser.parse_args(arguments)


def open_source(release: Path, out: Path, stack: ExitStack) -> Source:
    """Open the release; an archive is unpacked near `out` and removed when `stack` is closed."""
    from datasets.pascal_context.release import open_release
    from datasets.preparation.archives import unpacked

    return open_release(stack.enter_context(unpacked(release, out)))


def main(arguments: list[str] | None = None) -> int:
    """Run; exit codes as in `tools.preparation_command.run_preparation`."""
    options = parse_arguments(arguments)
    return run_preparation(
        "prepare_pascal_context", options, lambda out, stack: open_source(options.release, out, stack)
    )


if __name__ == "__main__":
    sys.exit(main())
