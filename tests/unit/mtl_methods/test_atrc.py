"""ATRC, compared with a plain implementation of the same formulas."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.heads import upsample_to
from benchmark.tasks import DEPTH, NORMALS, NYUV2_TASKS, PASCAL_TASKS, TaskSet
from mtl_methods.atrc.contexts import ContextBlock, ConvBN, Distillation, Projection
from mtl_methods.atrc.genotypes import NONE, T_LABEL
from mtl_methods.atrc.method import ATRC

MIXED = {
    "semseg": {"semseg": "local", "depth": "t_label", "normals": "none", "boundary": "s_label"},
    "depth": {"semseg": "s_label", "depth": "global", "normals": "local", "boundary": "none"},
    "normals": {"semseg": "none", "depth": "none", "normals": "none", "boundary": "none"},
    "boundary": {"semseg": "s_label", "depth": "t_label", "normals": "t_label", "boundary": "t_label"},
}
"""Every context, a task without any, and a label map that several blocks read."""


def build(tasks: TaskSet = NYUV2_TASKS, seed: int = 0, **options: object) -> ATRC:
    """A method whose contexts say something, as after training."""
    torch.manual_seed(seed)
    method = ATRC(tasks, "efficientnet_lite0", **options)
    for module in method.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
    return method


def plain(layer: ConvBN, maps: Tensor) -> Tensor:
    """One convolution, then the normalisation."""
    return layer.bn(F.conv2d(maps, layer.conv.weight, padding=layer.conv.kernel_size[0] // 2))


def projected(projection: Projection, maps: Tensor) -> Tensor:
    """Queries or keys, one row per position: (B, N, C)."""
    hidden = plain(projection.second, plain(projection.first, maps).relu())
    return (F.softplus(hidden) if projection.positive else hidden.relu()).flatten(2).transpose(1, 2)


def attended(block: ContextBlock, target: Tensor, source: Tensor) -> Tensor:
    """A context by a dense matrix of weights."""
    queries, keys = projected(block.query, target), projected(block.key, source)
    values = plain(block.value, source).relu()
    scores = queries @ keys.transpose(1, 2)
    if block.context == "global":
        weights = scores / scores.sum(2, keepdim=True)
    elif block.context == "local":
        height, width = target.shape[-2:]
        padded = (F.pad(maps, (4, 4, 4, 4)) for maps in (keys.transpose(1, 2).unflatten(2, (height, width)), values))
        windows = [maps.unfold(2, 9, 1).unfold(3, 9, 1).flatten(4).flatten(2, 3) for maps in padded]
        near = torch.einsum("bnc,bcnw->bnw", queries, windows[0]) / queries.shape[2] ** 0.5
        out = torch.einsum("bnw,bcnw->bcn", near.softmax(2), windows[1])
        return out.unflatten(2, (height, width))
    else:
        weights = (scores / queries.shape[2] ** 0.5).softmax(2)
    return (weights @ values.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, target.shape[-2:])


def refined(method: ATRC, target: str, features: dict[str, Tensor], labels: dict[str, Tensor]) -> Tensor:
    """The features of one task after distillation."""
    own, contexts = features[target], []
    for source, context in method.genotype[target].items():
        if context != NONE:
            read = features[source]
            if context.endswith("_label"):
                where = labels[target if context == T_LABEL else source].flatten(2).softmax(2)
                read = (where @ read.flatten(2).transpose(1, 2)).transpose(1, 2).unsqueeze(3)
            contexts.append(attended(method.contexts[target][source], own, read))
    module: Distillation = method.distillation[target]
    parts = [own] if not contexts else [own, plain(module.project, torch.cat(contexts, 1))]
    return module.dropout(plain(module.fuse, torch.cat(parts, 1)).relu())


def plainly(method: ATRC, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Predictions and auxiliary logits, block by block."""
    shared = method.decoder(method.backbone(images))
    features = {name: plain(branch, shared).relu() for name, branch in method.branches.items()}
    labels = {
        name: head.logits(plain(head.hidden, shared.detach()).relu()) for name, head in method.auxiliary_heads.items()
    }
    size = images.shape[-2:]
    predictions = {
        name: upsample_to(method.logits[name](refined(method, name, features, labels)), size) for name in features
    }
    return predictions, labels


