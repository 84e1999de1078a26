"""MTI-Net: tasks exchange features at four scales, from coarse to fine.

Source: Vandenhende et al., "MTI-Net: Multi-Scale Task Interaction Networks for Multi-Task Learning", ECCV 2020,
https://arxiv.org/abs/2001.06902.
Differs from the paper: by default the feature propagation normalises over adjacent channels as the authors' code does,
the paper over the tasks (softmax="tasks"). Image sizes that are no multiple of 32 are padded and cropped inside.
Backbones other than HRNet pass through 1x1 convolutions to narrower maps.
Consulted: counts, tensor names and outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit
ed3d9ac, CC BY-NC 4.0; nothing copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import Auxiliary, FeatureSpec, Method, MultiTaskOutput
from benchmark.heads import ConvBNReLU, concatenate_maps, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.interface import Backbone
from mtl_methods._shared.choices import choose
from mtl_methods._shared.distillation import make_distillation
from mtl_methods._shared.heads import HighResolutionHead
from mtl_methods._shared.padding import UpsampleAndCut, share_over_images
from mtl_methods._shared.residual_blocks import basic_block

SIZE_MULTIPLE = 32
LATERAL_WIDTH = 16
"""Default number of channels of the finest map of a backbone without parallel branches."""

SQUEEZE = 16
"""Reduction of the squeeze-and-excitation of the feature propagation."""


@METHODS.register("mti_net", title="MTI-Net", paper="https://arxiv.org/abs/2001.06902", year=2020)
class MTINet(Method):
    """Shared encoder; all further layers are per task and scale. Regularizers read the four maps of the encoder.

    `MultiTaskOutput.auxiliary` are the initial predictions at strides 4 to 32 ("scale_0" to "scale_3"), each supervised
    with the tasks' own losses.

    | variant | row or file | parameters for four tasks: published, here |
    | --- | --- | --- |
    | softmax="channels" | MTL-PyTorch on HRNet-W18-small-v2 | 17,960,945, 17,960,945 |
    | the same, final_tasks semseg and depth | its NYU-v2 configuration as shipped | 14,838,121, 14,838,121 |
    | softmax="channels" on HRNet-W48 | "MTI-Net" of the NYU-v2 tables (45.97 mIoU) | 165,402,153, 165,402,153 |
    | softmax="tasks" | the paper's text | the same, the softmax has no parameters |

    The row "MTI-Net" of the tables on HRNet-18 (12.56 M parameters) is another implementation that is not public.

    Args:
        tasks: tasks to predict; feature propagation and distillation read the features of all of them.
        backbone: name known to `make_backbone`.
        softmax: axis over which the mask of the feature propagation sums to one: "channels" for as many adjacent
            channels as there are tasks (public code), "tasks" for the same channel of all tasks (paper).
        width: channels of the finest scale, twice as many on each coarser one, by 1x1 convolutions. None for the
            encoder's own maps on HRNet, 16 elsewhere.
        final_tasks: tasks that are predicted again from the distilled features, None for all. The others (the
            auxiliary tasks of the public code) are predicted by their initial prediction at the finest scale.

    Raises:
        ValueError: for another `softmax`.
        KeyError: if a final task is not one of the tasks.
    """

    def __init__(
        self,
        tasks: TaskSet,
        backbone: str,
        softmax: str = "channels",
        width: int | None = None,
        final_tasks: Sequence[str] | None = None,
    ) -> None:
        super().__init__(tasks, backbone)
        self.names = names = list(tasks)
        finals = tasks if final_tasks is None else tasks.select(final_tasks)
        self.backbone = make_backbone(backbone)
        self.laterals, self.feature_specs = make_laterals(self.backbone, width)
        channels = [spec.channels for spec in self.feature_specs]
        propagated = [*channels[1:], 0]
        self.predictors = nn.ModuleList(
            InitialPredictions(tasks, own + coarser, own) for own, coarser in zip(channels, propagated, strict=True)
        )
        self.propagation = nn.ModuleList(FeaturePropagation(names, count, softmax) for count in channels[1:])
        self.distillation = nn.ModuleList(make_distillation("source", list(finals), names, count) for count in channels)
        self.heads = nn.ModuleDict(
            {name: HighResolutionHead(sum(channels), task.channels) for name, task in finals.items()}
        )
        self.upsample = UpsampleAndCut()

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task at four scales, and the final tasks from the distilled features of all scales."""
        padded = pad_to_multiple(images, SIZE_MULTIPLE)
        size, padded_size = images.shape[-2:], padded.shape[-2:]
        pyramid = self.backbone(padded)
        maps = [lateral(level) for lateral, level in zip(self.laterals, pyramid, strict=True)]
        shared, maps = share_over_images(self.share, maps, self.feature_specs, size)
        features, initial = self._predict_scales(maps)
        refined = [distil(of_tasks) for distil, of_tasks in zip(self.distillation, features, strict=True)]
        last = {name: head(concatenate_maps([scale[name] for scale in refined])) for name, head in self.heads.items()}
        # The finest prediction of a task without a final prediction is not auxiliary as well.
        predictions = {
            name: self.upsample(last.get(name, first), padded_size, size) for name, first in initial[0].items()
        }
        auxiliary = tuple(
            Auxiliary(f"scale_{scale}", name, self._over_image(prediction, padded_size, size))
            for scale, of_tasks in enumerate(initial)
            for name, prediction in of_tasks.items()
            if scale or name in last
        )
        return MultiTaskOutput(predictions, shared, auxiliary)

    def _over_image(self, prediction: Tensor, padded_size: Sequence[int], size: Sequence[int]) -> Tensor:
        """Part of a prediction for padded images that covers the images; unchanged if nothing was padded."""
        return prediction if tuple(padded_size) == tuple(size) else self.upsample(prediction, padded_size, size)

    def _predict_scales(self, maps: Sequence[Tensor]) -> tuple[list[dict[str, Tensor]], list[dict[str, Tensor]]]:
        """Features and initial predictions of the tasks at each scale, finest first; computed from coarse to fine."""
        features: list[dict[str, Tensor]] = []
        initial: list[dict[str, Tensor]] = []
        for scale in reversed(range(len(maps))):
            inputs = dict.fromkeys(self.names, maps[scale])
            if features:
                propagated = self.propagation[scale](features[0])
                inputs = {
                    name: torch.cat([maps[scale], upsample_to(coarser, maps[scale].shape[-2:])], dim=1)
                    for name, coarser in propagated.items()
                }
            found, predicted = self.predictors[scale](inputs)
            features.insert(0, found)
            initial.insert(0, predicted)
        return features, initial


