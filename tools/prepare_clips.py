"""Prepare posed RGB-D clips for training on several views: images, depth and camera poses in one layout on disk.

    python tools/prepare_clips.py --from chess/seq-01 chess/seq-02 --every 5
    python tools/prepare_clips.py --from rgbd_dataset_freiburg1_desk --intrinsics 517.3 516.5 318.6 255.3

Each folder is a clip of 7-Scenes, of TUM RGB-D, or a text model of COLMAP with images/ and depth/ (16-bit PNG in
millimetres), recognised by its files.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser, positive  # noqa: E402
from tools.preparation_command import add_preparation_options, run_preparation  # noqa: E402

if TYPE_CHECKING:
    from datasets.preparation.preparing import Source


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--from", type=Path, nargs="+", required=True, metavar="DIR", dest="folders", help="folders, one clip each"
    )
    parser.add_argument(
        "--intrinsics",
        type=float,
        nargs=4,
        metavar=("FX", "FY", "CX", "CY"),
        help="published camera of all clips, in pixels of the files: the centre of the first "
        "pixel is (0, 0) in TUM RGB-D and (0.5, 0.5) in 7-Scenes (default: the usual camera of the format)",
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="take every Nth frame (default: all)")
    parser.add_argument(
        "--test-share",
        type=share,
        default=0.2,
        metavar="S",
        help="share of each clip, at its end, for the test split (default: %(default)s)",
    )
    add_preparation_options(parser, "posed_clip")
    options = parser.parse_args(arguments)
    if options.intrinsics and not (all(map(math.isfinite, options.intrinsics)) and min(options.intrinsics[:2]) > 0):
        parser.error(f"--intrinsics {' '.join(map(str, options.intrinsics))}: FX and FY must be positive")
    return options


def share(text: str) -> float:
    """A number from 0 to below 1."""
    number = float(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, found {number:g}")
    return number


def open_source(options: argparse.Namespace) -> Source:
    """Open the clips of the options."""
    from datasets.posed_clip.opening import open_clips

    intrinsics = tuple(options.intrinsics) if options.intrinsics else None
    return open_clips(options.folders, intrinsics, every=options.every, test_share=options.test_share)


def main(arguments: list[str] | None = None) -> int:
    """Run; exit codes as in `tools.preparation_command.run_preparation`."""
    options = parse_arguments(arguments)
    return run_preparation("prepare_clips", options, lambda out, stack: open_source(options))


if __name__ == "__main__":
    sys.exit(main())
