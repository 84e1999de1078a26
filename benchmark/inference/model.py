"""A trained model with `predict`, and its predictions for one picture."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.inference.pictures import DEFAULT_SIZE, Pixels, network_input, network_size, read_picture
from benchmark.inference.resizing import values_at
from benchmark.records.atomic import replacing
from benchmark.tasks import TaskSet
from benchmark.training.description import ModelDescription
from benchmark.training.model import MultiTaskModel

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Prediction:
    """Predictions for one picture, at its size.

    Args:
        image: (H, W, 3) uint8 RGB, with the EXIF orientation applied.
        values: by task: (H, W) integer classes, (H, W) float32 metres or probabilities, (H, W, 3) float32 unit normals
            in the camera frame, x right, y down, z towards the camera.
        tasks: the tasks.
        classes: names of the classes by task, where they are known.
    """

    image: Pixels
    values: dict[str, NDArray[Any]]
    tasks: TaskSet
    classes: dict[str, tuple[str, ...]]

    def __getitem__(self, task: str) -> NDArray[Any]:
        return self.values[self.tasks[task].name]

    def panel(self) -> Figure:
        """Figure of the picture and all predictions with their legends."""
        from benchmark.visualization.panels import prediction_panel

        return prediction_panel(self.image, self.values, self.tasks, self.classes)

    def save(self, path: str | Path) -> None:
        """Write the arrays as an .npz file, by task name."""
        with replacing(Path(path)) as temporary, open(temporary, "wb") as file:
            np.savez(file, **dict[str, Any](self.values))


class TrainedModel:
    """A network with its trained weights.

    Args:
        model: the network, in eval mode.
        description: its description.
        device: device that it runs on.
    """

    def __init__(self, model: MultiTaskModel, description: ModelDescription, device: str = "cpu") -> None:
        self.model = model.eval().to(device)
        self.description = description
        self.device = torch.device(device)

    @property
    def tasks(self) -> TaskSet:
        """The tasks of the model."""
        return self.model.tasks

    def __repr__(self) -> str:
        return f"TrainedModel({self.description.method} on {self.description.backbone}, {', '.join(self.tasks)})"

    def predict(self, pictures: Any, *, size: tuple[int, int] | None = None, batch_size: int = 4) -> Any:
        """Predict all tasks for one picture or for a list of pictures.

        Args:
            pictures: a path, an (H, W, 3) or (H, W) uint8 array or an image of Pillow; or a list or tuple of these.
            size: (H, W) whose area the pictures are scaled to for the network, with their aspect kept. If not given,
                the size that the model was evaluated at, or `DEFAULT_SIZE` if this was the full size of each frame.
            batch_size: pictures of equal size that are computed together.

        Returns:
            a `Prediction`, or a list of them for a list.

        Raises:
            ValueError: if a picture cannot be read; the message names the file.
        """
        if isinstance(pictures, (list, tuple)):
            return list(self.predictions(map(read_picture, pictures), size, batch_size))
        return next(self.predictions([read_picture(pictures)], size, batch_size))

    def predictions(
        self, pictures: Iterable[Pixels], size: tuple[int, int] | None = None, batch_size: int = 4
    ) -> Iterator[Prediction]:
        """Predictions of pictures one after another; no more than a batch is in memory. Arguments as in `predict`."""
        area = size or self.description.input_size or DEFAULT_SIZE
        by_size = groupby(pictures, key=lambda pixels: network_size((pixels.shape[0], pixels.shape[1]), area))
        for shape, group in by_size:
            while batch := list(islice(group, batch_size)):
                yield from self._batch(batch, shape)

    @torch.inference_mode()
    def _batch(self, pictures: list[Pixels], shape: tuple[int, int]) -> Iterator[Prediction]:
        images = torch.stack([network_input(pixels, shape) for pixels in pictures]).to(self.device)
        images = images.contiguous(memory_format=torch.channels_last)
        predictions = self.model(images).predictions
        classes = {name: found.classes for name, found in self.description.tasks.items() if found.classes}
        for position, pixels in enumerate(pictures):
            full = (pixels.shape[0], pixels.shape[1])
            values = {name: values_at(task, predictions[name][position], full) for name, task in self.tasks.items()}
            yield Prediction(pixels, values, self.tasks, classes)
