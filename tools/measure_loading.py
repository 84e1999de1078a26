"""Measure how many augmented training images per second one core loads from the canonical layout."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets.loading.canonical import CanonicalDataset

CHECKOUT = Path(__file__).resolve().parents[1]
LARGEST_CROP = (512, 512)
"""Crop size for frames of different sizes, as in the training on PASCAL-Context."""
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser, positive  # noqa: E402


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(__doc__)
    parser.add_argument("--root", type=Path, help="prepared data set (default: nyuv2 below $MTL_DATA, else data/nyuv2)")
    parser.add_argument("--images", type=positive, default=200, help="frames per round (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=positive, default=3, help="rounds; the best is reported (default: %(default)s)"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Print images per second. Exit code 0, or 2 if the data are missing or wrong."""
    options = parse_arguments(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    import cv2
    import torch

    from benchmark.boundaries.formats.content import DataError
    from benchmark.records.provenance import data_home
    from datasets.layout.layout import read_info
    from datasets.loading.canonical import CanonicalDataset

    root = options.root or data_home() / "nyuv2"

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    try:
        # The published augmentation, which includes all slow operations.
        full = {"scale": (0.5, 2.0), "cat_max_ratio": 0.75, "flip": 0.5, "photometric": 1.0}
        size = read_info(root).size or LARGEST_CROP
        dataset = CanonicalDataset(root, "train", augmentation={**full, "crop": size})
        rate = best_rate(dataset, min(options.images, len(dataset)), options.rounds)
    except DataError as error:
        print(f"measure_loading: {error}", file=sys.stderr)
        return 2
    print(f"{dataset.info.id}: {rate:.0f} images/s on one thread at {size[0]}x{size[1]}, full augmentation, all tasks")
    return 0


def best_rate(dataset: CanonicalDataset, images: int, rounds: int) -> float:
    """Images per second of processor time in the fastest round, after an untimed round that fills the page cache."""
    from time import process_time

    seconds = []
    for epoch in range(rounds + 1):
        start = process_time()
        for index in range(images):
            dataset[epoch * len(dataset) + index]
        seconds.append(process_time() - start)
    return images / min(seconds[1:])


if __name__ == "__main__":
    sys.exit(main())
