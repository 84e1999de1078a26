"""The evaluated model, and the training module that adds a regularizer.

`MultiTaskModel` is a method and its tasks; it is saved, counted, exported and evaluated. `TrainingModule` is a model
and a regularizer, for the Runner, DDP and resume checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, cast

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor

from benchmark.contracts import Auxiliary, Batch, Method, MultiTaskOutput, Regularizer
from benchmark.heads import read_out
from benchmark.losses import task_loss
from benchmark.losses.batch_parts import share
from benchmark.tasks import TaskSet
from benchmark.training.gradient_calibration import RATIO, Calibration, GradientProbe
from benchmark.training.part_terms import change_rows, over_parts, share_of_terms
from benchmark.training.random_stream import RandomStream

LOSS = "loss_"
"""Prefix of loss terms, which are summed."""
DIAGNOSTIC = "regularizer_"
"""Prefix of the values that a regularizer logs in addition to its terms."""


class ChannelsLast(BaseDataPreprocessor):
    """Moves a batch to the model's device and stores its images as channels-last, the fast layout of convolutions."""

    def forward(self, data: Any, training: bool = False) -> Any:
        """Convert a batch, see `Batch`."""
        batch = self.cast_data(data)
        batch["images"] = batch["images"].contiguous(memory_format=torch.channels_last)
        return batch


class MultiTaskModel(BaseModel):
    """A method and the losses of its tasks.

    Args:
        method: the network.
        tasks: tasks of the network, with the loss settings of the recipe.
    """

    def __init__(self, method: Method, tasks: TaskSet) -> None:
        super().__init__(data_preprocessor=ChannelsLast())
        self.method = method
        self.tasks = tasks

    def init_weights(self) -> None:
        """Do nothing: mmengine would call `init_weights` of every timm module and overwrite pretrained weights."""

    def forward(self, images: Tensor, mode: str = "tensor", **batch: Any) -> Any:
        """Run the method.

        Args:
            images: (B, 3, H, W) normalised images.
            mode: "tensor" for the method's output, "loss" for weighted loss terms, "predict" for data samples.
            batch: other entries of `Batch`; "loss" needs `targets`.

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
        """Weighted losses of the predictions and auxiliary predictions, and the penalties of the method.

        Returns:
            Scalars named `loss_<task>`, `loss_<auxiliary>_<task>` and `loss_<penalty>`.

        Raises:
            ValueError: if two terms have the same name.
        """
        predicted = (
            (f"{LOSS}{name}", task.loss_weight * task_loss(task, output.predictions[name], targets[name]))
            for name, task in self.tasks.items()
        )
        auxiliary = ((_name_of(part), self._auxiliary_loss(part, targets)) for part in output.auxiliary)
        penalties = ((f"{LOSS}{name}", share(penalty)) for name, penalty in output.penalties.items())
        return without_duplicates(chain(predicted, auxiliary, penalties))

    def _auxiliary_loss(self, part: Auxiliary, targets: Mapping[str, Tensor]) -> Tensor:
        task = self.tasks[part.task]
        options = part.loss_options or None
        loss = task_loss(task, part.prediction, targets[part.task], loss=part.loss, loss_options=options)
        return part.weight * task.loss_weight * loss

    def task_losses(self, output: MultiTaskOutput, losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sum of the weighted losses of each task's prediction and auxiliary predictions, by task name.

        Args:
            output: output of the method.
            losses: losses from `losses`.
        """
        names = {name: [_name_of(part) for part in output.auxiliary if part.task == name] for name in self.tasks}
        return {
            name: sum((losses[auxiliary] for auxiliary in found), losses[f"{LOSS}{name}"])
            for name, found in names.items()
        }


