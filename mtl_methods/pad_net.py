"""PAD-Net: predict every task once, let the tasks' features exchange gated messages, predict again.

Source: Xu et al., "PAD-Net: Multi-Tasks Guided Prediction-and-Distillation Network for Simultaneous Depth Estimation
and Scene Parsing", CVPR 2018, https://arxiv.org/abs/1805.04409; on HRNet as in Vandenhende et al., "Multi-Task Learning
for Dense Prediction Tasks: A Survey", TPAMI 2021, https://arxiv.org/abs/2004.13379.
Differs from the paper: by default it is the network of the survey's public code (HRNet in place of ResNet-50, gates
computed from the source of a message in place of its target, two residual bottlenecks per task); gate="target" is the
paper's distillation. Backbones other than HRNet have a light decoder, see `decoders.make_decoder`, and its width.
Consulted: counts, tensor names and outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit
ed3d9ac, CC BY-NC 4.0; nothing copied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

from torch import Tensor, nn

from benchmark.contracts import Auxiliary, Method, MultiTaskOutput
from benchmark.heads import ConvBNReLU, head_width, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.choices import choose
from mtl_methods._shared.decoders import make_decoder
from mtl_methods._shared.distillation import make_distillation
from mtl_methods._shared.residual_blocks import bottleneck

PUBLISHED_WIDTH = 256


def _pointwise_bn_relu(channels: int) -> nn.Module:
    """Layers after the concatenated branches of HRNet in the public code: 1x1 convolution (with bias), BN, ReLU."""
    return nn.Sequential(nn.Conv2d(channels, channels, kernel_size=1), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


def _residual_branch(channels: int, width: int) -> nn.Module:
    first = bottleneck(channels, width, project=channels != width)
    return nn.Sequential(first, bottleneck(width, width, project=False))


def _residual_head(width: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        bottleneck(width, width, project=False),
        bottleneck(width, width, project=False),
        nn.Conv2d(width, out_channels, kernel_size=1),
    )


def _head_branch(channels: int, width: int) -> nn.Module:
    return ConvBNReLU(channels, width, kernel_size=3)


def _logits(width: int, out_channels: int) -> nn.Module:
    """The last layer of the ATRC harness."""
    layer = nn.Conv2d(width, out_channels, kernel_size=1)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer


LAYERS: dict[str, tuple[Callable[[int, int], nn.Module], Callable[[int, int], nn.Module]]] = {
    "trunk": (_residual_branch, _residual_head),
    "heads": (_head_branch, _logits),
}
"""By where the distillation is: (channels, width) -> features of a task, (width, out_channels) -> its final head."""


@METHODS.register("pad_net", title="PAD-Net", paper="https://arxiv.org/abs/1805.04409", year=2018)
class PADNet(Method):
    """Shared encoder and decoder; all further layers are per task. Regularizers read the map of the decoder.

    `MultiTaskOutput.auxiliary` are the initial predictions, at stride 4, supervised with the tasks' own losses.

    | variant | row or file | parameters for four tasks: published, here |
    | --- | --- | --- |
    | where="trunk", gate="source" | MTL-PyTorch on HRNet-W18-small-v2 | 19,521,848, 19,521,848 |
    | the same, final_tasks semseg and depth | its NYU-v2 configuration as shipped | 12,161,332, 12,161,332 |
    | where="heads", gate="target" | "PAD-Net" of the HRNet-18 tables on NYU-v2 | 5.02 M, 5,021,384 |

    The last row is inferred from its count. Of its parameters 3,060 make the initial predictions, which nothing reads
    in evaluation; without them there are 5,018,324.

    Args:
        tasks: tasks to predict; the distillation reads the features of all of them.
        backbone: name known to `make_backbone`.
        where: "trunk" for two residual bottlenecks per task and as many after the distillation; "heads" for a
            distillation between the two layers of the ATRC harness's heads.
        gate: "source" for gates computed from the features that a message comes from (public code), "target" for
            gates from the features that it goes to (paper).
        width: channels of a task's features. None for the published ones: on HRNet 256 in the trunk and a quarter of
            its channels in the heads (67 for HRNet-18), elsewhere the width of the decoder.
        final_tasks: tasks that are predicted a second time, None for all. The others (the public code calls them
            auxiliary tasks) give features and are predicted once, by their initial prediction.

    Raises:
        ValueError: for another `where` or `gate`.
        KeyError: if a final task is not one of the tasks.
    """

    def __init__(
        self,
        tasks: TaskSet,
        backbone: str,
        where: str = "trunk",
        gate: str = "source",
        width: int | None = None,
        final_tasks: Sequence[str] | None = None,
    ) -> None:
        super().__init__(tasks, backbone)
        make_branch, make_head = choose("where", where, LAYERS)
        finals = tasks if final_tasks is None else tasks.select(final_tasks)
        self.backbone = make_backbone(backbone)
        self.decoder, spec = make_decoder(self.backbone)
        concatenated = where == "trunk" and self.backbone.parallel
        width = width or _published_width(where, spec.channels, concatenated)
        self.fuse = _pointwise_bn_relu(spec.channels) if concatenated else nn.Identity()
        self.branches = nn.ModuleDict({name: make_branch(spec.channels, width) for name in tasks})
        self.initial = nn.ModuleDict({name: nn.Conv2d(width, task.channels, 1) for name, task in tasks.items()})
        self.distillation = make_distillation(gate, list(finals), list(tasks), width)
        self.heads = nn.ModuleDict({name: make_head(width, task.channels) for name, task in finals.items()})
        self.feature_specs = (spec,)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task, and the final tasks again from the distilled features."""
        (shared,) = self.share(self.decoder(self.backbone(images)))
        fused = self.fuse(shared)
        features = {name: branch(fused) for name, branch in self.branches.items()}
        first = {name: layer(features[name]) for name, layer in self.initial.items()}
        refined = self.distillation(features)
        last = {name: head(refined[name]) for name, head in self.heads.items()}
        # The only prediction of a task without a final prediction is not auxiliary as well.
        predictions = {name: upsample_to(last.get(name, first[name]), images.shape[-2:]) for name in first}
        auxiliary = tuple(Auxiliary("initial", name, first[name]) for name in last)
        return MultiTaskOutput(predictions, features=(shared,), auxiliary=auxiliary)


def _published_width(where: str, channels: int, concatenated: bool) -> int:
    if where == "heads":
        return head_width(channels)
    return PUBLISHED_WIDTH if concatenated else channels
