"""Pictures of what a 3D-aware regularizer has learnt: its predictions, the weights of its rays, and other views."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmark.contracts import Batch, MultiTaskOutput
from benchmark.tasks import Task, TaskSet
from benchmark.visualization import Picture, Span, coloured, labelled, on_scale, resized, said, span_of
from regularizers.three_d_aware.diagnostics import entropies
from regularizers.three_d_aware.orbit import OrbitView, densities_of, weights_of
from regularizers.three_d_aware.rays import Rays
from regularizers.three_d_aware.regularizer import ThreeDAware
from regularizers.three_d_aware.renderer import Rendering
from regularizers.three_d_aware.sampler import Triplane
from regularizers.three_d_aware.volume import expected_depth

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SLICES = 8
COLUMNS = 5
"""At most, in the picture of the slices."""
TILE = 2.4
"""Width of one picture in inches."""
DOTS = 110
"""Per inch."""


@dataclass(frozen=True)
class Seen:
    """One image and what a cell makes of it.

    Args:
        image: as it was taken.
        tasks: tasks of the cell.
        targets: labels by task, without the axis of the batch.
        predictions: raw predictions (C, H, W) of the method.
        rays: of the image.
        renderings: of its triplanes, see `Scene`.
        scenes: these triplanes' `Scene`s.
        depth_task: the task of depth in metres, None where there is none.
        opaque_far: see `volume.composite`.
    """

    image: Picture
    tasks: TaskSet
    targets: Mapping[str, Tensor]
    predictions: Mapping[str, Tensor]
    rays: Rays
    renderings: Sequence[Rendering]
    scenes: nn.ModuleList
    depth_task: str | None
    opaque_far: bool

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.image.shape[0], self.image.shape[1]

    @property
    def rendered(self) -> dict[str, Tensor]:
        """Raw rendered predictions (C, h, w), in the order of the tasks."""
        found = {name: maps[0] for part in self.renderings for name, maps in part.predictions.items()}
        return {name: found[name] for name in self.tasks if name in found}

    @property
    def depth(self) -> Tensor:
        """(h, w) expected depth of the rays."""
        weights = weights_of(self.scenes, self.renderings, self.depth_task)
        return expected_depth(weights, self.rays.depth, self.opaque_far)[0]

    def span(self, name: str) -> Span:
        """Of the scale of a task: that of the label where there is one, else that of the predictions."""
        task = self.tasks[name]
        values = [said(task, maps[name], self.size) for maps in (self.predictions, self.rendered) if name in maps]
        if name in self.targets:
            target, valid = labelled(task, self.targets[name])
            values.insert(0, target[:, valid])
        return span_of(values)

    def depth_span(self) -> Span:
        """Of the scale of metres: that of the labels, else of the samples of the rays."""
        if self.depth_task is not None:
            return self.span(self.depth_task)
        return span_of([self.rays.depth.cpu().numpy()])


def look(
    image: Picture, batch: Batch, output: MultiTaskOutput, planes: Sequence[Triplane], regularizer: ThreeDAware
) -> Seen:
    """Render a batch of one image as it was seen.

    Args:
        image: as it was taken.
        batch: of it alone.
        output: of the method for it.
        planes: the triplanes of it.
        regularizer: with its weights, in eval mode.
    """
    rays, renderings = regularizer.views.source(regularizer.scenes, planes, batch, jittered=False)
    return Seen(
        image,
        regularizer.tasks,
        {name: target[0] for name, target in batch["targets"].items()},
        {name: maps[0] for name, maps in output.predictions.items()},
        rays,
        renderings,
        regularizer.scenes,
        regularizer.depth_task,
        regularizer.views.renderer.opaque_far,
    )


def panel(seen: Seen) -> Figure:
    """The image, and for each rendered task a column with label, prediction of the head, and rendered prediction."""
    rendered = seen.rendered
    figure, grid = _figure(3, len(rendered) + 1, seen.size)
    _show(grid[0][0], seen.image, "image")
    for axes in (grid[1][0], grid[2][0]):
        axes.set_axis_off()
    for column, (name, maps) in enumerate(rendered.items(), start=1):
        task, span = seen.tasks[name], seen.span(name)
        scale = f", {span[0]:.1f} to {span[1]:.1f} {task.unit}" if task.readout == "value" else ""
        parts = {
            "label": _label(seen, task, span),
            "head": coloured(task, said(task, seen.predictions[name], seen.size), span),
            "rendered": coloured(task, said(task, maps, seen.size), span),
        }
        for row, (title, picture) in enumerate(parts.items()):
            _show(grid[row][column], picture, f"{name}, {title}{scale if row == 0 else ''}")
    return figure


def slices(seen: Seen) -> Figure:
    """For each density the weights of the rays at samples spread over depth, their mean depth and their entropy."""
    densities = [
        (served_by(scene, name), weights[0].cpu())
        for scene, part in zip(seen.scenes, seen.renderings, strict=True)
        for name, weights in part.weights.items()
    ]
    metres = seen.rays.depth[0].cpu()
    chosen = np.unique(np.linspace(0, len(metres) - 1, SLICES).round().astype(int))
    rows = math.ceil((len(chosen) + 2) / COLUMNS)
    figure, grid = _figure(rows * len(densities), math.ceil((len(chosen) + 2) / rows), seen.size)
    for block, (tasks, weights) in enumerate(densities):
        tiles = [axes for row in grid[block * rows : (block + 1) * rows] for axes in row]
        _slices_of(tiles, weights, metres, chosen, seen)
        tiles[0].text(-0.06, 0.5, tasks, transform=tiles[0].transAxes, rotation=90, ha="right", va="center", fontsize=8)
    return figure


def served_by(scene: nn.Module, density: str) -> str:
    """The tasks that are rendered with a density of a scene, some to a line."""
    names = [task for task, own in densities_of(scene).items() if own == density]
    return ",\n".join(", ".join(names[at : at + 2]) for at in range(0, len(names), 2))


def _slices_of(tiles: Sequence[Axes], weights: Tensor, metres: Tensor, chosen: NDArray[np.int_], seen: Seen) -> None:
    """The tiles of one density with weights (h, w, D); one scale for all of its slices."""
    count, largest = len(chosen), float(weights[..., chosen].max())
    span = (0.0, max(largest, 1e-6))
    for axes, sample in zip(tiles, chosen, strict=False):
        _show(axes, on_scale(weights[..., sample].numpy(), span, "viridis"), f"{metres[sample]:.2f} m")
    tiles[0].set_title(f"{metres[chosen[0]]:.2f} m (weights 0 to {largest:.2g})", fontsize=8)
    depth = expected_depth(weights[None], metres[None], seen.opaque_far)[0]
    low, high = seen.depth_span()
    _show(tiles[count], on_scale(depth.numpy(), (low, high)), f"expected depth, {low:.1f} to {high:.1f} m")
    spread, most = entropies(weights[None])[0], math.log(len(metres))
    title = f"entropy, mean {spread.mean():.2f} of {most:.2f} nats"
    _show(tiles[count + 1], on_scale(spread.numpy(), (0.0, max(most, 1e-6)), "magma"), title)
    for axes in tiles[count + 2 :]:
        axes.set_axis_off()


def orbit(seen: Seen, walk: Iterable[OrbitView], path: Path) -> None:
    """Write a GIF of other views: depth, and the classes beside it where a class map is rendered.

    Args:
        seen: the image that the views are of.
        walk: the views in order.
        path: of the file.
    """
    from matplotlib.animation import PillowWriter

    names = [name for name in seen.rendered if seen.tasks[name].readout == "class"][:1]
    figure, grid = _figure(1, 1 + len(names), seen.size)
    for axes in grid[0]:
        _show(axes, seen.image, "laid out once, or pictures would tremble")
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    writer = PillowWriter(fps=8)
    with writer.saving(figure, str(path), DOTS):
        for view in walk:
            for axes, picture, title in zip(grid[0], *_drawn(seen, view, names), strict=True):
                axes.clear()
                _show(axes, picture, title)
            writer.grab_frame()


def _drawn(seen: Seen, view: OrbitView, names: Sequence[str]) -> tuple[list[Picture], list[str]]:
    """Pictures and titles of one view; black where a ray meets nothing that the image shows."""
    there = resized(view.seen, seen.size)
    metres = torch.nn.functional.interpolate(view.depth[None, None], size=seen.size, mode="bilinear")[0, 0]
    pictures = [np.where(there[..., None], on_scale(metres.cpu().numpy(), seen.depth_span()), 0)]
    for name in names:
        task = seen.tasks[name]
        pictures.append(coloured(task, said(task, view.predictions[name], seen.size), valid=there))
    return pictures, [f"depth, camera at {view.offset:+.2f} m", *names]


def _label(seen: Seen, task: Task, span: Span) -> Picture:
    if task.name not in seen.targets:
        return np.zeros_like(seen.image)
    values, valid = labelled(task, seen.targets[task.name])
    return coloured(task, values, span, valid)


def _figure(rows: int, columns: int, size: tuple[int, int]) -> tuple[Figure, list[list[Axes]]]:
    """A figure of tiles in the shape of the image, without pyplot and so without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    tall = TILE * size[0] / size[1] + 0.3
    figure = Figure(figsize=(TILE * columns + 0.3, tall * rows), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, squeeze=False)
    return figure, [list(row) for row in grid]


def _show(axes: Axes, picture: Picture, title: str) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()
