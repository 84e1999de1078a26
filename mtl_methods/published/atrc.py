"""ATRC of the authors' code: HRNet, any tasks, any genotype; plain state dicts and those of their training module.

Source: tensor names and shapes of https://github.com/brdav/atrc, commit 76d8055.

The tensors of a block do not say which context it is: global, local, T-label and S-label blocks have the same. What a
file shows is which pairs of tasks have a block and which tasks have an auxiliary head. Where the published genotype of
the width has just these, it is taken for that of the file, and so is one of another width that leaves edges out. Else,
and where that is wrong (T-label or S-label on every edge leave the same tensors), the option `genotype` has to say it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from mtl_methods.atrc.auxiliary import even_directions
from mtl_methods.atrc.genotypes import (
    NONE,
    PUBLIC_TASK_NAMES,
    PUBLISHED,
    Genotype,
    checked,
    default_name,
    label_tasks,
    our_task,
)
from mtl_methods.published.description import Published
from mtl_methods.published.mtl_pytorch import hrnet_of, hrnet_rules, length_of, tasks_in
from mtl_methods.published.renaming import ImportRefusedError, Rules

FORMAT = "atrc"
TRUNK = "backbone."
BLOCK = r"head\.atrc_module\.cp_blocks\.([^.]+)\.([^.]+)\."
CENTROIDS = "criterion.loss_dict.normals.aux.centroids"
LOSS_WEIGHTS = re.compile(r"criterion\.loss_dict\.[^.]+\.[^.]+\.class_weight")


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True where task features are refined by a module of contexts."""
    return any(name.startswith("head.atrc_module.") for name in state)


def describe(state: Mapping[str, Tensor]) -> Published:
    """The network of a state dict that `recognise` knows; without the option `genotype` where the file fits none.

    Raises:
        ImportRefusedError: naming the tensor that says something impossible, or nothing.
    """
    names = tasks_in(state, r"head\.final_logits\.([^.]+)\.(?:weight|bias)")
    channels = {our_task(name): length_of(state, f"head.final_logits.{name}.bias") for name in names}
    # A task branch has a quarter of the channels of the shared map.
    shared = 4 * length_of(state, f"head.bottleneck.{names[0]}.bn.weight")
    genotype = fitting_genotype(state, list(channels), shared)
    return Published("atrc", hrnet_of(state, TRUNK), channels, {} if genotype is None else {"genotype": genotype})


def fitting_genotype(state: Mapping[str, Tensor], tasks: Sequence[str], channels: int) -> str | None:
    """Name of the published genotype whose blocks and auxiliary heads are those of the file, if they tell it.

    Args:
        state: the published state dict.
        tasks: our names of the tasks.
        channels: channels of the shared map; they decide where two genotypes fit.
    """
    matches = (re.match(BLOCK, name) for name in state)
    blocks = {(our_task(match[1]), our_task(match[2])) for match in matches if match}
    heads = {our_task(name) for name in _tasks_below(state, r"head\.aux_logits\.([^.]+)\.bias")}
    fitting = [
        name
        for name, genotype in PUBLISHED.items()
        if set(tasks) <= set(genotype) and _traces(checked(genotype, tasks, name)) == (blocks, heads)
    ]
    preferred = default_name(tasks, channels)
    if preferred in fitting:
        return preferred
    # Blocks on all edges are left by many genotypes, and say nothing of one.
    return next(iter(fitting), None) if len(blocks) < len(tasks) ** 2 else None


def _traces(genotype: Genotype) -> tuple[set[tuple[str, str]], set[str]]:
    """What a genotype leaves in a file: pairs of tasks with a block, tasks with an auxiliary head."""
    pairs = {(target, source) for target, row in genotype.items() for source, context in row.items() if context != NONE}
    return pairs, set(label_tasks(genotype))


def prepared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with the directions of the normals clusters, and without buffers that are no part of ours.

    The directions are in checkpoints of the training module; the network alone has none, and gets evenly spread ones,
    which are used in training only. Class weights of losses are settings of a task here.
    """
    kept = {name: tensor for name, tensor in state.items() if not LOSS_WEIGHTS.fullmatch(name)}
    head = "head.aux_logits.normals.bias"
    if head not in kept:
        kept.pop(CENTROIDS, None)
    elif CENTROIDS not in kept:
        kept[CENTROIDS] = even_directions(length_of(state, head))
    return kept


def rules(description: Published) -> Rules:
    """Renaming rules of that network.

    Raises:
        ImportRefusedError: if nobody said which contexts its blocks are.
    """
    if "genotype" not in description.options:
        raise ImportRefusedError(
            f"the file has blocks and auxiliary heads of no published genotype ({', '.join(PUBLISHED)}), and its "
            "tensors do not say which contexts they are; give the option genotype: global, local, t_label, s_label, "
            "or the .json file of the genotype"
        )
    found = [*hrnet_rules(TRUNK), (re.escape(CENTROIDS), "auxiliary_heads.normals.centroids")]
    for ours in description.channels:
        theirs = re.escape(published_task(ours))
        found += [
            (rf"head\.bottleneck\.{theirs}\.", f"branches.{ours}."),
            (rf"head\.aux_conv\.{theirs}\.", f"auxiliary_heads.{ours}.hidden."),
            (rf"head\.aux_logits\.{theirs}\.", f"auxiliary_heads.{ours}.logits."),
            (rf"head\.atrc_module\.out_proj\.{theirs}\.", f"distillation.{ours}.project."),
            (rf"head\.atrc_module\.bottleneck\.{theirs}\.0\.", f"distillation.{ours}.fuse."),
            (rf"head\.final_logits\.{theirs}\.", f"logits.{ours}."),
        ]
        found += [rule for source in description.channels for rule in _block_rules(ours, source)]
    return found


def published_task(name: str) -> str:
    """The published name of one of our tasks."""
    return {ours: theirs for theirs, ours in PUBLIC_TASK_NAMES.items()}.get(name, name)


def _tasks_below(state: Mapping[str, Tensor], pattern: str) -> list[str]:
    return [match[1] for match in (re.fullmatch(pattern, name) for name in state) if match]


def _block_rules(target: str, source: str) -> Rules:
    theirs = re.escape(f"head.atrc_module.cp_blocks.{published_task(target)}.{published_task(source)}.")
    ours = f"contexts.{target}.{source}."
    projections = [
        (rf"{theirs}{part}_project\.{place}\.", f"{ours}{part}.{layer}.")
        for part in ("query", "key")
        for place, layer in enumerate(("first", "second"))
    ]
    return [*projections, (rf"{theirs}value_project\.", f"{ours}value.")]
