"""ATRC of the authors' code: HRNet, any tasks, any genotype; state dicts of the network or of its training module.

Source: tensor names and shapes of https://github.com/brdav/atrc, commit 76d8055.

The tensors of a block do not determine its context: global, local, T-label and S-label blocks have the same tensors. A
file shows only the pairs of tasks that have a block and the tasks that have an auxiliary head. If the published
genotype for the tasks and width of the file has the same pairs and heads, it is used. Otherwise, if the file leaves
edges out, any published genotype with the same pairs and heads is used. In all other cases the option `genotype` is
needed. It is also needed if the genotype found in this way is wrong: T-label on every edge, or S-label on every edge,
gives the same tensors as "nyud_hrnet18".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

from mtl_methods.atrc.auxiliary import even_directions
from mtl_methods.atrc.genotypes import NONE, PUBLISHED, Genotype, checked, default_name, label_tasks
from mtl_methods.published.description import Published, our_task, published_task
from mtl_methods.published.mtl_pytorch import hrnet_of, hrnet_rules, length_of, tasks_in
from mtl_methods.published.renaming import ImportRefusedError, Rules

FORMAT = "atrc"
TRUNK = "backbone."
BLOCK = r"head\.atrc_module\.cp_blocks\.([^.]+)\.([^.]+)\."
CENTROIDS = "criterion.loss_dict.normals.aux.centroids"
LOSS_WEIGHTS = re.compile(r"criterion\.loss_dict\.[^.]+\.[^.]+\.class_weight")


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a state dict with a module of contexts."""
    return any(name.startswith("head.atrc_module.") for name in state)


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict; without the option `genotype` if no published genotype fits.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
    """
    names = tasks_in(state, r"head\.final_logits\.([^.]+)\.(?:weight|bias)")
    channels = {our_task(name): length_of(state, f"head.final_logits.{name}.bias") for name in names}
    # A task branch has a quarter of the channels of the shared map.
    shared = 4 * length_of(state, f"head.bottleneck.{names[0]}.bn.weight")
    genotype = fitting_genotype(state, list(channels), shared)
    return Published("atrc", hrnet_of(state, TRUNK), channels, {} if genotype is None else {"genotype": genotype})


def fitting_genotype(state: Mapping[str, Tensor], tasks: Sequence[str], channels: int) -> str | None:
    """Name of the published genotype with the blocks and auxiliary heads of the file; None if it is not clear.

    Args:
        state: the published state dict.
        tasks: our names of the tasks.
        channels: channels of the shared map; they decide between two genotypes that fit.
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
    # Many genotypes have blocks on all edges.
    return next(iter(fitting), None) if len(blocks) < len(tasks) ** 2 else None


def _traces(genotype: Genotype) -> tuple[set[tuple[str, str]], set[str]]:
    """Pairs of tasks with a block and tasks with an auxiliary head in the file of a genotype."""
    pairs = {(target, source) for target, row in genotype.items() for source, context in row.items() if context != NONE}
    return pairs, set(label_tasks(genotype))


def prepared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict with the directions of the normals clusters, and without buffers that our method does not have.

    Checkpoints of the training module contain the directions. A state dict of the network alone gets evenly spread
    directions; they are used in training only. Class weights of losses are settings of a task in this suite.
    """
    kept = {name: tensor for name, tensor in state.items() if not LOSS_WEIGHTS.fullmatch(name)}
    head = "head.aux_logits.normals.bias"
    if head not in kept:
        kept.pop(CENTROIDS, None)
    elif CENTROIDS not in kept:
        kept[CENTROIDS] = even_directions(length_of(state, head))
    return kept


def rules(description: Published) -> Rules:
    """Renaming rules of a described network.

    Raises:
        ImportRefusedError: if the contexts of its blocks are not known.
    """
    if "genotype" not in description.options:
        raise ImportRefusedError(
            f"the blocks and auxiliary heads of the file fit no published genotype ({', '.join(PUBLISHED)}), and its "
            "tensors do not determine the contexts; give the option genotype: global, local, t_label, s_label, "
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
