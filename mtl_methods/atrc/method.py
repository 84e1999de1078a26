"""ATRC: each task attends to the features of the other tasks, with a context that was searched for each pair of tasks.

Source: Bruggemann et al., "Exploring Relational Context for Multi-Task Dense Prediction", ICCV 2021,
https://arxiv.org/abs/2104.13874.
Differs from the paper: nothing on HRNet; the normals clusters are taken from the training split at hand (see
`auxiliary.DirectionHead`). Other backbones have a light decoder, see `decoders.make_decoder`, and task features of a
quarter of its width, but at least 64 channels.
Consulted: https://github.com/brdav/atrc, commit 76d8055, MIT licence, for layers, tensor names, initialisation and
genotypes; nothing copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import PredictionLayer, head_width, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_backbone
from mtl_methods._shared.backbones.hrnet import upsample_by_factors
from mtl_methods._shared.decoders import make_decoder
from mtl_methods.atrc.auxiliary import calibrate_directions, make_auxiliary_head, supervised
from mtl_methods.atrc.contexts import ContextBlock, ConvBN, Distillation, Sources, blocks_of, side_by_side
from mtl_methods.atrc.genotypes import NONE, label_tasks, resolve

PAPER = "https://arxiv.org/abs/2104.13874"


@METHODS.register("atrc", title="ATRC", paper=PAPER, year=2021)
class ATRC(Method):
    """Shared backbone and decoder; all further layers are per task. Regularizers read the map of the decoder.

    For each target task and each source task a block of attention distils a context: global (linear attention over the
    image), local (9x9 pixels around each pixel), T-label or S-label (the mean source features of each class of an
    auxiliary label map, of the target or of the source). `MultiTaskOutput.auxiliary` are the logits of these label
    maps, at the stride of the features. Only tasks whose label map a context needs have an auxiliary head.

    | variant | row or file | parameters for the four tasks of NYU-v2: published, here |
    | --- | --- | --- |
    | genotype="nyud_hrnet18" | "ATRC" on HRNet-W18-small-v2, 38.90 mIoU | 5,060,994, 5,060,994 |
    | genotype="nyud_hrnet48" | "ATRC" on HRNet-W48, 46.33 mIoU | 72,478,947, 72,478,947 |
    | genotype="global" | the public code's relationalglobal on HRNet-W18-small-v2 | 4,734,172, 4,734,172 |
    | genotype="local" | its relationallocal | 4,734,172, 4,734,172 |
    | genotype="t_label", "s_label" | its relationaltlabel, relationalslabel | 5,060,994, 5,060,994 |
    | genotype="pascal_hrnet18" | "ATRC" on PASCAL-Context, five tasks | not published |

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_backbone`.
        genotype: a name in `genotypes.PUBLISHED`; one of "global", "local", "t_label", "s_label" for all edges
            including the diagonal; the path of a .json file that the search wrote; or `{target: {source: context}}`.
            None for the published genotype that fits: on NYU-v2 the one of HRNet-W48 for a decoder of its width or
            wider, else the one of HRNet-W18. Edges of tasks that it does not contain are global. See
            `genotypes.resolve`.
        dropout: probability with which a channel of the refined features is dropped.

    Raises:
        GenotypeError: if the genotype does not exist, cannot be read or does not fit the tasks.
    """

    def __init__(
        self,
        tasks: TaskSet,
        backbone: str,
        genotype: str | Mapping[str, Mapping[str, str]] | None = None,
        dropout: float = 0.05,
    ) -> None:
        super().__init__(tasks, backbone)
        self.backbone = make_backbone(backbone)
        upsample_by_factors(self.backbone)
        self.decoder, spec = make_decoder(self.backbone)
        self.feature_specs = (spec,)
        self.genotype = resolve(genotype, list(tasks), spec.channels)
        width = head_width(spec.channels)
        self.branches = nn.ModuleDict({name: ConvBN(spec.channels, width, kernel_size=3) for name in tasks})
        self.auxiliary_heads = nn.ModuleDict(
            {name: make_auxiliary_head(tasks[name], spec.channels) for name in label_tasks(self.genotype)}
        )
        contexts = {target: context_blocks(row, width) for target, row in self.genotype.items()}
        self.contexts = nn.ModuleDict(contexts)
        self.distillation = nn.ModuleDict(
            {name: Distillation(width, len(blocks) * (width // 2), dropout) for name, blocks in contexts.items()}
        )
        self.logits = nn.ModuleDict({name: PredictionLayer(width, task.channels) for name, task in tasks.items()})

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task from its features and the contexts that it draws from all tasks."""
        (shared,) = self.share(self.decoder(self.backbone(images)))
        features = task_features(self.branches, shared)
        labels = {name: head(shared) for name, head in self.auxiliary_heads.items()}
        # In eval mode each block gathers its contexts, as the public code does: operations are compared with it.
        sources = Sources(features, labels, share=self.training)
        refined = {name: self._refined(name, sources) for name in features}
        size = images.shape[-2:]
        return MultiTaskOutput(
            {name: upsample_to(self.logits[name](maps), size) for name, maps in refined.items()},
            features=(shared,),
            auxiliary=supervised(self.auxiliary_heads, labels),
        )

    def calibrate(self, targets: Iterable[Mapping[str, Tensor]]) -> None:
        """Cluster the normals of the training split if a context needs a label map of normals."""
        calibrate_directions(self.auxiliary_heads.values(), targets)

    def _refined(self, target: str, sources: Sources) -> Tensor:
        row, own = self.genotype[target], sources.features[target]
        blocks = blocks_of(self.contexts, target).items()
        contexts = [block(own, sources.of(target, source, row[source])) for source, block in blocks]
        refined: Tensor = self.distillation[target](own, contexts)
        return refined


def task_features(branches: nn.ModuleDict, shared: Tensor) -> dict[str, Tensor]:
    """The features of every task, (B, C, h, w), from the shared map."""
    maps = side_by_side([branch for branch in branches.values() if isinstance(branch, ConvBN)], shared)
    return dict(zip(branches, maps, strict=True))


def context_blocks(row: Mapping[str, str], width: int) -> nn.ModuleDict:
    """The blocks of one target, by source, for the edges that have a context."""
    return nn.ModuleDict(
        {source: ContextBlock(width, width // 2, context) for source, context in row.items() if context != NONE}
    )
