"""ATRC against the public code: its state dict under the fill rule, imported, compared output by output."""

from __future__ import annotations

import pytest
import torch
from golden_models import compare, golden_images, published_shapes, published_state
from torch import Tensor

from benchmark.heads import upsample_to
from benchmark.tasks import STANDARD_TASKS
from mtl_methods.atrc.auxiliary import even_directions
from mtl_methods.published import atrc
from mtl_methods.published.description import Published
from mtl_methods.published.importing import import_state
from mtl_methods.published.renaming import ImportRefusedError

RUN = "atrc_hrnet18"
PUBLIC_NAMES = {"boundary": "edge", "saliency": "sal"}
CRITERION = "criterion.loss_dict"


def zeros(run: str = RUN) -> dict[str, Tensor]:
    """A public state dict whose values do not matter."""
    return {name: torch.zeros(shape) for name, shape in published_shapes(run).items()}


def pascal() -> dict[str, Tensor]:
    """The public names and shapes of five tasks of PASCAL-Context, made from the names of four tasks of NYU-v2."""
    likes = {"semseg": "semseg", "human_parts": "depth", "sal": "normals", "normals": "normals", "edge": "edge"}
    final = {"semseg": 21, "human_parts": 7, "sal": 2, "normals": 3, "edge": 1}
    auxiliary = {"semseg": 21, "human_parts": 7, "sal": 2, "normals": 40, "edge": 2}
    shapes = published_shapes(RUN)
    state = {name: torch.zeros(shape) for name, shape in shapes.items() if name.startswith("backbone.")}
    for task, like in likes.items():
        for name, shape in shapes.items():
            parts = name.split(".")
            if parts[0] == "head" and parts[2] == like and "cp_blocks" not in parts:
                if parts[1].endswith("_logits"):
                    shape = (final if parts[1] == "final_logits" else auxiliary)[task], *shape[1:]
                state[".".join([*parts[:2], task, *parts[3:]])] = torch.zeros(shape)
            elif parts[1:3] in (["atrc_module", "out_proj"], ["atrc_module", "bottleneck"]) and parts[3] == like:
                if parts[2] == "out_proj" and len(shape) == 4:
                    shape = (67, 33 * (4 if task == "semseg" else 5), 1, 1)
                state[".".join([*parts[:3], task, *parts[4:]])] = torch.zeros(shape)
        block = "head.atrc_module.cp_blocks.semseg.semseg."
        for source in likes:
            if (task, source) != ("semseg", "normals"):
                state |= {
                    name.replace(block, f"head.atrc_module.cp_blocks.{task}.{source}."): torch.zeros(shape)
                    for name, shape in shapes.items()
                    if name.startswith(block)
                }
    return state


@torch.no_grad()
def test_atrc_reproduces_the_public_implementation():
    description, tasks, method = import_state("atrc", published_state(RUN), STANDARD_TASKS, {})
    assert (description.method, description.backbone) == ("atrc", "hrnet_w18_small_v2")
    assert list(tasks) == ["semseg", "depth", "normals", "boundary"]
    output = method(golden_images((1, 3, 96, 128)))
    final = {f"final/{PUBLIC_NAMES.get(name, name)}": maps for name, maps in output.predictions.items()}
    auxiliary = {
        f"aux/{PUBLIC_NAMES.get(part.task, part.task)}": upsample_to(part.prediction, (96, 128))
        for part in output.auxiliary
    }
    compare(RUN, final | auxiliary)


@torch.no_grad()
def test_another_context_is_another_network():
    """The tensors are the same; so the comparison above would notice a genotype that was guessed wrongly."""
    images = golden_images((1, 3, 96, 128))
    found, other = (
        import_state("atrc", published_state(RUN), STANDARD_TASKS, options).method(images).predictions["semseg"]
        for options in ({}, {"genotype": "t_label"})
    )
    assert (found - other).abs().max() > 0.01 * found.std()


@pytest.mark.parametrize(
    ("run", "backbone", "genotype"),
    [(RUN, "hrnet_w18_small_v2", "nyud_hrnet18"), ("atrc_hrnet48", "hrnet_w48", "nyud_hrnet48")],
)
def test_width_tasks_and_genotype_are_read_from_the_file(run: str, backbone: str, genotype: str):
    channels = {"semseg": 40, "depth": 1, "normals": 3, "boundary": 1}
    assert atrc.describe(zeros(run)) == Published("atrc", backbone, channels, {"genotype": genotype})


def test_pascal_context_is_read_from_the_file():
    description, tasks, method = import_state("atrc", pascal(), STANDARD_TASKS, {})
    assert description.options == {"genotype": "pascal_hrnet18"}
    channels = {"semseg": 21, "human_parts": 7, "saliency": 2, "normals": 3, "boundary": 1}
    assert {name: task.channels for name, task in tasks.items()} == channels
    assert "normals" not in method.contexts["semseg"]


def test_directions_come_from_a_checkpoint_of_the_training_module():
    directions = even_directions(40).flip(0)
    state = zeros() | {f"{CRITERION}.normals.aux.centroids": directions}
    state[f"{CRITERION}.edge.aux.class_weight"] = torch.tensor([0.2, 0.8])
    method = import_state("atrc", state, STANDARD_TASKS, {}).method
    assert torch.equal(method.auxiliary_heads["normals"].centroids, directions)


def test_a_network_without_them_gets_even_ones():
    method = import_state("atrc", zeros(), STANDARD_TASKS, {}).method
    assert torch.equal(method.auxiliary_heads["normals"].centroids, even_directions(40))


def test_directions_that_no_head_uses_are_left_out():
    state = zeros("atrc_hrnet48") | {f"{CRITERION}.normals.aux.centroids": even_directions(40)}
    assert f"{CRITERION}.normals.aux.centroids" not in atrc.prepared(state)


def test_a_file_that_fits_no_published_genotype_asks_for_one():
    """All blocks and no auxiliary head: global or local."""
    state = {name: tensor for name, tensor in zeros().items() if ".aux_" not in name}
    with pytest.raises(ImportRefusedError, match="give the option genotype"):
        import_state("atrc", state, STANDARD_TASKS, {})
    method = import_state("atrc", state, STANDARD_TASKS, {"genotype": "global"}).method
    assert sum(parameter.numel() for parameter in method.parameters()) == 4_734_172


@pytest.mark.parametrize(
    "name",
    [
        "head.atrc_module.cp_blocks.edge.depth.key_project.1.bn.bias",
        "head.aux_logits.normals.weight",
        "head.atrc_module.bottleneck.edge.0.conv.weight",
    ],
)
def test_a_missing_tensor_is_refused_by_name(name: str):
    state = zeros()
    del state[name]
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("atrc", state, STANDARD_TASKS, {})


@pytest.mark.parametrize(
    "name", ["head.atrc_module.cp_blocks.edge.sal.key_project.1.bn.bias", "head.other", "criterion.loss_dict.x", "x"]
)
def test_a_tensor_too_many_is_refused_by_name(name: str):
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("atrc", zeros() | {name: torch.zeros(1)}, STANDARD_TASKS, {"genotype": "nyud_hrnet18"})


@pytest.mark.parametrize("name", ["head.bottleneck.edge.conv.weight", "head.aux_logits.semseg.weight"])
def test_a_transposed_tensor_is_refused_by_name(name: str):
    state = zeros()
    state[name] = state[name].transpose(0, 1)
    with pytest.raises(ImportRefusedError, match=f"'{name}'"):
        import_state("atrc", state, STANDARD_TASKS, {})
