"""Hard parameter sharing: one network up to the task heads, the multi-task baseline.

Source: Caruana, "Multitask Learning", Machine Learning 1997, https://doi.org/10.1023/A:1007379606734; on HRNet it is
the "MTL" baseline of Bruggemann et al., ICCV 2021, https://arxiv.org/abs/2104.13874.
Differs from the paper: nothing on HRNet; the other backbones have a light decoder, see `decoders.make_decoder`.
Consulted: https://github.com/brdav/atrc, commit 76d8055, for widths and initialisation; nothing copied.
"""

from __future__ import annotations

from torch import Tensor

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import task_heads, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.decoders import make_decoder


@METHODS.register("hard_sharing", title="Hard sharing", paper="https://doi.org/10.1023/A:1007379606734", year=1997)
class HardSharing(Method):
    """All tasks share the backbone and the decoder; each has a head. The decoder's map goes to the regularizer.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
    """

    def __init__(self, tasks: TaskSet, backbone: str) -> None:
        super().__init__(tasks, backbone)
        self.backbone = make_backbone(backbone)
        self.decoder, spec = make_decoder(self.backbone)
        self.heads = task_heads(spec.channels, tasks)
        self.feature_specs = (spec,)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task from one shared map."""
        features = self.decoder(self.backbone(images))
        size = images.shape[-2:]
        predictions = {name: upsample_to(head(features), size) for name, head in self.heads.items()}
        return MultiTaskOutput(predictions, features=(features,))
