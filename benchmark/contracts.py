"""Interfaces between methods, regularizers and data sets.

A method maps images to predictions and shares feature maps. A regularizer maps a batch and the output of the method to
weighted loss terms. Neither depends on the other, on an optimizer, a device or a runner.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypedDict, cast

import torch
from torch import Tensor, nn

from benchmark.tasks import TaskSet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet statistics of RGB on 0..1, which normalise the images of every `Batch`."""


class SecondView(TypedDict):
    """A second posed view of the scene of each sample.

    Attributes:
        targets: targets of the second view, as in `Batch`.
        intrinsics: intrinsics of the second view, as in `Batch`.
        pose: (B, 4, 4) float32 from the camera of the sample to the camera of the second view, metres; x right, y
            down, z forward.
        has_second_view: (B,) bool; the other fields are undefined where it is False.
    """

    targets: dict[str, Tensor]
    intrinsics: Tensor
    pose: Tensor
    has_second_view: Tensor


class Batch(TypedDict, total=False):
    """A collated batch of any data set.

    Attributes:
        images: (B, 3, H, W) float32 RGB, ImageNet-normalised; padding is exactly zero in all channels.
        targets: by task name; `benchmark.tasks` gives shape, unit and the value of a missing label.
        intrinsics: (B, 3, 3) float32 pinhole matrix in pixels of `images`; pixel centres are at integer + 0.5.
        index: (B,) position of each sample in its split.
        name: names of the B samples.
        window: (B, 4) top, left, height, width of each image inside its padding; present in padded evaluations.
        second_view: present if pairs of posed views are merged into the training split.
    """

    images: Tensor
    targets: dict[str, Tensor]
    intrinsics: Tensor
    index: Tensor
    name: list[str]
    window: Tensor
    second_view: SecondView


@dataclass(frozen=True)
class FeatureSpec:
    """Description of a feature map.

    Args:
        channels: number of channels.
        stride: input size divided by map size; the map size is rounded up.
        task: the only task that reads this map, None if all tasks share it.
    """

    channels: int
    stride: int
    task: str | None = None


@dataclass(frozen=True)
class Auxiliary:
    """Additional supervised prediction of a method (deep supervision), for the training loss only.

    Args:
        name: prefix of the logged loss, "initial" or "scale_2".
        task: name of the task whose target supervises it.
        prediction: (B, C, h, w); it is upsampled bilinearly to the size of the target.
        weight: factor, in addition to the loss weight of the task.
        loss: name of a loss in `benchmark.losses`, None for the task's own.
        loss_options: keywords of that loss.
    """

    name: str
    task: str
    prediction: Tensor
    weight: float = 1.0
    loss: str | None = None
    loss_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class MultiTaskOutput:
    """Output of a method.

    Args:
        predictions: by task name, (B, C_task, H, W) at input size: logits for semseg and boundary, metres for depth,
            vectors of any length for normals.
        features: the maps that `Method.share` returned, in the order of `Method.feature_specs`.
        auxiliary: additional supervised predictions; may be empty in eval mode.
        penalties: additional terms of the training loss that need no target: weighted scalars by name.
        task_losses: weighted loss of each task, auxiliary predictions included; scalars by task name, with their graph.
            The training fills it in before a regularizer reads the output.
    """

    predictions: dict[str, Tensor]
    features: tuple[Tensor, ...] = ()
    auxiliary: tuple[Auxiliary, ...] = ()
    penalties: Mapping[str, Tensor] = field(default_factory=dict)
    task_losses: Mapping[str, Tensor] = field(default_factory=dict)


FeatureChange = Callable[[int, Tensor], Tensor]
"""(position in `Method.feature_specs`, map (B, C, h, w)) -> map of the same shape."""


Share = Callable[..., tuple[Tensor, ...]]
"""Type of `Method.share`, for parts of a method that share maps."""


class Backbone(nn.Module):
    """Base class of encoders. Recipes may train the parameters of a method's backbones at a separate rate."""


