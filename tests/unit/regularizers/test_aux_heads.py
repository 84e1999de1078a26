"""The auxiliary heads read and train the shared features, and leave the model's heads alone."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput
from benchmark.tasks import NYUV2_TASKS, TaskSet
from mtl_methods.hard_sharing import HardSharing
from mtl_methods.single_task import SingleTask
from regularizers.aux_heads import AuxHeads

TASKS = NYUV2_TASKS.select(["semseg", "depth"])


def random_batch(tasks: TaskSet) -> Batch:
    torch.manual_seed(1)
    targets = {"semseg": torch.randint(0, 40, (2, 64, 64)), "depth": torch.rand(2, 1, 64, 64) + 1.0}
    return Batch(images=torch.randn(2, 3, 64, 64), targets={name: targets[name] for name in tasks})


def test_backbone_gets_a_gradient_and_the_models_heads_get_none():
    torch.manual_seed(0)
    method = HardSharing(TASKS, "efficientnet_lite0")
    regularizer = AuxHeads(TASKS, method.feature_specs)
    batch = random_batch(TASKS)
    terms = regularizer(batch, method(batch["images"]))
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is None for parameter in method.heads.parameters())
    assert all(parameter.grad is not None for parameter in method.backbone.parameters())
    assert all(parameter.grad is not None for parameter in regularizer.parameters())


def test_separate_networks_are_each_regularized_by_their_own_task():
    torch.manual_seed(0)
    method = SingleTask(TASKS, "efficientnet_lite0")
    regularizer = AuxHeads(TASKS, method.feature_specs)
    batch = random_batch(TASKS)
    output = method(batch["images"])
    depth = regularizer(batch, output)["loss_aux_heads_depth"]
    semseg_map, depth_map = torch.autograd.grad(depth, output.features, allow_unused=True)
    assert semseg_map is None
    assert depth_map.abs().sum() > 0


def test_a_term_is_weight_times_task_weight_times_task_loss():
    """Depth 2 m everywhere and a head that predicts 0: L1 is 2; task weight 3, weight 0.25: 1.5."""
    tasks = TASKS.select(["depth"]).adjusted({"depth": {"loss_weight": 3.0}})
    regularizer = AuxHeads(tasks, (FeatureSpec(4, 4),), weight=0.25)
    head = regularizer.heads["depth"].logits
    torch.nn.init.zeros_(head.weight)
    batch = Batch(images=torch.zeros(2, 3, 16, 16), targets={"depth": torch.full((2, 1, 16, 16), 2.0)})
    terms = regularizer(batch, MultiTaskOutput({}, features=(torch.randn(2, 4, 4, 4),)))
    assert {name: term.item() for name, term in terms.items()} == {"loss_aux_heads_depth": pytest.approx(1.5)}


def test_maps_are_concatenated_at_the_finest_stride():
    """A map of stride 8 before one of stride 4: read as 2 + 3 channels at stride 4, the finer one first."""
    specs = (FeatureSpec(3, 8), FeatureSpec(2, 4), FeatureSpec(7, 4, task="semseg"))
    regularizer = AuxHeads(TASKS.select(["depth"]), specs).eval()
    coarse, fine, other = torch.randn(1, 3, 4, 4), torch.randn(1, 2, 8, 8), torch.randn(1, 7, 8, 8)
    seen = []
    regularizer.heads["depth"].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    batch = Batch(images=torch.zeros(1, 3, 32, 32), targets={"depth": torch.ones(1, 1, 32, 32)})
    regularizer(batch, MultiTaskOutput({}, features=(coarse, fine, other)))
    larger = F.interpolate(coarse, size=(8, 8), mode="bilinear", align_corners=False)
    assert torch.equal(seen[0], torch.cat([fine, larger], dim=1))


def test_a_task_without_a_map_is_refused():
    with pytest.raises(ValueError, match="no feature map for depth"):
        AuxHeads(TASKS, (FeatureSpec(4, 4, task="semseg"),))
