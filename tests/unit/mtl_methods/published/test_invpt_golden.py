"""InvPT against the public code: imported, compared, counted; and files that do not fit.

Expected values: ../shared/golden/models.npz and ../shared/specs/checkpoints.md.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from golden_models import compare, filled, golden_images, published_shapes
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmark.registry import METHODS
from benchmark.tasks import NYUV2_TASKS, TaskSet
from mtl_methods.invpt import InvPT
from mtl_methods.invpt.aggregation import TaskAggregation
from mtl_methods.published import invpt
from mtl_methods.published.description import Published
from mtl_methods.published.renaming import ImportRefusedError, translate

Shapes = dict[str, tuple[int, ...]]
POSITIONS = "backbone.pos_embed"
PUBLISHED = {"invpt_vitL": 402_092_888, "invpt_vitB_DERIVED": 160_823_896}
WITHOUT_GRADIENT = {"invpt_vitL": 6_639_562, "invpt_vitB_DERIVED": 5_312_458}


def network_of(description: Published) -> InvPT:
    """Our network on the meta device."""
    known = {**NYUV2_TASKS}
    tasks = TaskSet(known[name] for name in description.channels)
    with torch.device("meta"):
        network: InvPT = METHODS.create("invpt", tasks, description.backbone, **description.options).eval()
    return network


def without_values(shapes: Shapes) -> dict[str, Tensor]:
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def translated(state: dict[str, Tensor]) -> dict[str, Tensor]:
    description = invpt.describe(state)
    return translate(invpt.prepared(state), invpt.rules(description), network_of(description).state_dict())


@torch.no_grad()
def test_invpt_reproduces_the_public_implementation():
    """The golden network was built for its images of 256x320: 16x20 patches and the class token."""
    shapes = {**published_shapes("invpt_vitB_DERIVED"), POSITIONS: (1, 321, 768)}
    state = {name: filled(name, shape) for name, shape in shapes.items()}
    description = invpt.describe(state)
    assert invpt.recognise(state)
    assert list(description.channels.items()) == [("semseg", 40), ("depth", 1), ("normals", 3), ("boundary", 1)]
    assert description.options["image_size"] == (256, 320)
    network = network_of(description)
    found = translate(invpt.prepared(state), invpt.rules(description), network.state_dict())
    network.load_state_dict(found, assign=True)
    output = network(golden_images((1, 3, 256, 320)))
    outputs = {f"inter_preds/{auxiliary.task}": auxiliary.prediction for auxiliary in output.auxiliary}
    outputs |= output.predictions
    compare("invpt_vitB_DERIVED", {name.replace("boundary", "edge"): maps for name, maps in outputs.items()})


@pytest.mark.parametrize("run", PUBLISHED)
def test_parameters_and_those_without_effect_are_as_many_as_published(run: str):
    state = without_values(published_shapes(run))
    description = invpt.describe(state)
    unused = sum(state[name].numel() for name in invpt.without_effect(description, state[POSITIONS].shape[2]))
    counted = sum(parameter.numel() for parameter in network_of(description).parameters())
    assert unused == WITHOUT_GRADIENT[run]
    assert counted + unused == PUBLISHED[run]
    assert len(translated(state)) == len(state) - len(invpt.without_effect(description, 1))


def aggregate_as_defined(module: TaskAggregation, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """The aggregation of the public code: reduce, upsample, add, convolve."""
    first, *others = (level.permute(0, 3, 1, 2) for level in maps)
    wide = [first, *(reduce(level) for reduce, level in zip(module.reduce, others, strict=True))]
    total = sum(F.interpolate(level, size=tuple(size), mode="bilinear", align_corners=False) for level in wide)
    return F.relu(module.norm(module.convolution(total)))


def counted_gigaflops(network: InvPT) -> float:
    """10^9 operations at 448x576."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, 3, 448, 576, device="meta"))
    return counter.get_total_flops() / 1e9


@pytest.mark.parametrize(
    ("run", "published"),
    [pytest.param("invpt_vitL", 1203.757, marks=pytest.mark.slow), ("invpt_vitB_DERIVED", 687.408)],
)
def test_operations_at_448x576_are_as_many_as_published(run: str, published: float, monkeypatch: pytest.MonkeyPatch):
    """With the aggregation in the order of the public code; the order here needs fewer operations.

    The public code also computes the skip that nothing reads: 3x3 to 576 channels on 28x36 patches.
    """
    state = without_values(published_shapes(run))
    network = network_of(invpt.describe(state))
    fewer = counted_gigaflops(network)
    monkeypatch.setattr(TaskAggregation, "forward", aggregate_as_defined)
    unread_skip = 2 * 9 * state[POSITIONS].shape[2] * 576 * 28 * 36 / 1e9
    assert counted_gigaflops(network) + unread_skip == pytest.approx(published, rel=0.005)
    assert fewer < 0.8 * published