@pytest.mark.parametrize("training", [False, True])
def test_the_fast_path_equals_the_plain_one_with_its_gradients(training: bool):
    fast = build(genotype=MIXED, dropout=0.0).double().train(training)
    slow = copy.deepcopy(fast)
    images = torch.randn(2, 3, 52, 72, dtype=torch.float64)
    output = fast(images)
    expected, logits = plainly(slow, images)
    found = {part.task: part.prediction for part in output.auxiliary}
    assert list(found) == ["semseg", "boundary"]
    for name, prediction in expected.items():
        torch.testing.assert_close(output.predictions[name], prediction)
    for name, maps in logits.items():
        torch.testing.assert_close(found[name], maps)
    sum(maps.square().sum() for maps in (*output.predictions.values(), *found.values())).backward()
    sum(maps.square().sum() for maps in (*expected.values(), *logits.values())).backward()
    for (name, ours), theirs in zip(fast.named_parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-6, atol=1e-7, msg=name)
    for (name, ours), theirs in zip(fast.named_buffers(), slow.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


@torch.no_grad()
def test_at_the_start_there_is_no_context():
    """A task is predicted from its own features only; other branches and label maps have no effect."""
    torch.manual_seed(0)
    method = ATRC(NYUV2_TASKS, "efficientnet_lite0").eval()
    images = torch.randn(1, 3, 64, 96)
    before = method(images).predictions["depth"]
    for name, branch in method.branches.items():
        if name != "depth":
            nn.init.normal_(branch.conv.weight)
    for head in method.auxiliary_heads.values():
        nn.init.normal_(head.logits.weight)
    assert torch.equal(method(images).predictions["depth"], before)


@torch.no_grad()
def test_after_training_the_other_tasks_matter():
    method = build().eval()
    images = torch.randn(1, 3, 64, 96)
    before = method(images).predictions["depth"]
    nn.init.normal_(method.branches["semseg"].conv.weight)
    assert not torch.allclose(method(images).predictions["depth"], before)


@torch.no_grad()
def test_on_the_diagonal_both_label_contexts_are_one():
    one_task = NYUV2_TASKS.select(["depth"])
    first, second = (build(one_task, genotype=context).eval() for context in ("t_label", "s_label"))
    images = torch.randn(1, 3, 64, 96)
    assert torch.equal(first(images).predictions["depth"], second(images).predictions["depth"])


@torch.no_grad()
def test_off_the_diagonal_they_differ():
    first, second = (build(genotype=context).eval() for context in ("t_label", "s_label"))
    images = torch.randn(1, 3, 64, 96)
    assert not torch.allclose(first(images).predictions["depth"], second(images).predictions["depth"])


def test_auxiliary_losses_train_nothing_but_their_heads():
    method = build()
    sum(part.prediction.square().mean() for part in method(torch.randn(2, 3, 64, 64)).auxiliary).backward()
    touched = {name.partition(".")[0] for name, parameter in method.named_parameters() if parameter.grad is not None}
    assert touched == {"auxiliary_heads"}


def test_predictions_train_the_label_maps_that_they_read():
    """But not through them the shared map."""
    method = build(genotype=MIXED)
    method(torch.randn(2, 3, 64, 64)).predictions["boundary"].square().mean().backward()
    touched = {
        name.split(".")[1]
        for name, parameter in method.named_parameters()
        if parameter.grad is not None and name.startswith("auxiliary_heads.")
    }
    assert touched == {"semseg", "boundary"}


def test_auxiliary_heads_classify_what_the_task_predicts():
    """Classes of semseg, 40 depth intervals, 40 clusters of normals, boundary or not; the two of a mask."""
    found = {
        part.task: (part.prediction.shape[1], part.loss, set(part.loss_options))
        for tasks in (NYUV2_TASKS, PASCAL_TASKS.select(["saliency", "human_parts"]))
        for part in build(tasks, genotype="t_label").eval()(torch.randn(1, 3, 64, 64)).auxiliary
    }
    assert found == {
        "semseg": (40, None, set()),
        "depth": (40, "depth_bin_cross_entropy", set()),
        "normals": (40, "normals_cluster_cross_entropy", {"centroids"}),
        "boundary": (2, "boundary_cross_entropy", {"positive_weight"}),
        "human_parts": (7, None, set()),
        "saliency": (2, None, set()),
    }


def test_the_boundary_weight_is_that_of_the_task():
    (part,) = build(PASCAL_TASKS.select(["boundary"])).eval()(torch.randn(1, 3, 64, 64)).auxiliary
    assert part.loss_options == {"positive_weight": 0.95}


def test_the_order_of_the_tasks_does_not_change_their_edges():
    turned = TaskSet(reversed(list(NYUV2_TASKS.values())))
    assert build(turned).genotype == build().genotype


def test_a_task_of_any_name_is_accepted():
    tasks = TaskSet([DEPTH.__class__(**{**vars(DEPTH), "name": "disparity"}), NORMALS])
    method = build(tasks).eval()
    assert method.genotype["disparity"] == {"disparity": "global", "normals": "global"}
    assert list(method(torch.randn(1, 3, 64, 64)).predictions) == ["disparity", "normals"]


def test_normals_clusters_come_from_the_training_split_and_are_saved():
    directions = F.normalize(torch.randn(50, 3, generator=torch.Generator().manual_seed(3)), dim=1)
    target = directions[torch.arange(2 * 30 * 40) % 50].reshape(2, 30, 40, 3).movedim(3, 1)
    method = build()
    method.calibrate([{"normals": target}])
    centroids = method.state_dict()["auxiliary_heads.normals.centroids"]
    assert (directions @ centroids.T).max(1).values.min() > 0.8


def test_without_a_label_map_of_normals_no_target_is_read():
    def unreadable():
        raise AssertionError("the targets are read")
        yield {}

    build(NYUV2_TASKS, genotype="global").calibrate(unreadable())


# Parameters and operations of the public code at the stated sizes: ../shared/specs/checkpoints.md, section 1.
PUBLISHED = [
    pytest.param("hrnet_w18_small_v2", None, (480, 640), 5_060_994, 64.072, marks=pytest.mark.slow),
    ("hrnet_w18_small_v2", None, (425, 560), 5_060_994, 50.109),
    pytest.param("hrnet_w48", None, (480, 640), 72_478_947, 461.323, marks=pytest.mark.slow),
    pytest.param("hrnet_w48", None, (425, 560), 72_478_947, 362.029, marks=pytest.mark.slow),
    pytest.param("hrnet_w18_small_v2", "global", (480, 640), 4_734_172, 54.153, marks=pytest.mark.slow),
    pytest.param("hrnet_w18_small_v2", "local", (480, 640), 4_734_172, 56.079, marks=pytest.mark.slow),
    ("hrnet_w18_small_v2", "t_label", (480, 640), 5_060_994, 64.369),
    pytest.param("hrnet_w18_small_v2", "s_label", (480, 640), 5_060_994, 64.369, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("backbone", "genotype", "size", "parameters", "gflops"), PUBLISHED)
def test_parameters_and_operations_are_those_of_the_public_code(
    backbone: str, genotype: str | None, size: tuple[int, int], parameters: int, gflops: float
):
    with torch.device("meta"):
        method = ATRC(NYUV2_TASKS, backbone, genotype=genotype).eval()
    assert sum(parameter.numel() for parameter in method.parameters()) == parameters
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        method(torch.empty(1, 3, *size, device="meta"))
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflops, rel=1e-4)
