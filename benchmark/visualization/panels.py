"""A picture and its predictions side by side, each with its legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.tasks import Task, TaskSet
from benchmark.visualization.colors import Picture, class_colors, colorize, span_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SIDE = 640
"""Pixels of the longest side of a tile; larger pictures are shown smaller."""
TILE_AREA = 9.0
"""Square inches."""
LEGEND_HEIGHT = 1.15
"""Inches."""
DOTS_PER_INCH = 110
MAX_CLASSES = 15
"""Classes in a legend, the most frequent of the picture."""
SHORTEST_TILE, LONGEST_TILE = 1.6, 6.0
"""Inches."""


def prediction_panel(
    image: NDArray[np.uint8],
    values: Mapping[str, NDArray[Any]],
    tasks: TaskSet,
    classes: Mapping[str, Sequence[str]] | None = None,
) -> Figure:
    """Figure of a picture and its predictions in one row, with legends below.

    Args:
        image: (H, W, 3) RGB.
        values: predictions by task, (H, W) or (H, W, 3).
        tasks: the tasks.
        classes: names of the classes by task.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    step = max(1, -(-max(image.shape[:2]) // MAX_SIDE))
    width, height = tile_inches(image.shape[0], image.shape[1])
    count = len(values) + 1
    figure = Figure(figsize=(width * count, height + LEGEND_HEIGHT + 0.3), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, count, squeeze=False, gridspec_kw={"height_ratios": (height, LEGEND_HEIGHT)})
    _show(grid[0][0], averaged(image, step), f"{image.shape[1]}x{image.shape[0]}")
    grid[1][0].set_axis_off()
    for column, (name, whole) in enumerate(values.items(), start=1):
        shown = whole[step // 2 :: step, step // 2 :: step]
        draw_prediction(grid[0][column], grid[1][column], tasks[name], shown, (classes or {}).get(name, ()))
    return figure


def tile_inches(rows: int, columns: int) -> tuple[float, float]:
    """Width and height of a tile with the aspect of a picture and `TILE_AREA`, within the limits of a side."""
    aspect = columns / rows
    width = min(max((TILE_AREA * aspect) ** 0.5, SHORTEST_TILE), LONGEST_TILE)
    return width, min(max(width / aspect, SHORTEST_TILE), LONGEST_TILE)


def averaged(image: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Picture reduced by a whole factor, each pixel the mean of its block."""
    if step == 1:
        return image
    import cv2

    size = (max(1, image.shape[1] // step), max(1, image.shape[0] // step))
    reduced: NDArray[np.uint8] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return reduced


def draw_prediction(axes: Axes, legend: Axes, task: Task, values: NDArray[Any], classes: Sequence[str] = ()) -> None:
    """Draw one prediction and its legend.

    Args:
        axes: place of the prediction.
        legend: place of the legend.
        task: the task.
        values: (H, W) or (H, W, 3), see `benchmark.inference.model.Prediction`.
        classes: names of the classes.
    """
    channels = np.moveaxis(values, 2, 0) if values.ndim == 3 else values[None]
    span = span_of([channels[0].astype(np.float32)]) if task.readout == "value" else (0.0, 1.0)
    _show(axes, colorize(task, channels.astype(np.float32), span), f"{task.name}{_unit(task)}")
    legend.set_axis_off()
    if task.readout == "class":
        _class_legend(legend, task, values, classes)
    elif task.readout == "direction":
        _direction_legend(legend)
    else:
        _scale_legend(legend, task, span)


def _unit(task: Task) -> str:
    return f" ({task.unit})" if task.readout == "value" else ""


def _class_legend(axes: Axes, task: Task, values: NDArray[Any], classes: Sequence[str]) -> None:
    """The most frequent classes of the picture with their shares."""
    from matplotlib.patches import Patch

    numbers, counts = np.unique(values, return_counts=True)
    order = np.argsort(-counts)[:MAX_CLASSES]
    colors = class_colors(task.channels)
    names = classes or [str(number) for number in range(task.channels)]
    patches = [Patch(color=tuple(colors[numbers[place]]), label=str(names[int(numbers[place])])) for place in order]
    axes.legend(handles=patches, loc="upper center", ncols=3, fontsize=7, frameon=False, handlelength=1.0)


def _scale_legend(axes: Axes, task: Task, span: tuple[float, float]) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    if task.readout == "value":
        label, scale = task.unit, "turbo"
    else:
        label, scale = "probability", "gray"
    bar = axes.inset_axes((0.05, 0.72, 0.9, 0.14))
    colors = ScalarMappable(Normalize(*span), scale)
    axes.figure.colorbar(colors, cax=bar, orientation="horizontal")
    bar.set_xlabel(label, fontsize=8)
    bar.tick_params(labelsize=7)


def _direction_legend(axes: Axes) -> None:
    """A ball in the colours of its normals; the axes belong to the camera."""
    ball = axes.inset_axes((0.3, 0.05, 0.4, 0.9))
    ball.imshow(ball_of_normals())
    ball.set_title("x right, y down, z to the camera", fontsize=7)
    ball.set_axis_off()


def ball_of_normals(side: int = 64) -> Picture:
    """(side, side, 3) picture of a ball coloured by its normals, on white."""
    row, column = np.mgrid[:side, :side]
    x, y = (2 * column + 1) / side - 1, (2 * row + 1) / side - 1
    squared = x * x + y * y
    normals = np.stack([x, y, np.sqrt(np.clip(1 - squared, 0, None))], axis=-1)
    picture: Picture = np.where((squared <= 1)[..., None], (normals + 1) / 2, 1.0).astype(np.float32)
    return picture


def _show(axes: Axes, picture: NDArray[Any], title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
