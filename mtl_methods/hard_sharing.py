"""Hard parameter sharing: one network up to the task heads, the multi-task baseline.

Source: Caruana, "Multitask Learning", Machine Learning 1997, https://doi.org/10.1023/A:1007379606734; on HRNet it is
the "MTL" baseline of Bruggemann et al., ICCV 2021, https://arxiv.org/abs/2104.13874.
Differs from the paper: nothing on HRNet. The other backbones have a light decoder, see `decoders.make_decoder`.
Consulted: https://github.com/brdav/atrc, commit 76d8055, for widths and initialisation; for the other two heads the
counts, tensor names and outputs of https://github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac;
nothing copied.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.decoders import make_head_input
from mtl_methods._shared.heads import make_heads


@METHODS.register("hard_sharing", title="Hard sharing", paper="https://doi.org/10.1023/A:1007379606734", year=1997)
class HardSharing(Method):
    """Shared backbone and decoder, one head per task. Regularizers read the map that the heads read.

    | variant | row or file | parameters for four tasks: published, here |
    | --- | --- | --- |
    | head="fcn" | ATRC harness: "MTL" of the NYU-v2 tables on HRNet-W18-small-v2 | 4.52 M, 4,515,556 |
    | head="hrnet" | MTL-PyTorch on the same backbone | 4,167,755, 4,167,755 |
    | head="deeplab" | MTL-PyTorch on resnet50_dilated | 88,021,357, 88,021,357 |

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        head: "fcn", "hrnet" or "deeplab", see `heads.make_head`; a DeepLab head reads the encoder's last map.
    """

    def __init__(self, tasks: TaskSet, backbone: str, head: str = "fcn") -> None:
        super().__init__(tasks, backbone)
        self.backbone = make_backbone(backbone)
        self.decoder, spec = make_head_input(head, self.backbone)
        self.heads = make_heads(head, spec.channels, tasks)
        self.feature_specs = (spec,)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task from one shared map."""
        (features,) = self.share(self.decoder(self.backbone(images)))
        size = images.shape[-2:]
        predictions = {name: upsample_to(head(features), size) for name, head in self.heads.items()}
        return MultiTaskOutput(predictions, (features,))
