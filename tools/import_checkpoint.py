#!/usr/bin/env python
"""Convert weights of public code into a model of this suite.

    python tools/import_checkpoint.py --format mtl_pytorch FILE --out DIR
    python tools/evaluate.py --imported DIR --recipe nyuv2_hrnet18

Method, backbone, tasks and widths are read from the names and shapes of the tensors. A file with a missing tensor, an
unknown tensor or a tensor of another shape is refused with the name of the tensor. No code in the file is run. DIR gets
model.safetensors, card.json (for `evaluate.py`) and CARD.md (for readers).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import WRONG_USE, Parser, shown

if TYPE_CHECKING:
    from mtl_methods.published.importing import Imported

FORMATS = ("atrc", "invpt", "mtl_pytorch")
NORMALS = {"y-up": [1, -1, 1], "y-down": [1, 1, 1]}
"""Factors that convert normals to our axes, whose y points down, by the direction of y in the public code."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("file", type=Path, metavar="FILE", help="checkpoint or state dict that torch.save wrote")
    parser.add_argument("--format", required=True, choices=FORMATS, help="the public code that saved it")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the model; made if missing")
    parser.add_argument(
        "--normals",
        choices=tuple(NORMALS),
        default="y-up",
        help="direction of y in the normals that the network was trained on (default: y-up, as in the "
        "published copies of NYU-v2 and PASCAL-Context)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="options",
        help="constructor argument that the file does not contain, as in genotype=nyud_hrnet18",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Import a file. Exit code 0, or 2 if the file is refused."""
    options = parse_arguments(arguments)
    from benchmark.tasks import STANDARD_TASKS
    from mtl_methods.published.importing import import_state, read_state

    try:
        chosen = dict(parse_option(text) for text in options.options)
        imported = import_state(options.format, read_state(options.file), STANDARD_TASKS, chosen)
        card = write(imported, options)
    except (ValueError, TypeError, KeyError, OSError) as error:
        print(f"import_checkpoint.py: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_USE
    print(f"{card['title']} on {card['backbone']}, tasks {', '.join(card['tasks'])}, {card['parameters']:,} parameters")
    print(f"written: {shown(options.out)}")
    return 0


def parse_option(text: str) -> tuple[str, Any]:
    """Split `NAME=VALUE`; the value is read as JSON if possible, else as text.

    Raises:
        ValueError: without an equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ValueError(f"--set takes NAME=VALUE, found {text!r}")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def write(imported: Imported, options: argparse.Namespace) -> dict[str, Any]:
    """Write weights and cards; returns the content of card.json."""
    import hashlib

    from benchmark.records.atomic import write_text
    from benchmark.registry import METHODS
    from benchmark.training.imported import CARD_FILE
    from benchmark.training.model import MultiTaskModel
    from benchmark.training.model_files import MODEL_FILE, save_model

    description, digest = imported.description, hashlib.sha256(options.file.read_bytes()).hexdigest()
    folder: Path = options.out
    entry = METHODS.entry(description.method)
    card = {
        "title": entry.title,
        "method": description.method,
        "backbone": f"{description.backbone}:scratch",
        "tasks": {name: task.channels for name, task in imported.tasks.items()},
        "options": dict(description.options),
        "signs": {name: NORMALS[options.normals] for name in imported.tasks if name == "normals"},
        "parameters": sum(parameter.numel() for parameter in imported.method.parameters()),
        "source": {"format": options.format, "file": options.file.name, "sha256": digest},
    }
    save_model(MultiTaskModel(imported.method, imported.tasks), folder / MODEL_FILE, {"sha256_of_source": digest})
    write_text(folder / CARD_FILE, json.dumps(card, indent=2) + "\n")
    write_text(folder / "CARD.md", page(card, entry.paper, type(imported.method).__doc__ or ""))
    return card


def page(card: dict[str, Any], paper: str, text: str) -> str:
    """The card for readers, in Markdown."""
    from inspect import cleandoc

    source = card["source"]
    rows = {
        "Method": f"[{card['title']}]({paper}) (`{card['method']}`)",
        "Backbone": f"`{card['backbone']}`",
        "Tasks": ", ".join(f"{name} ({channels})" for name, channels in card["tasks"].items()),
        "Options": ", ".join(f"`{name}={value}`" for name, value in card["options"].items()) or "defaults",
        "Parameters": f"{card['parameters']:,}",
        "Weights from": f"{source['file']}, format {source['format']}, sha256 {source['sha256']}",
    }
    table = "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    return f"# {card['title']}, imported weights\n\n| | |\n| --- | --- |\n{table}\n{cleandoc(text)}\n"


if __name__ == "__main__":
    sys.exit(main())
