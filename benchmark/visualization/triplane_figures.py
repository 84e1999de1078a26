"""Figures of a 3D-aware regularizer: rendered predictions, ray weights, and views of other cameras."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmark.heads import upsample_to
from benchmark.tasks import Task, TaskSet
from benchmark.visualization.colors import (
    Picture,
    Span,
    colorize,
    label_values,
    on_scale,
    prediction_values,
    resize_mask,
    span_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_SLICES = 8
MAX_COLUMNS = 5
"""Largest number of columns of `slices`."""
TILE_WIDTH = 2.4
"""Inches."""
DOTS_PER_INCH = 110


@dataclass(frozen=True)
class Density:
    """Ray weights of one density of an image.

    Args:
        tasks: tasks that are rendered with it.
        weights: (h, w, D).
        depth: (h, w) expected depth, metres.
        entropy: (h, w) entropy of the weights, nats.
    """

    tasks: Sequence[str]
    weights: Tensor
    depth: Tensor
    entropy: Tensor


@dataclass(frozen=True)
class RenderedImage:
    """One image with its labels, predictions and renderings.

    Args:
        image: the image without augmentation.
        tasks: tasks of the cell.
        targets: labels by task, without batch axis.
        predictions: raw predictions (C, H, W) of the method, by task.
        rendered: raw rendered predictions (C, h, w), by task.
        sample_depth: (D,) depth of the samples of a ray, metres.
        densities: the densities of all triplanes.
        depth: (h, w) expected depth of the density of the depth task, metres.
        depth_task: name of the task of depth in metres; None without such a task.
    """

    image: Picture
    tasks: TaskSet
    targets: Mapping[str, Tensor]
    predictions: Mapping[str, Tensor]
    rendered: Mapping[str, Tensor]
    sample_depth: Tensor
    densities: Sequence[Density]
    depth: Tensor
    depth_task: str | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.image.shape[0], self.image.shape[1]

    def span(self, name: str) -> Span:
        """Span of the values of a task: of its label if there is one, else of its prediction."""
        task = self.tasks[name]
        values = [
            prediction_values(task, maps[name], self.size) for maps in (self.predictions, self.rendered) if name in maps
        ]
        if name in self.targets:
            target, valid = label_values(task, self.targets[name])
            values.insert(0, target[:, valid])
        return span_of(values)

    def depth_span(self) -> Span:
        """Span of depth in metres: of the depth task if there is one, else of the samples of a ray."""
        return self.span(self.depth_task) if self.depth_task else span_of([self.sample_depth.cpu().numpy()])


@dataclass(frozen=True)
class NovelView:
    """The scene of an image, rendered for another camera.

    Args:
        offset: offset of the camera to the right, metres.
        depth: (h, w) expected depth in this view, metres.
        visible: (h, w) True where most of the light of a ray ends in the frustum of the image.
        predictions: raw rendered predictions (C, h, w), by task.
    """

    offset: float
    depth: Tensor
    visible: Tensor
    predictions: Mapping[str, Tensor]


def panel(view: RenderedImage) -> Figure:
    """Figure of the image, and for each rendered task: label, prediction of the head, rendered prediction."""
    figure, grid = _figure(3, len(view.rendered) + 1, view.size)
    _show(grid[0][0], view.image, "image")
    for axes in (grid[1][0], grid[2][0]):
        axes.set_axis_off()
    for column, (name, maps) in enumerate(view.rendered.items(), start=1):
        task, span = view.tasks[name], view.span(name)
        scale = f", {span[0]:.1f} to {span[1]:.1f} {task.unit}" if task.readout == "value" else ""
        parts = {
            "label": _label(view, task, span),
            "head": colorize(task, prediction_values(task, view.predictions[name], view.size), span),
            "rendered": colorize(task, prediction_values(task, maps, view.size), span),
        }
        for row, (title, picture) in enumerate(parts.items()):
            _show(grid[row][column], picture, f"{name}, {title}{scale if row == 0 else ''}")
    return figure


def slices(view: RenderedImage) -> Figure:
    """Figure of each density: ray weights at several depths, expected depth, entropy."""
    metres = view.sample_depth.cpu()
    chosen = np.unique(np.linspace(0, len(metres) - 1, NUM_SLICES).round().astype(int))
    rows = math.ceil((len(chosen) + 2) / MAX_COLUMNS)
    figure, grid = _figure(rows * len(view.densities), math.ceil((len(chosen) + 2) / rows), view.size)
    for block, density in enumerate(view.densities):
        tiles = [axes for row in grid[block * rows : (block + 1) * rows] for axes in row]
        _slices_of(tiles, density, metres, chosen, view.depth_span())
        label = names_in_pairs(density.tasks)
        tiles[0].text(-0.06, 0.5, label, transform=tiles[0].transAxes, rotation=90, ha="right", va="center", fontsize=8)
    return figure


def names_in_pairs(names: Sequence[str]) -> str:
    """Names with two on a line."""
    return ",\n".join(", ".join(names[start : start + 2]) for start in range(0, len(names), 2))


def _slices_of(
    tiles: Sequence[Axes], density: Density, metres: Tensor, chosen: NDArray[np.int_], depth_span: Span
) -> None:
    """Draw the tiles of one density. All slices have one scale."""
    weights = density.weights.cpu()
    count, largest = len(chosen), float(weights[..., chosen].max())
    span = (0.0, max(largest, 1e-6))
    for axes, sample in zip(tiles, chosen, strict=False):
        _show(axes, on_scale(weights[..., sample].numpy(), span, "viridis"), f"{metres[sample]:.2f} m")
    tiles[0].set_title(f"{metres[chosen[0]]:.2f} m (weights 0 to {largest:.2g})", fontsize=8)
    low, high = depth_span
    depth = on_scale(density.depth.cpu().numpy(), depth_span)
    _show(tiles[count], depth, f"expected depth, {low:.1f} to {high:.1f} m")
    entropy, largest_entropy = density.entropy.cpu(), math.log(len(metres))
    title = f"entropy, mean {entropy.mean():.2f} of {largest_entropy:.2f} nats"
    _show(tiles[count + 1], on_scale(entropy.numpy(), (0.0, max(largest_entropy, 1e-6)), "magma"), title)
    for axes in tiles[count + 2 :]:
        axes.set_axis_off()


def write_orbit(view: RenderedImage, novel_views: Iterable[NovelView], path: Path) -> None:
    """Write a GIF of novel views: depth, and classes if a class map is rendered.

    Args:
        view: the image that the novel views belong to.
        novel_views: the frames in order.
        path: path of the GIF.
    """
    from matplotlib.animation import PillowWriter

    names = [name for name in view.rendered if view.tasks[name].readout == "class"][:1]
    figure, grid = _figure(1, 1 + len(names), view.size)
    for axes in grid[0]:
        _show(axes, view.image, "the layout is computed once, so that frames do not shift")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    writer = PillowWriter(fps=8)
    with writer.saving(figure, str(path), DOTS_PER_INCH):
        for novel in novel_views:
            for axes, picture, title in zip(grid[0], *_pictures(view, novel, names), strict=True):
                axes.clear()
                _show(axes, picture, title)
            writer.grab_frame()


def _pictures(view: RenderedImage, novel: NovelView, names: Sequence[str]) -> tuple[list[Picture], list[str]]:
    """Pictures and titles of a novel view, black outside of its `visible` pixels."""
    visible = resize_mask(novel.visible, view.size)
    metres = upsample_to(novel.depth[None, None], view.size)[0, 0]
    pictures = [np.where(visible[..., None], on_scale(metres.cpu().numpy(), view.depth_span()), 0)]
    for name in names:
        task = view.tasks[name]
        pictures.append(colorize(task, prediction_values(task, novel.predictions[name], view.size), valid=visible))
    return pictures, [f"depth, camera at {novel.offset:+.2f} m", *names]


def _label(view: RenderedImage, task: Task, span: Span) -> Picture:
    if task.name not in view.targets:
        return np.zeros_like(view.image)
    values, valid = label_values(task, view.targets[task.name])
    return colorize(task, values, span, valid)


def _figure(rows: int, columns: int, size: tuple[int, int]) -> tuple[Figure, list[list[Axes]]]:
    """Figure of tiles with the aspect of the image. Without pyplot, it needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tile_height = TILE_WIDTH * size[0] / size[1] + 0.3
    figure = Figure(figsize=(TILE_WIDTH * columns + 0.3, tile_height * rows), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in grid]


def _show(axes: Axes, picture: Picture, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
