"""Task heads of the public code.

| kind | layers | where |
| --- | --- | --- |
| "fcn" | 3x3 ConvBNReLU to a quarter, 1x1 | ATRC harness, `benchmark.heads.FCNHead` |
| "hrnet" | 1x1 (with bias) BN ReLU of the same width, 1x1 | MTL-PyTorch on HRNet |
| "deeplab" | atrous pyramid pooling (rates 12, 24, 36), 3x3 ConvBNReLU, 1x1 | MTL-PyTorch on dilated ResNet |

Source: specs of the released code of Vandenhende et al., "Multi-Task Learning for Dense Prediction Tasks: A Survey",
TPAMI 2021, https://arxiv.org/abs/2004.13379, and of Bruggemann et al., ICCV 2021, https://arxiv.org/abs/2104.13874.
Nothing copied; the DeepLab head is torchvision's, which has the same layers.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn
from torchvision.models.segmentation.deeplabv3 import DeepLabHead

from benchmark.heads import FCNHead, head_width
from benchmark.tasks import TaskSet
from mtl_methods._shared.choices import choose

ATROUS_RATES = (12, 24, 36)


class HighResolutionHead(nn.Sequential):
    """1x1 convolution, BN, ReLU of the same width, then a 1x1 convolution; (B, C, h, w) -> (B, out, h, w).

    Args:
        channels: channels of the incoming map, the concatenated branches of HRNet.
        out_channels: channels of the prediction.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, kernel_size=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, out_channels, kernel_size=1),
        )


def _fcn(channels: int, out_channels: int) -> nn.Module:
    return FCNHead(channels, head_width(channels), out_channels)


def _deeplab(channels: int, out_channels: int) -> nn.Module:
    head: nn.Module = DeepLabHead(channels, out_channels, ATROUS_RATES)
    return head


HEADS: dict[str, Callable[[int, int], nn.Module]] = {"fcn": _fcn, "hrnet": HighResolutionHead, "deeplab": _deeplab}
"""(channels, out_channels) -> head, by kind."""


def make_head(kind: str, channels: int, out_channels: int) -> nn.Module:
    """A head of the table at the top of this module.

    Raises:
        ValueError: for another kind.
    """
    return choose("head", kind, HEADS)(channels, out_channels)


def make_heads(kind: str, channels: int, tasks: TaskSet) -> nn.ModuleDict:
    """One head per task on a map of `channels` channels."""
    return nn.ModuleDict({name: make_head(kind, channels, task.channels) for name, task in tasks.items()})
