"""InvPT of the authors' code: Vision Transformers, any tasks, widths and image sizes.

Source: tensor names and shapes of https://github.com/prismformore/Multi-Task-Transformer, commit 870c6be.

The position embedding of a file is a list of positions without the size of their grid. An image with as many patches
takes the positions in their order, as in the public code. For other image sizes, the grid of a landscape image that is
nearest to a square is assumed. If that is wrong, the option `image_size` is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt

from torch import Tensor

from mtl_methods.published.description import Published, our_task, published_task
from mtl_methods.published.mtl_pytorch import length_of, tasks_in
from mtl_methods.published.renaming import ImportRefusedError, Rules

FORMAT = "invpt"
DECODER = "multi_task_decoder."
STAGES = DECODER + "invpt.invpt_stages."
PATCH, CELLS = 16, 4
"""Side of a patch in pixels, and the number of patches that divides each side: the decoder needs multiples of 64."""
BACKBONES = {(768, 12): "vit_base", (1024, 24): "vit_large"}
"""Registered backbones by channels and blocks."""
NUM_BLOCKS = {backbone: blocks for (_, blocks), backbone in BACKBONES.items()}
NUM_STAGES = 4


def recognise(state: Mapping[str, Tensor]) -> bool:
    """True for a state dict with a decoder of InvPT's stages."""
    return any(name.startswith(STAGES) for name in state)


def describe(state: Mapping[str, Tensor]) -> Published:
    """Describe the network of a recognised state dict.

    Raises:
        ImportRefusedError: with the name of the tensor that is missing or has an impossible shape.
    """
    names = tasks_in(state, re.escape(DECODER) + r"intermediate_head\.([^.]+)\.(?:weight|bias)")
    options = {
        "width": length_of(state, f"{STAGES}0.blocks.0.norm1.weight"),
        "task_width": length_of(state, f"{DECODER}preliminary_decoder.{names[0]}.1.bn1.weight"),
        "num_heads": length_of(state, f"{STAGES}1.blocks.0.attn.fuse_attn.bias"),
        "mlp_ratio": _mlp_ratio(state),
        "image_size": image_size(state),
        "layout": "listed",
    }
    channels = {our_task(name): length_of(state, f"heads.{name}.linear_pred.bias") for name in names}
    return Published("invpt", _backbone(state), channels, options)


def image_size(state: Mapping[str, Tensor]) -> tuple[int, int]:
    """(H, W) of the images of a network: of the landscape sizes with as many patches, the one nearest to a square.

    Raises:
        ImportRefusedError: if no multiple of 64 has that many patches.
    """
    name = "backbone.pos_embed"
    if name not in state or state[name].ndim != 3:
        raise ImportRefusedError(f"tensor {name!r} (1, 1 + patches, channels) is missing or has another shape")
    # The first position belongs to the class token.
    cells, rest = divmod(state[name].shape[1] - 1, CELLS**2)
    rows = next((rows for rows in range(isqrt(max(cells, 0)), 0, -1) if cells % rows == 0), 0)
    if rest or not rows:
        raise ImportRefusedError(
            f"tensor {name!r} has {state[name].shape[1] - 1} positions; no image whose sides are multiples of "
            f"{PATCH * CELLS} has as many patches of {PATCH}x{PATCH}"
        )
    return rows * CELLS * PATCH, cells // rows * CELLS * PATCH