class TrainingModule(BaseModel):
    """A model and its regularizer.

    Args:
        model: the model that is trained, evaluated and saved.
        regularizer: regularizer whose terms are added to the loss, or None.
        seed: seed of the regularizer's random numbers.
        calibration: calibration of the regularizer's weight; None for a fixed weight.
    """

    def __init__(
        self, model: MultiTaskModel, regularizer: Regularizer | None, seed: int, calibration: Calibration | None = None
    ) -> None:
        super().__init__(data_preprocessor=ChannelsLast())
        self.model = model
        self.regularizer = regularizer
        self.calibration = calibration
        if regularizer is not None:
            self.random_stream = RandomStream(seed)
            self.probe = GradientProbe()

    def init_weights(self) -> None:
        """Do nothing, see `MultiTaskModel.init_weights`."""

    def forward(self, images: Tensor, mode: str = "tensor", **batch: Any) -> Any:
        """Like `MultiTaskModel.forward`; the regularizer takes part in mode "loss" only.

        Raises:
            ValueError: if a term of the regularizer has the name of another loss term.
        """
        if mode != "loss" or self.regularizer is None or self.regularizer.weight == 0:
            return self.model(images, mode=mode, **batch)
        output = self._run(self.regularizer, images)
        complete = cast(Batch, {"images": images, **batch})
        losses = self.model.losses(output, batch["targets"])
        output = replace(output, task_losses=self.model.task_losses(output, losses))
        terms, logged = self._regularize(self.regularizer, complete, output, losses)
        return without_duplicates(chain(losses.items(), terms.items(), logged.items()))

    def parse_losses(self, losses: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Sum of the terms whose names begin with `loss_`, and the values of the whole batch to log.

        On several devices, the sum is the share of this device.

        mmengine would also add a diagnostic of a task whose name contains "loss".
        """
        logged = {name: value.mean() for name, value in losses.items()}
        total = torch.as_tensor(sum(value for name, value in logged.items() if name.startswith(LOSS)))
        return total, over_parts({"loss": total, **logged}, summed="loss")

    def _run(self, regularizer: Regularizer, images: Tensor) -> MultiTaskOutput:
        """Output of the method. A regularizer with `changes_features` changes its feature maps."""
        if not regularizer.changes_features:
            plain: MultiTaskOutput = self.model.method(images)
            return plain

        def change(position: int, features: Tensor) -> Tensor:
            with self.random_stream.active(images.device):
                return change_rows(regularizer, position, features)

        with self.model.method.changing_features(change):
            output: MultiTaskOutput = self.model.method(images)
        return output

    def _regularize(
        self, regularizer: Regularizer, batch: Batch, output: MultiTaskOutput, losses: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Terms and diagnostics of the regularizer, by the names that they are logged with."""
        calibrating = self.calibration is not None and not self.calibration.settled

        def work() -> dict[str, Tensor]:
            with self.random_stream.active(batch["images"].device), ramp_disabled(regularizer, calibrating):
                return share_of_terms(regularizer, batch, output)

        weights = [weight for weight in regularizer.parameters() if weight.requires_grad]
        terms, measured = self.probe.terms(
            work, losses, output.task_losses, output.features, weights, regularizer.progress
        )
        if self.calibration is not None:
            if self.training:
                self.calibration.measure(terms.values(), losses.values(), output.features)
            weight = self.calibration.factor()
            # Calibrate the terms at full weight, and train with the ramp.
            factor = weight * regularizer.ramp_factor() if calibrating else weight
            terms = {name: factor * term for name, term in terms.items()}
            ratios = {name: factor * value for name, value in measured.items() if name.startswith(RATIO)}
            measured = {**measured, **ratios, "calibrated_factor": torch.tensor(weight)}
        summed = ((name if name.startswith(LOSS) else f"{LOSS}{name}", term) for name, term in terms.items())
        diagnostics = chain(regularizer.diagnostics().items(), measured.items())
        return without_duplicates(summed), without_duplicates(
            (f"{DIAGNOSTIC}{name}", value) for name, value in diagnostics
        )


@contextmanager
def ramp_disabled(regularizer: Regularizer, disabled: bool) -> Iterator[None]:
    """Disable the ramp of a regularizer within the block, if `disabled`."""
    progress = regularizer.progress
    regularizer.progress = 1.0 if disabled else progress
    try:
        yield
    finally:
        regularizer.progress = progress


def without_duplicates(terms: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
    """Terms by name.

    Raises:
        ValueError: if a name occurs twice.
    """
    found: dict[str, Tensor] = {}
    for name, term in terms:
        if name in found:
            raise ValueError(
                f"two terms are named {name!r}; rename an auxiliary prediction or a penalty of the method, or a term "
                "or a diagnostic of the regularizer"
            )
        found[name] = term
    return found


def _name_of(part: Auxiliary) -> str:
    return f"{LOSS}{part.name}_{part.task}"


def data_samples(
    tasks: TaskSet,
    predictions: Mapping[str, Tensor],
    targets: Mapping[str, Tensor],
    names: list[str] | None = None,
    window: Tensor | None = None,
) -> list[SegDataSample]:
    """One mmsegmentation data sample per image, with fields `pred_<task>` and, for tasks with targets, `gt_<task>`.

    Args:
        tasks: the tasks.
        predictions: raw predictions (B, C, H, W).
        targets: targets of the same height and width.
        names: names of the images.
        window: (B, 4) top, left, height, width of each image inside its padding. The padding is removed, since it would
            add boundaries and change tolerances, which are shares of the image diagonal.
    """
    fields: dict[str, Tensor] = {}
    for name, task in tasks.items():
        fields[f"pred_{name}"] = read_out(task, predictions[name])
        if name in targets:
            target = targets[name]
            # Class maps have no channel axis, but PixelData needs one.
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