class InitialPredictions(nn.Module):
    """Features and a first prediction of each task at one scale.

    Args:
        tasks: the tasks.
        in_channels: channels of the incoming map of each task.
        channels: channels of the features.
    """

    def __init__(self, tasks: TaskSet, in_channels: int, channels: int) -> None:
        super().__init__()
        self.refinement = nn.ModuleDict({name: _two_blocks(in_channels, channels) for name in tasks})
        self.logits = nn.ModuleDict({name: nn.Conv2d(channels, task.channels, 1) for name, task in tasks.items()})

    def forward(self, inputs: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Maps (B, in_channels, h, w) -> features (B, channels, h, w) and predictions (B, C_task, h, w)."""
        features = {name: blocks(inputs[name]) for name, blocks in self.refinement.items()}
        return features, {name: layer(features[name]) for name, layer in self.logits.items()}


class FeaturePropagation(nn.Module):
    """Features of all tasks at one scale, combined for the next finer scale (FPM).

    A mask over the concatenated features of all tasks selects shared features. Each task applies its own
    squeeze-and-excitation to the shared features and adds its own features.

    Args:
        names: names of the tasks.
        channels: channels of the features of a task.
        softmax: "channels" or "tasks", see `MTINet`.
    """

    def __init__(self, names: Sequence[str], channels: int, softmax: str) -> None:
        super().__init__()
        together = len(names) * channels
        narrow = max(together // 4, 1)
        self.mask = nn.Sequential(
            basic_block(together, narrow, project=True),
            basic_block(narrow, narrow, project=False),
            nn.Conv2d(narrow, together, kernel_size=1),
        )
        self.shared = basic_block(together, channels, project=True)
        self.excitation = nn.ModuleDict({name: SqueezeExcitation(channels) for name in names})
        self.normalise = choose("softmax", softmax, MASKS)

    def forward(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Features (B, C, h, w) by task, in the order of the tasks -> the same shapes."""
        together = torch.cat([features[name] for name in self.excitation], dim=1)
        mask = self.normalise(self.mask(together), len(self.excitation))
        shared = self.shared(together * mask)
        return {name: excite(shared) + features[name] for name, excite in self.excitation.items()}


class SqueezeExcitation(nn.Module):
    """Channels weighted by a function of their means.

    Source: Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, https://arxiv.org/abs/1709.01507.

    Args:
        channels: channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = max(channels // SQUEEZE, 1)
        self.weights = nn.Sequential(
            nn.Linear(channels, squeezed), nn.ReLU(inplace=True), nn.Linear(squeezed, channels), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, h, w) -> the same shape."""
        return maps * self.weights(maps.mean(dim=(2, 3)))[:, :, None, None]


def over_adjacent_channels(scores: Tensor, num_tasks: int) -> Tensor:
    """Softmax over each group of `num_tasks` neighbours among all channels, as the public code has it."""
    return scores.unflatten(1, (-1, num_tasks)).softmax(dim=2).flatten(1, 2)


def over_tasks(scores: Tensor, num_tasks: int) -> Tensor:
    """Softmax over the tasks, whose channels follow one another, as the paper has it."""
    return scores.unflatten(1, (num_tasks, -1)).softmax(dim=1).flatten(1, 2)


MASKS: dict[str, Callable[[Tensor, int], Tensor]] = {"channels": over_adjacent_channels, "tasks": over_tasks}
"""(scores (B, T * C, h, w), T) -> mask of the same shape, by the axis over which it sums to one."""


def make_laterals(backbone: Backbone, width: int | None) -> tuple[nn.ModuleList, tuple[FeatureSpec, ...]]:
    """Layers that bring a pyramid to the widths of MTI-Net, and the maps that come out.

    Args:
        backbone: the encoder.
        width: see `MTINet`.
    """
    specs = backbone.feature_specs
    if width is None and backbone.parallel:
        return nn.ModuleList(nn.Identity() for _ in specs), specs
    width = width or LATERAL_WIDTH
    widths = [width * 2**level for level in range(len(specs))]
    laterals = [ConvBNReLU(spec.channels, count, kernel_size=1) for spec, count in zip(specs, widths, strict=True)]
    return nn.ModuleList(laterals), tuple(
        replace(spec, channels=count) for spec, count in zip(specs, widths, strict=True)
    )


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Zeros (the mean colour) on the right and below, up to whole multiples."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple))


def _two_blocks(in_channels: int, channels: int) -> nn.Module:
    first = basic_block(in_channels, channels, project=in_channels != channels)
    return nn.Sequential(first, basic_block(channels, channels, project=False))