class Method(nn.Module, ABC):
    """Multi-task network: images in, one prediction per task out.

    A subclass can be built from `(tasks, backbone)` alone. Every other constructor argument is a hyperparameter of the
    paper with the paper's value as default. `feature_specs` is set in the constructor. `forward` passes the feature
    maps through `share` and computes the predictions from the maps that `share` returns.
    """

    feature_specs: tuple[FeatureSpec, ...]
    feature_change: FeatureChange | None = None
    """Applied to every shared feature map; set by `changing_features` only."""

    @abstractmethod
    def __init__(self, tasks: TaskSet, backbone: str) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task.

        Args:
            images: (B, 3, H, W) ImageNet-normalised RGB; any H and W of at least 32.
        """

    def share(self, *maps: Tensor, first: int = 0) -> tuple[Tensor, ...]:
        """Share feature maps with regularizers.

        Compute the predictions from the returned maps, and return these in `MultiTaskOutput.features`.

        Args:
            maps: (B, C, h, w) each, in the order of `feature_specs`.
            first: position of the first of them in `feature_specs`, for a method that shares maps one after another.

        Returns:
            the maps themselves, or the changed ones within `changing_features`.
        """
        # Not disabled by a decorator, which would import the compiler and delay every launcher by seconds.
        return maps if self.feature_change is None else torch.compiler.disable(self._changed)(maps, first)

    def _changed(self, maps: tuple[Tensor, ...], first: int) -> tuple[Tensor, ...]:
        change = cast(FeatureChange, self.feature_change)
        return tuple(change(first + place, level) for place, level in enumerate(maps))

    @contextmanager
    def changing_features(self, change: FeatureChange) -> Iterator[None]:
        """Within the block, predictions are computed from changed feature maps."""
        self.feature_change = change
        try:
            yield
        finally:
            self.feature_change = None

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Parameters that are trained at the learning rate of backbones, and counted as parameters of backbones.

        The default finds every module of class `Backbone`. Override it in a method whose encoder is of another class.
        """
        backbones = [module for module in self.modules() if isinstance(module, Backbone)]
        return list(dict.fromkeys(parameter for backbone in backbones for parameter in backbone.parameters()))

    def calibrate(self, targets: Iterable[Mapping[str, Tensor]]) -> None:
        """Take statistics from the labels of the training split, once, before the first step.

        Args:
            targets: batches of training targets without augmentation; each task as in `Batch.targets`.

        The default does nothing.
        """

    def separate_optimizers(self) -> Mapping[str, Mapping[str, Any]]:
        """Optimizers of parameters that the optimizer of the recipe does not train.

        Returns:
            settings of an optimizer by prefix of the parameter names, such as
            `{"architecture": {"type": "Adam", "lr": 5e-4}}`. No schedule and no factor of the recipe changes these
            learning rates.

        The default is empty.
        """
        return {}

    @classmethod
    def needs(cls, backbone: str, options: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """Methods whose trained cells of the same recipe, backbone, tasks and seed this method starts from.

        Args:
            backbone: name of the backbone with its weights.
            options: other constructor arguments that the cell sets.

        Returns:
            constructor arguments of the needed cell by the name of its method. The grid trains these cells first.

        The default is empty.
        """
        return {}

    def start_from(self, trained: Mapping[str, Method]) -> None:
        """Copy weights of trained methods before the first step; called if `needs` is not empty.

        Args:
            trained: the methods that `needs` names, with their trained weights, in eval mode.

        Raises:
            ValueError: if the weights do not fit.
        """


class Regularizer(nn.Module, ABC):
    """An extra loss on the shared features or the predictions, in training only.

    It is not part of the model: state dict, parameter count, exported graph and eval outputs of the model are the same
    with and without it. It is built after the model and has its own random numbers, so the model's initial weights,
    data order and augmentation are also the same.

    Args:
        tasks: tasks of the run.
        feature_specs: `Method.feature_specs` of the method.
        weight: factor of all its terms; a regularizer of weight 0 is not run.
    """

    needs_features: ClassVar[bool] = True
    """True if the terms send a gradient into every feature map; False if they read predictions, or if there are no
    terms."""
    changes_features: ClassVar[bool] = False
    """True if `change` is applied in training to the feature maps that the predictions are computed from."""
    by_parts: ClassVar[bool] = False
    """True if `forward` and `change` may receive a part of a batch that is split over devices: `forward` then returns
    the share of this part in each term, and random numbers of images come from `random_rows` of
    `benchmark.losses.batch_parts`. False: every device computes the terms of the whole batch, from the maps and
    predictions of all devices."""
    progress: float = 1.0
    """Completed share of the training: 0 in the first step. Set by the training loop; 1 outside of it."""

    @abstractmethod
    def __init__(self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 1.0) -> None:
        super().__init__()
        if weight < 0:
            raise ValueError(f"a regularizer's weight must not be negative, found {weight}")
        self.weight = weight

    @abstractmethod
    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """Compute the weighted loss terms.

        Args:
            batch: the training batch.
            output: output of the method for this batch, with its graph and `task_losses`.

        Returns:
            scalars by name, multiplied by `weight`. The terms of a task are named `loss_<label>_<task>`.
        """

    def ramp_factor(self) -> float:
        """Factor in [0, 1] that `forward` applies to all terms at this `progress`; 1 for a regularizer without ramp."""
        return 1.0

    def change(self, position: int, features: Tensor) -> Tensor:
        """Change a feature map that the predictions are computed from; called if `changes_features`.

        Args:
            position: position of the map in `Method.feature_specs`.
            features: (B, C, h, w).

        Returns:
            a map of the same shape; by default `features` itself.
        """
        return features

    def predictions(self, batch: Batch, output: MultiTaskOutput) -> Mapping[str, Tensor]:
        """Raw predictions (B, C, h, w) of tasks that the regularizer makes itself, for pictures of the training.

        Called in evaluation mode; arguments as in `forward`. The default is empty.
        """
        return {}

    def diagnostics(self) -> Mapping[str, Tensor]:
        """Scalars of the last `forward` that are logged and not added to the loss, by name, without a graph."""
        return {}

    @classmethod
    def needs(cls, backbone: str, options: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """Methods whose trained cells this regularizer needs, such as teachers; see `Method.needs`."""
        return {}

    def start_from(self, trained: Mapping[str, Method]) -> None:
        """Receive the trained methods of `needs`, before the first step of every run; see `Method.start_from`."""

    def calibrate(self, targets: Iterable[Mapping[str, Tensor]]) -> None:
        """Learn from the labels of the training split, once, before the first step; see `Method.calibrate`."""
