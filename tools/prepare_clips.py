"""Prepare posed RGB-D clips for training on several views: images, depth and camera poses in one layout on disk.

    python tools/prepare_clips.py --from chess/seq-01 chess/seq-02 --every 5
    python tools/prepare_clips.py --from rgbd_dataset_freiburg1_desk --intrinsics 517.3 516.5 318.6 255.3

Each folder is a clip of 7-Scenes, of TUM RGB-D, or a text model of COLMAP beside images/ and depth/ (16-bit PNG in
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

from benchmark.records.provenance import data_home  # noqa: E402
from tools.command_line import WRONG_USE, Parser, positive, shown  # noqa: E402

if TYPE_CHECKING:
    from datasets.layout.layout import DatasetInfo


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--from", type=Path, nargs="+", required=True, metavar="DIR", dest="folders", help="folders, one clip each"
    )
    parser.add_argument(
        "--out", type=Path, help="where to put it (default: posed_clip below $MTL_DATA, else data/posed_clip)"
    )
    parser.add_argument(
        "--intrinsics",
        type=float,
        nargs=4,
        metavar=("FX", "FY", "CX", "CY"),
        help="the camera of all clips, in pixels of the files, as it is published for them: the centre of the first "
        "pixel is (0, 0) in TUM RGB-D and (0.5, 0.5) in 7-Scenes (default: the usual camera of the format)",
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="take every Nth frame (default: all)")
    parser.add_argument(
        "--test-share",
        type=share,
        default=0.2,
        metavar="S",
        help="share of each clip, its last frames, that is for testing (default: %(default)s)",
    )
    parser.add_argument("--workers", type=positive, default=2, metavar="N", help="processes (default: %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace the data set that --out holds")
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


def run(options: argparse.Namespace, out: Path) -> DatasetInfo:
    """Prepare into `out`.

    Raises:
        DataError: in one line, when the input or the place is wrong.
    """
    from datasets.layout.layout import exclusive
    from datasets.posed_clip.opening import open_clips
    from datasets.preparation.preparing import check_vacant, prepare, progress

    check_vacant(out, options.overwrite)
    intrinsics = tuple(options.intrinsics) if options.intrinsics else None
    source = open_clips(options.folders, intrinsics, every=options.every, test_share=options.test_share)
    with exclusive(out.absolute()):
        return prepare(source, out, workers=options.workers, limit=None, track=progress("preparing clips"))


def main(arguments: list[str] | None = None) -> int:
    """Run; 0 when the data set is in place, 2 when the input or the place is wrong."""
    options = parse(arguments)
    from datasets.layout.layout import DataError

    out = options.out or data_home() / "posed_clip"
    try:
        info = run(options, out)
    except (DataError, OSError) as error:
        print(f"prepare_clips: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("prepare_clips: stopped; nothing was changed", file=sys.stderr)
        return 130
    counts = ", ".join(f"{number} {split}" for split, number in info.counts.items())
    size = "of several sizes" if info.size is None else f"of {info.size[1]}x{info.size[0]} pixels"
    print(f"{shown(out)}: {info.id} ({counts} frames {size})")
    for modality, source in info.sources.items():
        print(f"  {modality}: {source}")
    print(f"  validation: {info.validation}")
    print(f"  {' '.join(info.notes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