def prepared(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict without the tensors that no output depends on; these must be present with their shapes.

    Raises:
        ImportRefusedError: with the first of these tensors that is missing or has another shape.
    """
    unused = without_effect(describe(state), length_of(state, "backbone.norm.weight"))
    for name, shape in unused.items():
        if name not in state:
            raise ImportRefusedError(f"tensor {name!r} {shape} is missing")
        if tuple(state[name].shape) != shape:
            raise ImportRefusedError(f"tensor {name!r} has shape {tuple(state[name].shape)}, expected {shape}")
    return {name: tensor for name, tensor in state.items() if name not in unused}


def without_effect(description: Published, channels: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the published tensors that no output depends on, by name; our method does not have them.

    They are a skip into the first stage, which reads no skip; a convolution of that stage to the common width, which
    the stage already has; a normalisation that is never called; and the mixing of scores in the stage that gets no
    message.

    Args:
        description: the network.
        channels: channels of its backbone.
    """
    width, heads = description.options["width"], description.options["num_heads"]
    fuse = f"{STAGES}0.blocks.0.attn.fuse_attn"
    shapes: dict[str, tuple[int, ...]] = {
        f"{DECODER}scale_embed.2.weight": (width, channels, 3, 3), f"{DECODER}scale_embed.2.bias": (width,),
        f"{DECODER}invpt.norm_mt.weight": (width,), f"{DECODER}invpt.norm_mt.bias": (width,),
        f"{fuse}.weight": (heads, 2 * heads, 1, 1), f"{fuse}.bias": (heads,),
    }  # fmt: skip
    for position in range(len(description.channels)):
        reduce = f"{DECODER}invpt.redu_chan.0.{position}"
        shapes |= {f"{reduce}.weight": (width, width, 1, 1), f"{reduce}.bias": (width,)}
    return shapes


def rules(description: Published) -> Rules:
    """Renaming rules of a described network, after `prepared`."""
    found = [*_backbone_rules(NUM_BLOCKS[description.backbone])]
    for position, ours in enumerate(description.channels):
        found += _task_rules(position, ours, re.escape(published_task(ours)))
    for stage in range(3):
        found += [
            (re.escape(f"{STAGES}{stage}.blocks.0.{theirs}."), f"decoder.blocks.{stage}.{layer}.")
            for theirs, layer in LAYERS.items()
        ]
    return [
        *found,
        (re.escape(f"{DECODER}scale_embed.1."), "encoder.skips.0."),
        (re.escape(f"{DECODER}scale_embed.0."), "encoder.skips.1."),
        (re.escape(f"{DECODER}invpt.norm_mts."), "norms."),
    ]


LAYERS = {
    "norm1": "norm1", "norm2": "norm2", "mlp.fc1": "fc1", "mlp.fc2": "fc2",
    "attn.proj_q": "attention.query", "attn.proj_k": "attention.key", "attn.proj_v": "attention.value",
    "attn.proj": "attention.project", "attn.fuse_attn": "attention.fuse",
}  # fmt: skip
"""Layers of a block of the decoder: published names and ours."""


def _backbone_rules(blocks: int) -> Rules:
    per_stage = blocks // NUM_STAGES
    numbered = [
        (rf"backbone\.blocks\.{block}\.", f"encoder.stages.{block // per_stage}.blocks.{block % per_stage}.")
        for block in range(blocks)
    ]
    return [
        *numbered,
        (r"backbone\.norm\.", f"encoder.stages.{NUM_STAGES - 1}.blocks.{per_stage}."),
        (r"backbone\.cls_token", "encoder.stem.class_token"),
        (r"backbone\.pos_embed", "encoder.stem.positions"),
        (r"backbone\.patch_embed\.proj\.", "encoder.stem.project."),
    ]


def _task_rules(position: int, ours: str, theirs: str) -> Rules:
    """Rules of one task; lists of the public code are in the order of the tasks, dictionaries by their names."""
    decoder = re.escape(DECODER)
    preliminary, aggregation = f"preliminary.{ours}", f"aggregations.{ours}"
    found = [
        (rf"{decoder}preliminary_decoder\.{theirs}\.([01])\.conv\.", rf"{preliminary}.features.\1.0."),
        (rf"{decoder}preliminary_decoder\.{theirs}\.([01])\.bn1\.", rf"{preliminary}.features.\1.1."),
        (rf"{decoder}intermediate_head\.{theirs}\.", f"{preliminary}.logits."),
        (rf"{decoder}invpt\.mix_proj\.{theirs}\.0\.", f"{preliminary}.mix."),
        (rf"{decoder}invpt\.mt_proj\.{theirs}\.0\.", f"{aggregation}.convolution."),
        (rf"{decoder}invpt\.mt_proj\.{theirs}\.1\.", f"{aggregation}.norm."),
        (rf"heads\.{theirs}\.linear_pred\.", f"heads.{ours}."),
    ]
    for number in (1, 2):
        embed = rf"{re.escape(STAGES)}{number}\.patch_embed\.{position}\.proj\."
        # Their list begins with the upsampling, which has no weights.
        found += [(rf"{embed}{place}\.", f"decoder.embeds.{number - 1}.{ours}.{place - 1}.") for place in (1, 2, 4, 5)]
        found.append((rf"{decoder}invpt\.redu_chan\.{number}\.{position}\.", f"{aggregation}.reduce.{number - 1}."))
    for number in range(3):
        query = rf"{re.escape(STAGES)}{number}\.blocks\.0\.attn\.conv_proj_q\.{position}\."
        target = f"decoder.blocks.{number}.attention.query_maps.{ours}"
        found += [(rf"{query}conv\.", f"{target}.0."), (rf"{query}bn\.", f"{target}.1.")]
    return found


def _backbone(state: Mapping[str, Tensor]) -> str:
    matches = (re.match(r"backbone\.blocks\.(\d+)\.", name) for name in state)
    blocks = len({match[1] for match in matches if match})
    channels = length_of(state, "backbone.norm.weight")
    if (channels, blocks) not in BACKBONES:
        known = ", ".join(f"{name} ({width} channels, {depth} blocks)" for (width, depth), name in BACKBONES.items())
        raise ImportRefusedError(
            f"tensor 'backbone.norm.weight' has {channels} channels and there are {blocks} blocks; known are {known}"
        )
    return BACKBONES[channels, blocks]


def _mlp_ratio(state: Mapping[str, Tensor]) -> int:
    block = f"{STAGES}0.blocks.0."
    return length_of(state, f"{block}mlp.fc1.bias") // length_of(state, f"{block}norm1.weight")
