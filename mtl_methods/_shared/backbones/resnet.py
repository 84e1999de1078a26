"""ResNet, plain and dilated to an output stride of 8.

Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385; dilation
as in Yu et al., "Dilated Residual Networks", CVPR 2017, https://arxiv.org/abs/1705.09914.
Differs from the paper: nothing; built by timm. The dilated variants keep the first convolution of a dilated stage at
half its dilation, as the published multi-task code does.
Consulted: nothing.
"""

from __future__ import annotations

from torch import nn

from benchmark.contracts import FeatureSpec
from benchmark.registry import BACKBONES
from mtl_methods._shared.backbones.interface import Backbone, StagePyramid
from mtl_methods._shared.backbones.weights import timm_trunk

PAPER = "https://arxiv.org/abs/1512.03385"
DILATED_PAPER = "https://arxiv.org/abs/1705.09914"
# Torchvision's first weights: the ones that the published multi-task networks started from.
TAG = "tv_in1k"


@BACKBONES.register("resnet18", title="ResNet-18", paper=PAPER, year=2016)
def resnet18(weights: str) -> Backbone:
    """11.2 M parameters; 64 to 512 channels at strides 4 to 32."""
    return _resnet("resnet18", weights, output_stride=32)


@BACKBONES.register("resnet50", title="ResNet-50", paper=PAPER, year=2016, large=True)
def resnet50(weights: str) -> Backbone:
    """23.5 M parameters; 256 to 2048 channels at strides 4 to 32."""
    return _resnet("resnet50", weights, output_stride=32)


@BACKBONES.register("resnet18_dilated", title="ResNet-18 (dilated)", paper=DILATED_PAPER, year=2017)
def resnet18_dilated(weights: str) -> Backbone:
    """As `resnet18` with strides 4, 8, 8, 8."""
    return _resnet("resnet18", weights, output_stride=8)


@BACKBONES.register("resnet50_dilated", title="ResNet-50 (dilated)", paper=DILATED_PAPER, year=2017, large=True)
def resnet50_dilated(weights: str) -> Backbone:
    """As `resnet50` with strides 4, 8, 8, 8."""
    return _resnet("resnet50", weights, output_stride=8)


def _resnet(model: str, weights: str, output_stride: int) -> Backbone:
    trunk = timm_trunk(model, weights, TAG, num_classes=0, output_stride=output_stride)
    stem = nn.Sequential(trunk.conv1, trunk.bn1, trunk.act1, trunk.maxpool)
    stages = [trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4]
    # The first entry of timm's list is the stem.
    specs = [FeatureSpec(info["num_chs"], info["reduction"]) for info in trunk.feature_info[1:]]
    return Backbone(stem, stages, [(spec,) for spec in specs], StagePyramid(), specs)
