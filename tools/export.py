#!/usr/bin/env python
"""Write a trained model as a folder that can be shared: weights, config, cards, and graphs on request.

    python tools/export.py --run results/runs/nyuv2_lite/RUN_ID.json --out my_model --onnx
    python tools/export.py --run results/runs/nyuv2_lite/RUN_ID.json --out my_model --push owner/name

The folder has model.safetensors (bit-identical), config.json, README.md (a model card with model-index), METRICS.md and
DATA.md; `benchmark.load` and tools/predict.py read it. --onnx and --torch-export add graphs, which are compared
with the model first. Nothing is uploaded without --push.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, add_model_options, check_writable, image_size, refuse, shown

if TYPE_CHECKING:
    from benchmark.inference.loading import FoundModel

CHECKED = ((32, 64), (11, 5))
"""Rows and columns that are added to the size of a graph for the images that it is checked on."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    add_model_options(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model; made if missing")
    parser.add_argument("--onnx", action="store_true", help="add model.onnx (needs onnx, onnxruntime and onnxscript)")
    parser.add_argument("--torch-export", action="store_true", help="add model.pt2 of torch.export")
    parser.add_argument(
        "--size",
        type=image_size,
        nargs="+",
        metavar="HxW",
        help="image sizes of the graphs (default: the size that the model was evaluated at); a graph takes any size "
        "where the method allows it, else there is one file per size",
    )
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload the folder to this repository of the hub")
    parser.add_argument("--private", action="store_true", help="with --push: make a new repository private")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Export. Exit code 0, or 2 if the model cannot be found or exported."""
    options = parse_arguments(arguments)
    from benchmark.inference.loading import find_model
    from benchmark.inference.model_card import push, write_model_folder
    from benchmark.registry import import_files

    try:
        check_writable(options.out)
        import_files(options.imports)
        found = find_model(options.run, weights=options.weights, work=options.work, recipe=options.recipe)
        files = write_model_folder(options.out, found.weights, found.description, found.result)
        files += write_graphs(found, options)
        print(f"written: {', '.join(shown(file) for file in files)}")
        if options.push:
            print(f"uploaded: {push(options.out, options.push, options.private)}")
    except (ValueError, OSError, ImportError, KeyError, RuntimeError) as error:
        return refuse("export.py", error)
    return 0


def write_graphs(found: FoundModel, options: argparse.Namespace) -> list[Path]:
    """Write the graphs that are asked for, each compared with the model; returns their files."""
    from benchmark.inference.exporting import export_onnx, export_program
    from benchmark.inference.loading import load
    from benchmark.inference.pictures import DEFAULT_SIZE

    if not (options.onnx or options.torch_export):
        return []
    model = load(options.out, accelerate=False)
    sizes = options.size or [found.description.input_size or DEFAULT_SIZE]
    checked = [*sizes, *((sizes[0][0] + rows, sizes[0][1] + columns) for rows, columns in CHECKED)]
    files = export_onnx(model, options.out, sizes, checked) if options.onnx else []
    return files + (export_program(model, options.out, sizes, checked) if options.torch_export else [])


if __name__ == "__main__":
    sys.exit(main())
