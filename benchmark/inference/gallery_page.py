"""A gallery as a page: index.html and its pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.records.atomic import write_text
from benchmark.tasks import TaskSet
from benchmark.visualization.colors import Picture, class_colors
from benchmark.visualization.error_maps import LEGENDS

if TYPE_CHECKING:
    from benchmark.inference.gallery import ShownImage, Tile

PICTURES = "pictures"
TILE_WIDTH = 180
"""Pixels of a picture in the page."""


def write_page(
    folder: Path,
    title: str,
    intro: str,
    images: Iterable[ShownImage],
    tasks: TaskSet,
    classes: Mapping[str, Sequence[str]],
) -> Path:
    """Write index.html and the pictures.

    Args:
        folder: folder of the page, made if missing.
        title: heading.
        intro: a sentence on the cells.
        images: what is shown.
        tasks: the tasks.
        classes: names of the classes by task.

    Returns:
        index.html.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    shown = [_with_files(folder, number, image) for number, image in enumerate(images)]
    # Names of cells, images and classes come from files of users, so all text is escaped.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("gallery.html.j2").render(
        title=title,
        intro=intro,
        images=shown,
        tile_width=TILE_WIDTH,
        error_scales={name: LEGENDS[task.readout] for name, task in tasks.items()},
        legends={name: _legend(names) for name, names in classes.items()},
    )
    write_text(folder / "index.html", text)
    return folder / "index.html"


def _with_files(folder: Path, number: int, shown: ShownImage) -> dict[str, Any]:
    """An image of the page, with its pictures written."""

    def file(tile: Tile, name: str) -> dict[str, str]:
        path = f"{PICTURES}/{number}_{name}.png"
        write_picture(folder / path, tile.picture)
        return {"file": path, "caption": tile.caption}

    return {
        "title": shown.title,
        "image": file(shown.image, "image"),
        "truth": {task: file(tile, f"truth_{place}") for place, (task, tile) in enumerate(shown.truth.items())},
        "rows": {
            cell: {
                task: (file(prediction, f"{row}_{place}"), file(error, f"{row}_{place}_error"))
                for place, (task, (prediction, error)) in enumerate(tiles.items())
            }
            for row, (cell, tiles) in enumerate(shown.rows.items())
        },
    }


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture as PNG."""
    from PIL import Image

    Image.fromarray((picture.clip(0, 1) * 255).round().astype(np.uint8)).save(path)


def _legend(names: Sequence[str]) -> list[tuple[str, str]]:
    """Name and CSS colour of each class."""
    colors = (class_colors(len(names)) * 255).round().astype(int)
    return [(name, f"rgb({red}, {green}, {blue})") for name, (red, green, blue) in zip(names, colors, strict=True)]
