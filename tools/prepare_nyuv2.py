"""Prepare a copy of NYU-v2 for training: check it, compute missing labels, and write one layout to disk.

    python tools/prepare_nyuv2.py --from-mat nyu_depth_v2_labeled.mat --splits splits.mat
    python tools/prepare_nyuv2.py --from-release NYUD_MT.tgz

A release is a downloaded folder or archive (tar, tar.gz, zip, ...).
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

RELEASES = ("astmt", "mtl_pytorch", "atrc")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from-mat", type=Path, metavar="FILE", help="the official nyu_depth_v2_labeled.mat")
    source.add_argument(
        "--from-release",
        type=Path,
        metavar="PATH",
        help="NYUD_MT of ASTMT or of Multi-Task-Learning-PyTorch, or NYUDv2 of ATRC and InvPT",
    )
    source.add_argument("--from-mtan", type=Path, metavar="PATH", help="MTAN's 288x384 arrays: train/ and val/")
    source.add_argument(
        "--from-folder", type=Path, metavar="DIR", help="folder with INDEX.csv, classes.csv, rgb/, depth8/ and label40/"
    )
    mat = parser.add_argument_group("with --from-mat")
    mat.add_argument("--splits", type=Path, metavar="FILE", help="default: splits.mat next to the .mat file")
    mat.add_argument(
        "--class-mapping", type=Path, metavar="FILE", help="classMapping40.mat (default: a built-in table)"
    )
    mat.add_argument("--full-size", action="store_true", help="keep 480x640 with the white border, not 425x560")
    release = parser.add_argument_group("with --from-release")
    release.add_argument("--release", choices=RELEASES, help="name of the release (default: recognised by its files)")
    add_preparation_options(parser, "nyuv2")
    options = parser.parse_args(arguments)
    if options.from_mat is None and (options.splits or options.class_mapping or options.full_size):
        parser.error("--splits, --class-mapping and --full-size go with --from-mat")
    if options.from_release is None and options.release:
        parser.error("--release goes with --from-release")
    return options


def open_source(options: argparse.Namespace, out: Path, stack: ExitStack) -> Source:
    """Open the source of the options; unpacked archives are removed when `stack` is closed."""
    from datasets.preparation.archives import unpacked

    if options.from_mat is not None:
        from datasets.nyuv2.sources.official import open_official

        splits = options.splits or options.from_mat.with_name("splits.mat")
        return open_official(options.from_mat, splits, options.class_mapping, full_size=options.full_size)
    if options.from_release is not None:
        from datasets.nyuv2.sources.releases import open_release

        return open_release(stack.enter_context(unpacked(options.from_release, out)), options.release)
    if options.from_mtan is not None:
        from datasets.nyuv2.sources.mtan import open_mtan

        return open_mtan(stack.enter_context(unpacked(options.from_mtan, out)))
    from datasets.nyuv2.sources.folder import open_folder

    return open_folder(options.from_folder)


def main(arguments: list[str] | None = None) -> int:
    """Run; exit codes as in `tools.preparation_command.run_preparation`."""
    options = parse_arguments(arguments)
    return run_preparation("prepare_nyuv2", options, lambda out, stack: open_source(options, out, stack))


if __name__ == "__main__":
    sys.exit(main())
