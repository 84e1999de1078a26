#!/usr/bin/env python
"""Build a page with the best and worst images of stored cells: image, truth, predictions and errors side by side.

    python tools/gallery.py results/runs/nyuv2_lite/RUN_A.json results/runs/nyuv2_lite/RUN_B.json --metric semseg/mIoU

The results must have the same recipe, split and data. The images are chosen by a metric of single images, which is
stored next to each result, as the mean over the results. The page is OUT/index.html.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, check_writable, positive, refuse, shown

if TYPE_CHECKING:
    from benchmark.inference.gallery import Cell


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULT", help="result file RUN_ID.json")
    parser.add_argument("--metric", help="metric of single images (default: ranking metric of the first task)")
    parser.add_argument("--count", type=positive, default=3, metavar="N", help="best and worst images (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("gallery"), metavar="DIR", help="folder (default: gallery)")
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: DIR/work for DIR/runs/...)")
    parser.add_argument("--recipe", metavar="FILE", help="your own recipe, if the results name it; it is run as code")
    parser.add_argument("--device", default="cpu", help="device of torch, such as cuda (default: cpu)")
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="your own Python file with methods, regularizers, data sets or backbones",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Build the page. Exit code 0, or 2 for a wrong request."""
    options = parse_arguments(arguments)
    from benchmark.registry import import_files

    try:
        check_writable(options.out)
        import_files(options.imports)
        print(f"written: {shown(build(options))}")
    except (ValueError, OSError, ImportError, KeyError, RuntimeError) as error:
        return refuse("gallery.py", error)
    return 0


def build(options: argparse.Namespace) -> Path:
    """Read the cells, choose the images and write the page; returns its path.

    Raises:
        ValueError: if the results do not belong together.
    """
    from benchmark.inference.gallery import choose, shown_images
    from benchmark.inference.gallery_page import write_page
    from benchmark.training.compose import SPLIT_NAMES
    from benchmark.training.restore import unaugmented_split
    from benchmark.training.trust import trusted_spec

    cells = read_cells(options)
    first = cells[0]
    task = next(iter(first.model.tasks.values()))
    metric = options.metric or f"{task.name}/{task.primary_metric}"
    chosen = choose(cells, metric, options.count)
    spec = trusted_spec(first.result, options.recipe)
    split: Any = unaugmented_split(spec, options.out, SPLIT_NAMES[spec.split]["test"])
    if len(split) != len(first.images):
        raise ValueError(f"the results have {len(first.images)} images, the data set here has {len(split)}")
    data = (first.result.provenance.get("data") or {}).get("id", "")
    classes = {name: found.classes for name, found in first.model.description.tasks.items() if found.classes}
    intro = f"{spec.folder} on {data}, split {spec.split}, chosen by {metric} as the mean over {len(cells)} cells."
    images = shown_images(cells, split, chosen)
    return write_page(options.out, "Gallery", intro, images, first.model.tasks, classes)


def read_cells(options: argparse.Namespace) -> list[Cell]:
    """The cells with their models.

    Raises:
        ValueError: if they differ in recipe, split, tasks or data, or one is not done.
    """
    from benchmark.inference.gallery import Cell, label_of, read_image_metrics
    from benchmark.inference.loading import find_model, load
    from benchmark.records.store import read_result

    results = [read_result(path) for path in options.results]
    for path, result in zip(options.results, results, strict=True):
        if result.status != "done":
            raise ValueError(f"{path}: the cell is {result.status}; only finished cells can be shown")
        if belongs_to(result) != belongs_to(results[0]):
            raise ValueError(f"{path}: another recipe, split, tasks or data than {options.results[0]}")
    several_seeds = len({result.spec.seed for result in results}) > 1
    cells = []
    for path, result in zip(options.results, results, strict=True):
        found = find_model(path, work=options.work, recipe=options.recipe)
        model = load(path, work=options.work, recipe=options.recipe, device=options.device)
        cells.append(Cell(label_of(found, several_seeds), result, model, read_image_metrics(path)))
    names = [cell.label for cell in cells]
    if len(set(names)) != len(names):
        raise ValueError(f"two of the results are the same row: {', '.join(names)}")
    return cells


def belongs_to(result: Any) -> tuple[Any, ...]:
    """Settings that results must share to be shown side by side."""
    data = result.provenance.get("data") or {}
    return result.spec.folder, result.spec.split, result.spec.tasks, data.get("id")


if __name__ == "__main__":
    sys.exit(main())
