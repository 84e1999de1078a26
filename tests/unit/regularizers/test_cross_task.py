"""Regularizers between tasks: maps of labels and predictions, mapping (MTPSL), consistency (XTC), distillation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contracts import FeatureSpec, Method, MultiTaskOutput
from benchmark.tasks import NYUV2_TASKS, PASCAL_TASKS, TaskSet
from regularizers._shared.task_maps import label_map, labelled_share, map_channels, prediction_map
from regularizers.cross_task_consistency import CrossTaskConsistency
from regularizers.cross_task_mapping import CrossTaskMapping, PairMapping, disagreement
from regularizers.distillation import Distillation

SHARED = (FeatureSpec(8, 4),)
TASKS = NYUV2_TASKS


def labels(size: tuple[int, int] = (16, 16)) -> dict[str, Tensor]:
    """A quarter of the image is without labels."""
    generator = torch.Generator().manual_seed(3)
    found = {
        "semseg": torch.randint(0, 40, (2, *size), generator=generator),
        "depth": torch.rand(2, 1, *size, generator=generator) * 4 + 0.5,
        "normals": F.normalize(torch.randn(2, 3, *size, generator=generator), dim=1),
        "boundary": (torch.rand(2, 1, *size, generator=generator) < 0.3).float(),
    }
    for name, missing in {"semseg": 255, "depth": 0, "normals": 0, "boundary": 255}.items():
        found[name][..., : size[0] // 2, : size[1] // 2] = missing
    return found


def perfect(targets: dict[str, Tensor]) -> dict[str, Tensor]:
    """Predictions equal to the labels; arbitrary at unlabelled pixels."""
    classes = F.one_hot(targets["semseg"].clamp(max=39), 40).permute(0, 3, 1, 2).float()
    edges = targets["boundary"].clamp(max=1)
    return {
        "semseg": 200 * classes,
        "depth": targets["depth"] + (targets["depth"] == 0) * 3.0,
        "normals": 5 * targets["normals"],
        "boundary": 200 * (edges - 0.5),
    }


def test_labels_become_maps():
    targets = labels()
    for name, task in TASKS.items():
        found = label_map(task, targets[name])
        assert found.shape == (2, map_channels(task), 16, 16)
        assert not found[..., :8, :8].any(), "no label is zero"
        assert torch.equal(labelled_share(task, targets[name], 4)[..., :2, :2], torch.zeros(2, 1, 2, 2))
        assert torch.equal(labelled_share(task, targets[name], 4)[..., 2:, :], torch.ones(2, 1, 2, 4))
    assert torch.equal(label_map(TASKS["semseg"], targets["semseg"]).argmax(1)[:, 8:], targets["semseg"][:, 8:])
    assert label_map(TASKS["depth"], targets["depth"]).max() == 1
    saliency = PASCAL_TASKS["saliency"]
    assert map_channels(saliency) == 1
    logits = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)
    assert prediction_map(saliency, logits, torch.ones(1, 1, 1, 1)).item() == pytest.approx(1 / (1 + torch.e**-1), 1e-6)


def test_a_perfect_prediction_has_the_map_of_its_label():
    targets = labels()
    for name, prediction in perfect(targets).items():
        known = TASKS[name].valid(targets[name])[:, None]
        found = prediction_map(TASKS[name], prediction, targets[name]) * known
        torch.testing.assert_close(found, label_map(TASKS[name], targets[name]), atol=1e-5, rtol=0)


def batch_of(targets: dict[str, Tensor]) -> Any:
    return {"images": torch.zeros(2, 3, 16, 16), "targets": targets}


def test_consistency_is_zero_for_perfect_predictions_alone():
    torch.manual_seed(0)
    regularizer = CrossTaskConsistency(TASKS, SHARED)
    targets = labels()
    predictions = perfect(targets)
    assert regularizer(batch_of(targets), MultiTaskOutput(predictions))["loss_cross_task_consistency"] < 1e-5
    predictions["depth"] = predictions["depth"] * 1.5
    assert regularizer(batch_of(targets), MultiTaskOutput(predictions))["loss_cross_task_consistency"] > 1e-3


def test_the_networks_between_tasks_learn_from_labels_and_then_stay():
    """Depth that follows from the classes is learnt from them."""
    torch.manual_seed(0)
    tasks = TASKS.select(["semseg", "depth"])
    targets = labels((32, 32))
    targets = {"semseg": targets["semseg"] % 2, "depth": (targets["semseg"] % 2).float()[:, None] + 1}
    # Large patches, which a quarter of the size still shows.
    targets = {
        name: target[..., ::16, ::16].repeat_interleave(16, -1).repeat_interleave(16, -2)
        for name, target in targets.items()
    }
    regularizer = CrossTaskConsistency(tasks, SHARED, passes=150)
    before = regularizer.translation_loss(targets).item()
    regularizer.calibrate(iter([targets]))
    assert regularizer.translation_loss(targets).item() < 0.3 * before
    assert not any(parameter.requires_grad for parameter in regularizer.parameters())


def test_disagreement_is_one_minus_cosine_over_what_is_known():
    first = torch.tensor([[[1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0]]])[None]
    second = torch.tensor([[[1.0, 0.0, -1.0]], [[0.0, 1.0, 0.0]]])[None]
    known = torch.tensor([1.0, 1.0, 0.0]).view(1, 1, 1, 3)
    assert disagreement(first, second, known) == pytest.approx((0 + 1) / 2)
    assert disagreement(first, second, 0 * known) == 0


def test_the_mapping_reads_predictions_and_its_features_are_a_target():
    torch.manual_seed(0)
    regularizer = CrossTaskMapping(TASKS, SHARED)
    targets = labels()
    predictions = {name: torch.randn(2, task.channels, 16, 16, requires_grad=True) for name, task in TASKS.items()}
    features = torch.randn(2, 8, 4, 4, requires_grad=True)
    term = regularizer(batch_of(targets), MultiTaskOutput(predictions, (features,)))["loss_cross_task_mapping"]
    # Cosines of random maps: each of the three parts lies between 0 and 2, weighted by 2 * (1 + 0.5 + 0.5).
    assert 0 < term < 8
    term.backward()
    assert all(prediction.grad is not None and prediction.grad.abs().sum() > 0 for prediction in predictions.values())
    assert features.grad is None
    assert len(regularizer.pairs) == 12


def test_every_pair_has_a_mapping_of_its_own():
    torch.manual_seed(0)
    regularizer = CrossTaskMapping(TASKS, SHARED)
    maps = torch.randn(1, 2, 64, 4, 4).expand(12, 2, 64, 4, 4)
    first = regularizer.mapping(maps).view(12, 2, 8, 4, 4)
    torch.testing.assert_close(first[0], first[5])
    nn.init.normal_(regularizer.mapping.scale)
    second = regularizer.mapping(maps).view(12, 2, 8, 4, 4)
    assert not torch.allclose(second[0], second[5])


def test_a_pair_mapping_by_hand():
    """On one pixel: negative inputs become 0, then scale and shift of the pair, then negative values become 0."""
    mapping = PairMapping(pairs=2, width=2, channels=1)
    with torch.no_grad():
        mapping.first.weight.zero_()[:, :, 1, 1] = torch.eye(2)
        mapping.first.bias.zero_()
        mapping.scale.copy_(torch.tensor([[1.0, 1.0], [2.0, -1.0]]).view(2, 1, 2, 1, 1))
        mapping.shift.copy_(torch.tensor([[3.0, -1.0], [0.0, 0.0]]).view(2, 1, 2, 1, 1))
        mapping.last.weight.copy_(torch.tensor([1.0, 10.0]).view(1, 2, 1, 1))
        mapping.last.bias.fill_(0.5)
        mapped = mapping(torch.tensor([[-1.0, 2.0], [4.0, 5.0]]).view(2, 1, 2, 1, 1))
    # max(0, 0 + 3) + 10 max(0, 2 - 1) and max(0, 2 * 4) + 10 max(0, -5), each plus a bias of 0.5.
    assert mapped.flatten().tolist() == [13.5, 8.5]


class Teacher(Method):
    """Given feature maps, one per task."""

    def __init__(self, tasks: TaskSet, maps: dict[str, Tensor]) -> None:
        super().__init__(tasks, "none")
        self.maps = maps
        self.feature_specs = tuple(FeatureSpec(value.shape[1], 4, name) for name, value in maps.items())

    def forward(self, images: Tensor) -> MultiTaskOutput:
        return MultiTaskOutput({}, tuple(self.maps.values()))


def test_distillation_is_the_squared_distance_of_unit_vectors():
    tasks = TASKS.select(["semseg", "depth"])
    regularizer = Distillation(tasks, SHARED, weight=3.0)
    features = torch.randn(2, 8, 4, 4, requires_grad=True)
    taught = {"semseg": torch.randn(2, 5, 4, 4), "depth": torch.randn(2, 6, 4, 4)}
    regularizer.start_from({"single_task": Teacher(tasks, taught)})
    terms = regularizer(batch_of({}), MultiTaskOutput({}, (features,)))
    for name, target in taught.items():
        adapted = regularizer.adaptors[name](features)
        # Unit vectors a and b: |a - b|^2 = 2 - 2 cos.
        expected = 3.0 * (2 - 2 * F.cosine_similarity(adapted, target, dim=1)).mean()
        torch.testing.assert_close(terms[f"loss_distillation_{name}"], expected)
    assert {name.split(".")[0] for name, _ in regularizer.named_parameters()} == {"adaptors"}
    assert not any("teacher" in name for name in regularizer.state_dict())


def test_distillation_without_teachers_says_so():
    regularizer = Distillation(TASKS, SHARED)
    assert regularizer.needs("resnet18", {}) == {"single_task": {}}
    with pytest.raises(RuntimeError, match="no teachers"):
        regularizer(batch_of({}), MultiTaskOutput({}, (torch.zeros(1, 8, 4, 4),)))
    with pytest.raises(ValueError, match="no map of boundary"):
        regularizer.start_from(
            {"single_task": Teacher(TASKS, {name: torch.zeros(1, 2, 2, 2) for name in ("semseg", "depth", "normals")})}
        )
