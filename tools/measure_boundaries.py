"""Measure the seconds of one core for the boundary evaluation of one image.

The time includes suppression, thresholds, thinning and matching, but not reading files. With --pred and --gt, the maps
of two folders are scored, else synthetic maps similar to predictions: blurred, displaced outlines of uneven strength,
false outlines, and weak texture everywhere.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.boundaries.protocols import PROTOCOLS, Protocol
from tools.command_line import WRONG_USE, Parser, positive

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Scene = tuple[NDArray[np.uint8], list[NDArray[np.bool_]]]


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(__doc__)
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, default="seism", help="evaluation protocol (default: %(default)s)"
    )
    parser.add_argument("--images", type=positive, default=20, help="images to measure (default: %(default)s)")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(425, 560),
        metavar=("HEIGHT", "WIDTH"),
        help="size of synthetic images (default: 425 560)",
    )
    parser.add_argument(
        "--segments", type=positive, default=45, help="segments of a synthetic image (default: %(default)s)"
    )
    parser.add_argument("--pred", type=Path, metavar="DIR", help="folder of predicted maps")
    parser.add_argument("--gt", type=Path, metavar="DIR", help="folder of ground truth")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Print the median time. Exit code 0, or 2 if a folder cannot be scored."""
    options = parse_arguments(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    import numpy as np

    from benchmark.boundaries.compiled import compiler
    from benchmark.boundaries.counting import count_boundaries
    from benchmark.boundaries.formats.content import DataError

    protocol = PROTOCOLS[options.protocol]
    seconds, found = [], []
    try:
        for strength, truths in scenes(options, protocol):
            seconds.append(timed(count_boundaries, strength, truths, protocol))
            found.append((*strength.shape, sum(map(np.count_nonzero, truths)) / len(truths)))
    except DataError as error:
        print(f"measure_boundaries.py: {error}", file=sys.stderr)
        return WRONG_USE
    # The first image includes the compilation.
    height, width, true = np.median(found, axis=0)
    print(
        f"{len(seconds) - 1} images of {height:.0f}x{width:.0f}, {true:.0f} true boundary pixels (medians), "
        f"{len(protocol.thresholds)} thresholds, {'numba' if compiler() else 'plain Python'}, one core"
    )
    print(f"median {np.median(seconds[1:]):.3f} s, longest {max(seconds[1:]):.3f} s; the first took {seconds[0]:.1f} s")
    return 0


def timed(function: Any, *arguments: Any) -> float:
    """Seconds of processor time of a call."""
    from time import process_time

    start = process_time()
    function(*arguments)
    return process_time() - start


def scenes(options: argparse.Namespace, protocol: Protocol) -> Iterator[Scene]:
    """Predicted maps and true boundaries; the first pair twice, since its first run includes the compilation."""
    if options.pred and options.gt:
        from benchmark.boundaries.files import read_strength, read_truths
        from benchmark.boundaries.folders import pairs_of

        pairs = pairs_of(options.pred, options.gt)[: options.images]
        for pair in (pairs[0], *pairs):
            yield read_strength(pair.prediction), read_truths(pair.truth, protocol.ground_truth)
        return
    height, width = options.size
    for seed in (0, *range(options.images)):
        yield synthetic(seed, height, width, options.segments)


def synthetic(seed: int, height: int, width: int, segments: int) -> Scene:
    """A predicted map and the true boundaries of one random scene."""
    import numpy as np
    from scipy.ndimage import gaussian_filter, map_coordinates

    from benchmark.boundaries.ground_truth import outlines
    from benchmark.boundaries.thinning import thin

    random = np.random.default_rng(seed)
    true = outlines(cells(random, height, width, segments))
    false = outlines(cells(random, height, width, 2 * segments))

    def smooth_noise(scale: float) -> Floats:
        noise = gaussian_filter(random.standard_normal((height, width)), scale)
        return np.asarray(noise / noise.std())

    place = np.indices((height, width)) + 1.5 * np.stack([smooth_noise(12), smooth_noise(12)])
    certainty = 1 / (1 + np.exp(-1 - 1.5 * smooth_noise(25)))
    drawn = 3.2 * gaussian_filter(true.astype(np.float64), 1.7) * certainty
    drawn += 1.5 * gaussian_filter(false.astype(np.float64), 2.2) * (1 - certainty)
    moved = map_coordinates(drawn, place, order=1) + 0.02 * np.abs(smooth_noise(2)) + 0.01 * np.abs(smooth_noise(1))
    return (255 * np.clip(moved, 0, 0.999)).astype(np.uint8), [thin(true)]


def cells(random: np.random.Generator, height: int, width: int, count: int) -> Floats:
    """Random segments with bent outlines: the number of the nearest of `count` random points for each pixel."""
    import numpy as np
    from scipy.ndimage import gaussian_filter
    from scipy.spatial import cKDTree

    bends = [gaussian_filter(random.standard_normal((height, width)), 9) for _ in range(2)]
    place = np.indices((height, width)) + 6 * np.stack([bend / bend.std() for bend in bends])
    points = random.random((count, 2)) * (height, width)
    return np.asarray(cKDTree(points).query(place.reshape(2, -1).T)[1].reshape(height, width))


if __name__ == "__main__":
    sys.exit(main())