def fewer_tasks(shapes: Shapes, kept: list[str], all_tasks: list[str]) -> Shapes:
    """The listing of the public code as it is with other tasks, in another order."""
    found: Shapes = {}
    lists = ("conv_proj_q", "patch_embed", "redu_chan")
    for name, shape in shapes.items():
        parts = name.split(".")
        named = next((task for task in all_tasks if task in parts), None)
        position = next((place for place, part in enumerate(parts) if part in lists and parts[0] != "backbone"), None)
        if "norm_mts" in parts:
            found[name] = (shape[0] // len(all_tasks) * len(kept),)
        elif named in kept or (named is None and position is None):
            found[name] = shape
        elif position is not None:
            # In `redu_chan` the number of the stage comes before that of the task.
            place = position + (2 if "redu_chan" in parts else 1)
            if int(parts[place]) < len(kept):
                found[name] = shape
    heads = {name: shape for name, shape in found.items() if "intermediate_head" in name}
    ordered = sorted(heads, key=lambda name: kept.index(name.split(".")[2]))
    return {**{name: heads[name] for name in ordered}, **found}


def test_other_tasks_in_another_order_and_another_image_size_are_read():
    """1024 patches: 32x32."""
    published = fewer_tasks(
        published_shapes("invpt_vitB_DERIVED"), ["edge", "semseg"], ["semseg", "depth", "normals", "edge"]
    )
    state = without_values({**published, POSITIONS: (1, 1025, 768)})
    description = invpt.describe(state)
    assert list(description.channels) == ["boundary", "semseg"]
    assert description.options["image_size"] == (512, 512)
    assert len(translated(state)) == len(state) - len(invpt.without_effect(description, 1))


@pytest.mark.parametrize(
    ("positions", "size"),
    [(321, (256, 320)), (1009, (448, 576)), (1025, (512, 512)), (17, (64, 64)), (1537, (512, 768))],
)
def test_image_size_is_read_from_the_number_of_patches(positions: int, size: tuple[int, int]):
    """Rows and columns of patches are multiples of four: 16x20, 28x36, 32x32, 4x4, 32x48."""
    assert invpt.image_size({POSITIONS: torch.empty(1, positions, 8, device="meta")}) == size


def test_a_number_of_patches_that_no_image_has_is_refused():
    with pytest.raises(ImportRefusedError, match=r"pos_embed.*100 positions.*multiples of 64"):
        invpt.image_size({POSITIONS: torch.empty(1, 101, 8, device="meta")})


@pytest.mark.parametrize(
    "name",
    [
        "backbone.blocks.5.attn.qkv.weight",
        "multi_task_decoder.invpt.redu_chan.2.1.weight",
        "multi_task_decoder.invpt.redu_chan.0.3.weight",
        "multi_task_decoder.scale_embed.2.weight",
        "multi_task_decoder.invpt.norm_mt.weight",
        "heads.edge.linear_pred.weight",
    ],
)
def test_a_missing_or_transposed_tensor_is_refused_by_name(name: str):
    """Also one that no output depends on."""
    state = without_values(published_shapes("invpt_vitB_DERIVED"))
    without = {key: tensor for key, tensor in state.items() if key != name}
    with pytest.raises(ImportRefusedError):
        translated(without)
    shape = (*reversed(state[name].shape), 1)
    with pytest.raises(ImportRefusedError, match=name.replace(".", r"\.")):
        translated({**state, name: torch.empty(shape, device="meta")})


def test_a_tensor_too_many_is_refused_by_name():
    state = without_values(published_shapes("invpt_vitB_DERIVED"))
    with pytest.raises(ImportRefusedError, match="multi_task_decoder.extra"):
        translated({**state, "multi_task_decoder.extra": torch.empty(1, device="meta")})


def test_another_transformer_is_refused_with_those_that_are_known():
    """ViT-B without its last block."""
    shapes = published_shapes("invpt_vitB_DERIVED")
    state = without_values({name: shape for name, shape in shapes.items() if ".blocks.11." not in name})
    with pytest.raises(ImportRefusedError, match="11 blocks; known are vit_base"):
        invpt.describe(state)
