"""Galleries of stored cells: image, truth, predictions of several cells and their errors, for chosen images."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.contracts import IMAGENET_MEAN, IMAGENET_STD
from benchmark.inference.loading import FoundModel
from benchmark.inference.model import TrainedModel
from benchmark.metrics.catalogue import described
from benchmark.records.result import RunResult
from benchmark.records.validation import RecordError
from benchmark.tasks import Task, suggest
from benchmark.visualization.colors import Picture, colorize, label_values, prediction_values, span_of
from benchmark.visualization.error_maps import error_map

Values = Mapping[str, float | None]
"""Metrics of one image."""


@dataclass(frozen=True)
class Cell:
    """A stored cell with its model.

    Args:
        label: name in the page.
        result: its result.
        model: its model.
        images: metrics of each image of the evaluated split.
    """

    label: str
    result: RunResult
    model: TrainedModel
    images: Sequence[Values]


@dataclass(frozen=True)
class Tile:
    """A picture of the page with its caption."""

    picture: Picture
    caption: str


@dataclass(frozen=True)
class ShownImage:
    """One image of the page.

    Args:
        title: reason why it is shown.
        image: the image.
        truth: labels by task.
        rows: by cell: prediction and error by task.
    """

    title: str
    image: Tile
    truth: Mapping[str, Tile]
    rows: Mapping[str, Mapping[str, tuple[Tile, Tile]]]


def read_image_metrics(path: Path) -> list[dict[str, float | None]]:
    """Metrics of the single images of a cell, in the order of the split.

    Args:
        path: its result file; the details lie next to it.

    Raises:
        RecordError: if there are no details, or they cannot be read.
    """
    details = path.with_suffix(".details.jsonl.gz")
    try:
        with gzip.open(details, "rt", encoding="utf-8") as file:
            lines = [dict(json.loads(line).items()) for line in file]
        images = {int(line.pop("image")): line for line in lines if "image" in line}
        return [images[number] for number in sorted(images)]
    except FileNotFoundError:
        raise RecordError(f"{details}: no such file; only results with their details can be shown") from None
    except (OSError, EOFError, ValueError, TypeError, AttributeError) as error:
        raise RecordError(f"{details}: not readable ({' '.join(str(error).split())})") from None


def choose(cells: Sequence[Cell], metric: str, count: int) -> list[tuple[int, str]]:
    """Best and worst images by the mean of a metric over cells: number of each image, and its title.

    Args:
        cells: the cells.
        metric: such as "depth/rmse@pixel".
        count: number of best images, and number of worst images.

    Raises:
        ValueError: for a metric that the images do not have.
    """
    shared = range(min(len(cell.images) for cell in cells))
    known = {name for cell in cells for values in cell.images for name in values}
    if metric not in known:
        raise ValueError(
            f"--metric: the images have no {metric!r}.{suggest(metric, known)} Metrics: {', '.join(sorted(known))}"
        )
    means = {}
    for number in shared:
        found = [value for cell in cells if (value := cell.images[number].get(metric)) is not None]
        if found:
            means[number] = float(np.mean(found))
    unit, higher = described(metric)
    order = sorted(means, key=lambda number: -means[number] if higher else means[number])
    best, worst = order[:count], [number for number in order[::-1][:count] if number not in order[:count]]
    return [
        (number, f"{kind} {place} by {metric}: {with_unit(means[number], unit)}")
        for kind, numbers in (("best", best), ("worst", worst))
        for place, number in enumerate(numbers, start=1)
    ]


def shown_images(cells: Sequence[Cell], split: Any, chosen: Sequence[tuple[int, str]]) -> Iterator[ShownImage]:
    """The images of a page.

    Args:
        cells: cells of the same recipe and data.
        split: the evaluated split, without augmentation.
        chosen: numbers of images and their titles.
    """
    for number, title in chosen:
        yield _shown(cells, split[number], number, title)


def _shown(cells: Sequence[Cell], item: Mapping[str, Any], number: int, title: str) -> ShownImage:
    window = [int(value) for value in item["window"]] if "window" in item else None
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    image = (_inside(item["images"], window).permute(1, 2, 0).numpy() * std + mean).clip(0, 1)
    tasks = cells[0].model.tasks
    labels = {name: label_values(task, _inside(item["targets"][name], window)) for name, task in tasks.items()}
    spans = {name: span_of([values[:, valid]]) for name, (values, valid) in labels.items()}
    truth = {
        name: Tile(colorize(tasks[name], values, spans[name], valid), _scale(tasks[name], spans[name]))
        for name, (values, valid) in labels.items()
    }
    rows = {cell.label: _row(cell, item["images"], window, labels, spans, number) for cell in cells}
    return ShownImage(title, Tile(image, str(item["name"])), truth, rows)


def _row(
    cell: Cell,
    images: torch.Tensor,
    window: list[int] | None,
    labels: Mapping[str, tuple[NDArray[np.float32], NDArray[np.bool_]]],
    spans: Mapping[str, tuple[float, float]],
    number: int,
) -> dict[str, tuple[Tile, Tile]]:
    """Prediction and error of one cell by task."""
    with torch.inference_mode():
        predictions = cell.model.model(images[None].to(cell.model.device)).predictions
    row = {}
    for name, (target, valid) in labels.items():
        task = cell.model.tasks[name]
        raw = _inside(predictions[name][0].cpu(), window)
        values = prediction_values(task, raw, (raw.shape[-2], raw.shape[-1]))
        row[name] = (
            Tile(colorize(task, values, spans[name]), _metric_text(task, cell.images[number])),
            Tile(error_map(task, values, target, valid), "error"),
        )
    return row


def _metric_text(task: Task, values: Values) -> str:
    """Ranking metric of the task for one image."""
    name = f"{task.name}/{task.primary_metric}"
    value = values.get(name)
    return f"{task.primary_metric} {with_unit(value, described(name).unit)}" if value is not None else ""


def with_unit(value: float, unit: str) -> str:
    """A number with three digits and its unit; "1" is no unit."""
    return f"{value:.3g} {unit}".removesuffix(" 1")


def _scale(task: Task, span: tuple[float, float]) -> str:
    return f"{span[0]:.1f} to {span[1]:.1f} {task.unit}" if task.readout == "value" else ""


def _inside(maps: torch.Tensor, window: list[int] | None) -> torch.Tensor:
    if window is None:
        return maps
    top, left, height, width = window
    return maps[..., top : top + height, left : left + width]


def label_of(found: FoundModel, seeds_differ: bool) -> str:
    """Name of a cell in a page: method and regularizer, with the seed where cells differ in it."""
    result = found.result
    if result is None:
        return found.description.method
    spec = result.spec
    name = spec.method if spec.regularizer == "none" else f"{spec.method}+{spec.regularizer}"
    return f"{name}, seed {spec.seed}" if seeds_differ else name
