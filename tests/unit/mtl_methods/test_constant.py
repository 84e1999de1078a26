"""The constant against numpy over the same labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.heads import read_out
from benchmark.tasks import DEPTH, NYUV2_TASKS, SALIENCY, SEMSEG, Task, TaskSet
from mtl_methods.constant import Constant


def random_labels(seed: int, batch: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Labels with holes: class 7 most often, depth in metres, unit normals, boundaries."""
    generator = np.random.default_rng(seed)
    hole = generator.random((batch, *size)) < 0.3
    semseg = np.where(generator.random(hole.shape) < 0.2, 7, generator.integers(0, 40, hole.shape))
    normals = generator.standard_normal((batch, 3, *size))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return {
        "semseg": np.where(hole, 255, semseg).astype(np.int64),
        "depth": np.where(hole, 0.0, generator.uniform(0.5, 10, hole.shape))[:, None].astype(np.float32),
        "normals": np.where(hole[:, None], 0.0, normals).astype(np.float32),
        "boundary": np.where(hole, 255.0, generator.random(hole.shape) < 0.1)[:, None].astype(np.float32),
    }


def as_tensors(labels: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(values) for name, values in labels.items()}


def test_predictions_are_the_statistics_of_the_valid_pixels():
    """Batches of different sizes: every pixel has the same weight, not every batch."""
    batches = [random_labels(0, 2, (6, 8)), random_labels(1, 5, (9, 7))]
    method = Constant(NYUV2_TASKS, "resnet18")
    method.calibrate([as_tensors(batch) for batch in batches])
    predictions = method(torch.randn(2, 3, 5, 4)).predictions

    classes = np.concatenate([batch["semseg"].ravel() for batch in batches])
    depths = np.concatenate([batch["depth"].ravel() for batch in batches]).astype(np.float64)
    normals = np.concatenate([batch["normals"].transpose(0, 2, 3, 1).reshape(-1, 3) for batch in batches])
    mean_normal = normals[np.abs(normals).sum(1) > 0].astype(np.float64).mean(0)
    assert predictions["semseg"].argmax(1).unique().tolist() == [np.bincount(classes[classes != 255]).argmax()]
    np.testing.assert_allclose(predictions["depth"].numpy(), depths[depths > 0].mean(), rtol=1e-6)
    np.testing.assert_allclose(predictions["normals"].numpy()[1, :, 2, 3], mean_normal, rtol=1e-6)
    assert torch.sigmoid(predictions["boundary"]).max() < 1e-6


def test_predictions_have_input_size_and_stay_in_the_state_dict():
    method, other = Constant(NYUV2_TASKS, "resnet18"), Constant(NYUV2_TASKS, "resnet18")
    method.calibrate([as_tensors(random_labels(0, 2, (6, 8)))])
    other.load_state_dict(method.state_dict())
    images = torch.zeros(2, 3, 33, 47)
    for name, prediction in method(images).predictions.items():
        assert tuple(prediction.shape) == (2, NYUV2_TASKS[name].channels, 33, 47)
        assert torch.equal(prediction, other(images).predictions[name])
    assert not list(method.parameters())


def test_another_task_gets_the_mean_of_its_valid_values():
    """Values 1, 3 and a hole: mean 2."""
    reflectance = Task(
        name="reflectance", channels=1, unit="1", primary_metric="rmse", higher_is_better=False, loss="l1",
        valid=DEPTH.valid, readout="value",
    )  # fmt: skip
    method = Constant(TaskSet([SEMSEG, reflectance]), "resnet18")
    method.calibrate(
        [{"semseg": torch.zeros(1, 1, 3, dtype=torch.int64), "reflectance": torch.tensor([[[[1.0, 3.0, 0.0]]]])}]
    )
    assert method(torch.zeros(1, 3, 2, 2)).predictions["reflectance"].unique().tolist() == [2.0]


def test_a_mask_is_predicted_with_the_share_of_its_foreground():
    """3 of 4 labelled pixels are foreground, whether a mask has one channel or two."""
    target = torch.tensor([[[[1.0, 1.0, 1.0, 0.0, 255.0]]]])
    for task in (SALIENCY, SALIENCY.adjusted(channels=1)):
        method = Constant(TaskSet([task]), "resnet18")
        method.calibrate([{"saliency": target}])
        prediction = method(torch.zeros(1, 3, 2, 2)).predictions["saliency"]
        assert prediction.shape == (1, task.channels, 2, 2)
        torch.testing.assert_close(read_out(task, prediction), torch.full((1, 1, 2, 2), 0.75))


def test_a_split_without_labels_is_refused():
    method = Constant(NYUV2_TASKS.select(["depth"]), "resnet18")
    with pytest.raises(ValueError, match="no valid pixel of depth"):
        method.calibrate([{"depth": torch.zeros(1, 1, 4, 4)}])
