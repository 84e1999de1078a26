"""Names and shapes of the public ATRC for any tasks, genotype and width, under the trunk of a golden run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from golden_models import filled, published_shapes
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
Numbers = Mapping[str, Mapping[str, int]]
"""`{target: {source: number}}`, numbers as in the public genotype files."""

AUXILIARY = {"depth": 40, "normals": 40, "edge": 2}
"""Classes of the auxiliary heads that differ from the channels of the task."""


def state_of(run: str, channels: Mapping[str, int], genotype: Numbers | None) -> dict[str, Tensor]:
    """The state dict under the fill rule.

    Args:
        run: golden run with the trunk.
        channels: channels of the predictions, by the public names of the tasks, in order.
        genotype: contexts by number; None for the baseline without any.
    """
    shapes = {name: shape for name, shape in published_shapes(run).items() if name.startswith("backbone.")}
    wide = 720 if run.endswith("48") else 270
    for task in channels:
        shapes |= normalised(f"head.bottleneck.{task}", wide // 4, wide, 3)
    if genotype is not None:
        shapes |= contexts(list(channels), genotype, channels, wide)
    for task, count in channels.items():
        shapes |= {
            f"head.final_logits.{task}.weight": (count, wide // 4, 1, 1),
            f"head.final_logits.{task}.bias": (count,),
        }
    return {name: filled(name, shape) for name, shape in shapes.items()}


def contexts(tasks: Sequence[str], genotype: Numbers, channels: Mapping[str, int], wide: int) -> Shapes:
    """Auxiliary heads, blocks and what fuses them."""
    shapes: Shapes = {}
    width, narrow = wide // 4, wide // 8
    for task in tasks:
        if 3 in genotype[task].values() or any(genotype[target][task] == 4 for target in tasks):
            count = AUXILIARY.get(task, channels[task])
            shapes |= normalised(f"head.aux_conv.{task}", wide, wide)
            shapes |= {f"head.aux_logits.{task}.weight": (count, wide, 1, 1), f"head.aux_logits.{task}.bias": (count,)}
        sources = [source for source in tasks if genotype[task][source]]
        for source in sources:
            block = f"head.atrc_module.cp_blocks.{task}.{source}."
            for part in ("query", "key"):
                shapes |= normalised(f"{block}{part}_project.0", narrow, width)
                shapes |= normalised(f"{block}{part}_project.1", narrow, narrow)
            shapes |= normalised(f"{block}value_project", narrow, width)
        if sources:
            shapes |= normalised(f"head.atrc_module.out_proj.{task}", width, narrow * len(sources))
        shapes |= normalised(f"head.atrc_module.bottleneck.{task}.0", width, 2 * width if sources else width)
    return shapes


def normalised(name: str, out_channels: int, channels: int, kernel_size: int = 1) -> Shapes:
    """A convolution without bias and its normalisation."""
    vectors = ("weight", "bias", "running_mean", "running_var")
    return {
        f"{name}.conv.weight": (out_channels, channels, kernel_size, kernel_size),
        **{f"{name}.bn.{vector}": (out_channels,) for vector in vectors},
        f"{name}.bn.num_batches_tracked": (),
    }
