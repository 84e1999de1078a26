"""The model that is evaluated, and the training module that sets a regularizer beside it.

`MultiTaskModel` is a method and its tasks; it is what is saved, counted, exported and evaluated. `TrainingModule` holds
it and a regularizer side by side, so that the Runner, DDP and resume checkpoints see both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from benchmark.contracts import Batch, Method, MultiTaskOutput, Regularizer
from benchmark.heads import read_out
from benchmark.losses import task_loss
from benchmark.tasks import TaskSet
from benchmark.training.gradient_calibration import Calibration, Watch

DIAGNOSTIC = "regularizer_"
"""Beginning of the names of what a regularizer logs beside its losses."""


class ChannelsLast(BaseDataPreprocessor):
    """Moves a batch to the model's device and lays its images out as channels-last, which convolutions prefer."""

    def forward(self, data: Any, training: bool = False) -> Any:
        """Returns the batch; see `Batch`."""
        batch = self.cast_data(data)
        batch["images"] = batch["images"].contiguous(memory_format=torch.channels_last)
        return batch


class MultiTaskModel(BaseModel):
    """A method and the losses of its tasks.

    Args:
        method: the network.
        tasks: the tasks it was built for, with the loss settings of the recipe.
    """

    def __init__(self, method: Method, tasks: TaskSet) -> None:
        super().__init__(data_preprocessor=ChannelsLast())
        self.method = method
        self.tasks = tasks

    def init_weights(self) -> None:
        """Does nothing. mmengine would call `init_weights` of every timm module and undo pretrained weights."""

    def forward(self, images: Tensor, mode: str = "tensor", **batch: Any) -> Any:
        """Run the method.

        Args:
            images: (B, 3, H, W) normalised images.
            mode: "tensor" for the method's output, "loss" for weighted loss terms, "predict" for data samples.
            batch: the rest of `Batch`; "loss" needs `targets`.

        Returns:
            `MultiTaskOutput`, `{loss_name: scalar}`, or a list of B `SegDataSample`s.
        """
        output: MultiTaskOutput = self.method(images)
        if mode == "tensor":
            return output
        if mode == "loss":
            return self.losses(output, batch["targets"])
        if mode == "predict":
            return data_samples(
                self.tasks, output.predictions, batch.get("targets", {}), batch.get("name"), batch.get("window")
            )
        raise ValueError(f"mode must be tensor, loss or predict, found {mode!r}")

    def losses(self, output: MultiTaskOutput, targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weighted losses of the predictions and of the auxiliary predictions, and the method's penalties, by name.

        Names are `loss_<task>`, `loss_<auxiliary>_<task>` and `loss_<penalty>`; mmengine sums every key that contains
        "loss".
        """
        terms = {
            f"loss_{name}": task.loss_weight * task_loss(task, output.predictions[name], targets[name])
            for name, task in self.tasks.items()
        }
        for part in output.auxiliary:
            task = self.tasks[part.task]
            loss = task_loss(
                task, part.prediction, targets[part.task], loss=part.loss, loss_options=part.loss_options or None
            )
            terms[f"loss_{part.name}_{part.task}"] = part.weight * task.loss_weight * loss
        return terms | {f"loss_{name}": penalty for name, penalty in output.penalties.items()}


class TrainingModule(BaseModel):
    """The model and, beside it, a regularizer.

    Args:
        model: what is trained, evaluated and saved.
        regularizer: its terms are added to the loss; None for none.
        seed: seed of the regularizer's own stream of random numbers.
        calibration: scales the terms of the regularizer; None for those of its own weight.
    """

    def __init__(
        self, model: MultiTaskModel, regularizer: Regularizer | None, seed: int, calibration: Calibration | None = None
    ) -> None:
        super().__init__(data_preprocessor=ChannelsLast())
        self.model = model
        self.regularizer = regularizer
        self.calibration = calibration
        self.watch = Watch()
        self.register_buffer("regularizer_rng", initial_rng_state(seed), persistent=regularizer is not None)

    def init_weights(self) -> None:
        """Does nothing, see `MultiTaskModel.init_weights`."""

    def forward(self, images: Tensor, mode: str = "tensor", **batch: Any) -> Any:
        """Like `MultiTaskModel.forward`; the regularizer takes part in mode "loss" only."""
        if mode != "loss" or self.regularizer is None or self.regularizer.weight == 0:
            return self.model(images, mode=mode, **batch)
        output = self._run(self.regularizer, images)
        complete = cast(Batch, {"images": images, **batch})
        losses = self.model.losses(output, batch["targets"])
        return losses | self._terms_of(self.regularizer, complete, output, losses)

    def _run(self, regularizer: Regularizer, images: Tensor) -> MultiTaskOutput:
        """The method's output; its feature maps are changed on the way by a regularizer that does so."""
        if not regularizer.changes_features:
            plain: MultiTaskOutput = self.model.method(images)
            return plain

        def change(position: int, features: Tensor) -> Tensor:
            with self._own_random_numbers():
                return regularizer.change(position, features)

        with self.model.method.changing_features(change):
            output: MultiTaskOutput = self.model.method(images)
        return output

    def _terms_of(
        self, regularizer: Regularizer, batch: Batch, output: MultiTaskOutput, losses: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The regularizer's terms and diagnostics."""

        def work() -> dict[str, Tensor]:
            with self._own_random_numbers(), self._grown(regularizer):
                return regularizer(batch, output)

        weights = [weight for weight in regularizer.parameters() if weight.requires_grad]
        terms, measured = self.watch.terms(
            work, losses, output.features, weights, self.model.tasks, regularizer.progress
        )
        if self.calibration is not None:
            terms = self.calibration(terms, losses, output.features, self.training)
            measured = self.calibration.applied(measured)
        # mmengine sums the keys that contain "loss" and logs the others.
        summed = {name if "loss" in name else f"loss_{name}": term for name, term in terms.items()}
        found = {**regularizer.diagnostics(), **measured}
        logged = {f"{DIAGNOSTIC}{name}": value for name, value in found.items()}
        mistaken = [name for name in logged if "loss" in name]
        if mistaken:
            raise ValueError(f"{mistaken[0]}: what has 'loss' in its name is added to the loss; rename this diagnostic")
        return summed | logged

    @contextmanager
    def _grown(self, regularizer: Regularizer) -> Iterator[None]:
        """Without its ramp while the weight is calibrated: the ratio is that of the full strength."""
        progress = regularizer.progress
        if self.calibration is not None and not self.calibration.settled:
            regularizer.progress = 1.0
        try:
            yield
        finally:
            regularizer.progress = progress

    @contextmanager
    def _own_random_numbers(self) -> Iterator[None]:
        """Draw from the regularizer's own stream."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self.regularizer_rng.cpu())
            yield
            self.regularizer_rng.copy_(torch.get_rng_state())


def initial_rng_state(seed: int) -> Tensor:
    """State of torch's CPU generator right after seeding."""
    return torch.Generator().manual_seed(seed).get_state()


def data_samples(
    tasks: TaskSet,
    predictions: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    names: list[str] | None = None,
    window: Tensor | None = None,
) -> list[SegDataSample]:
    """One mmsegmentation data sample per image, with fields `pred_<task>` and, where known, `gt_<task>`.

    Args:
        tasks: the tasks.
        predictions: raw, (B, C, H, W) each.
        targets: of the same height and width.
        names: of the images.
        window: (B, 4) top, left, height, width of each image without its padding, which is cut off: a boundary at the
            rim of the padding would be none, and tolerances are shares of the diagonal of the image.
    """
    fields: dict[str, Tensor] = {}
    for name, task in tasks.items():
        fields[f"pred_{name}"] = read_out(task, predictions[name])
        if name in targets:
            target = targets[name]
            # Class maps come without a channel axis; a PixelData carries one.
            fields[f"gt_{name}"] = target.unsqueeze(1) if target.ndim == 3 else target
    samples = []
    windows = None if window is None else window.tolist()
    for position in range(len(next(iter(fields.values())))):
        sample = SegDataSample(metainfo={"name": names[position]} if names else {})
        for field, values in fields.items():
            image = values[position] if windows is None else _inside(values[position], *windows[position])
            sample.set_field(PixelData(data=image), field, dtype=PixelData)
        samples.append(sample)
    return samples


def _inside(image: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    return image[:, top : top + height, left : left + width]
