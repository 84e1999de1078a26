"""Metrics on hand-worked cases, and against plain numpy over all pixels of a split at once."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from metric_samples import TASKS, random_samples, sample
from mmengine.evaluator import Evaluator

from benchmark.metrics import build_metric, metric_of
from benchmark.metrics.catalogue import CATALOGUE
from benchmark.metrics.evaluators import build_own_metrics
from benchmark.metrics.normals import angle_sums, metrics_of_sums
from benchmark.tasks import NYUV2_TASKS, SEMSEG


def evaluate(task: str, samples: list[Any]) -> dict[str, float]:
    """Metrics through mmengine's evaluator, by the names without the task."""
    evaluator = Evaluator([metric_of(NYUV2_TASKS[task])])
    evaluator.process(samples)
    return {name.removeprefix(f"{task}/"): value for name, value in evaluator.evaluate(len(samples)).items()}


def pooled(task: str, samples: list[Any], valid: Any) -> tuple[Any, Any]:
    """(C, N) float64 predictions and targets of all valid pixels of all images together."""
    channels = 3 if task == "normals" else 1

    def over_all_images(kind: str) -> Any:
        images = [np.asarray(image.to_dict()[f"{kind}_{task}"]["data"]) for image in samples]
        return np.concatenate([image.reshape(channels, -1) for image in images], axis=1).astype(np.float64)

    target = over_all_images("gt")
    return over_all_images("pred")[:, valid(target)], target[:, valid(target)]


def test_depth_rmse_weighs_pixels_not_images() -> None:
    """One image with 1 valid pixel (error 3 m), one with 3 (error 1 m): sqrt((9 + 3) / 4); per image (3 + 1) / 2."""
    found = evaluate(
        "depth", [sample("depth", [[[5.0, 9, 9]]], [[[2.0, 0, 0]]]), sample("depth", [[[1.0, 1, 3]]], [[[2.0, 2, 2]]])]
    )
    assert found["rmse@pixel"] == pytest.approx(3**0.5)
    assert found["rmse@image"] == pytest.approx(2)


def test_an_image_without_a_depth_has_no_weight() -> None:
    images = [sample("depth", [[[5.0, 9.0]]], [[[2.0, 2.0]]]), sample("depth", [[[1.0, 1.0]]], [[[0.0, math.inf]]])]
    assert evaluate("depth", images) == evaluate("depth", images[:1])


def test_depth_relative_errors_by_hand() -> None:
    """2 m predicted as 1 m, 4 m as 5 m: absRel (1/2 + 1/4) / 2, sqRel (1/2 + 1/4) / 2, ratios 2 and 1.25."""
    found = evaluate("depth", [sample("depth", [[[1.0, 5.0]]], [[[2.0, 4.0]]])])
    assert found["absRel"] == pytest.approx(0.375)
    assert found["sqRel"] == pytest.approx(0.375)
    assert found["logRmse"] == pytest.approx(math.sqrt((math.log(2) ** 2 + math.log(1.25) ** 2) / 2))
    # The ratio 1.25 itself is not below 1.25; 2 is above 1.25^3 = 1.953.
    assert [found[f"delta{k}"] for k in (1, 2, 3)] == [0, 50, 50]


def test_depth_that_is_not_positive_becomes_a_nanometre() -> None:
    """Predictions 0 and -3 for 1 m: ln(1e-9)^2 each, and an error of 1 m."""
    found = evaluate("depth", [sample("depth", [[[0.0, -3.0]]], [[[1.0, 1.0]]])])
    assert found["logRmse"] == pytest.approx(9 * math.log(10))
    assert found["rmse@pixel"] == pytest.approx(1)


def test_miou_counts_an_absent_class_as_zero() -> None:
    """Class 0: 2 of 3 pixels, class 1: 1 of 2; the other 38 classes count 0."""
    found = evaluate(
        "semseg", [sample("semseg", [[[0, 0, 1, 7]]], [[[0, 0, 0, 255]]]), sample("semseg", [[[1]]], [[[1]]])]
    )
    assert found["mIoU"] == pytest.approx(100 * (2 / 3 + 1 / 2) / 40)
    assert found["pixAcc"] == pytest.approx(75)


def test_number_of_classes_is_the_channels_of_the_task() -> None:
    metric = metric_of(replace(SEMSEG, name="parts", channels=2))
    fields = sample("semseg", [[[0, 1]]], [[[0, 1]]]).to_dict()
    metric.process(None, [{"pred_parts": fields["pred_semseg"], "gt_parts": fields["gt_semseg"]}])
    assert metric.evaluate(1) == {"parts/mIoU": 100.0, "parts/pixAcc": 100.0}


def test_counts_of_a_split_are_exact_beyond_single_precision() -> None:
    """300 images of 240 x 240 pixels and one wrong pixel: 17,280,001 pixels are more than float32 can count."""
    right = sample("semseg", np.zeros((1, 240, 240)), np.zeros((1, 240, 240))).to_dict()
    metric = metric_of(SEMSEG)
    metric.process(None, [right] * 300 + [sample("semseg", [[[1]]], [[[0]]])])
    assert metric.evaluate(301)["semseg/pixAcc"] == 100 * 17280000 / 17280001


def test_angles_by_hand() -> None:
    """Against (0, 0, 1): (0, 0, 2) is 0, (1, 0, 1) 45, (1, 0, 0) 90, the zero vector 90, (0, 0, -1) 180 degrees."""
    vectors = np.array([[0, 0, 2], [1, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, -1]]).T[:, None]
    found = evaluate("normals", [sample("normals", vectors, np.tile([[[0]], [[0]], [[1]]], (1, 1, 5)))])
    assert found["mean@pixel"] == pytest.approx(81)
    assert found["median"] == pytest.approx(90)
    assert found["rmse"] == pytest.approx(math.sqrt((45**2 + 2 * 90**2 + 180**2) / 5))
    assert [found[name] for name in ("11.25", "22.5", "30")] == pytest.approx([20, 20, 20])


def test_median_of_an_even_number_is_the_mean_of_the_middle_two() -> None:
    """Angles 10, 20, 40, 80 degrees."""
    radians = np.radians([10.0, 20, 40, 80])
    vectors = np.stack([np.sin(radians), 0 * radians, np.cos(radians)])[:, None]
    found = evaluate("normals", [sample("normals", vectors, np.tile([[[0]], [[0]], [[1]]], (1, 1, 4)))])
    assert found["median"] == pytest.approx(30, rel=1e-6)


@pytest.mark.parametrize("angle", [0.001, 0.02, 1.0, 11.0, 179.0])
def test_small_angles_keep_their_precision(angle: float) -> None:
    """In float32, acos would be off by 0.02 degrees near zero."""
    vector = np.array([math.sin(math.radians(angle)), 0, math.cos(math.radians(angle))]).reshape(3, 1, 1)
    found = evaluate("normals", [sample("normals", vector, np.array([0, 0, 1]).reshape(3, 1, 1))])
    assert [found[name] for name in ("mean@pixel", "median", "rmse")] == pytest.approx([angle] * 3, rel=1e-5)


def test_normals_are_those_of_numpy_over_all_pixels() -> None:
    samples = random_samples("normals", 7, size=(40, 30))
    prediction, target = pooled("normals", samples, lambda g: (g != 0).any(0))
    cosine = (prediction * target).sum(0) / np.linalg.norm(prediction, axis=0) / np.linalg.norm(target, axis=0)
    angles = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    expected = {
        "mean@pixel": angles.mean(),
        "median": np.median(angles),
        "rmse": np.sqrt((angles**2).mean()),
        **{name: 100 * (angles < float(name)).mean() for name in ("11.25", "22.5", "30")},
    }
    found = evaluate("normals", samples)
    assert found.pop("median") == pytest.approx(expected.pop("median"), rel=1e-5)
    assert found == pytest.approx(expected, rel=1e-9)


def test_depth_is_that_of_numpy_over_all_pixels() -> None:
    samples = random_samples("depth", 7, size=(40, 30))
    (prediction,), (target,) = pooled("depth", samples, lambda g: g[0] > 0)
    prediction = np.maximum(prediction, 1e-9)
    ratio = np.maximum(prediction / target, target / prediction)
    expected = {
        "rmse@pixel": np.sqrt(((prediction - target) ** 2).mean()),
        "absRel": (np.abs(prediction - target) / target).mean(),
        "sqRel": ((prediction - target) ** 2 / target).mean(),
        "logRmse": np.sqrt((np.log(prediction / target) ** 2).mean()),
        **{f"delta{k}": 100 * (ratio < 1.25**k).mean() for k in (1, 2, 3)},
    }
    found = evaluate("depth", samples)
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_miou_is_that_of_a_confusion_matrix() -> None:
    samples = random_samples("semseg", 7, size=(40, 30))
    (prediction,), (target,) = pooled("semseg", samples, lambda g: g[0] != 255)
    confusion = np.histogram2d(target, prediction, bins=np.arange(41))[0]
    hits = np.diag(confusion)
    ious = hits / (confusion.sum(0) + confusion.sum(1) - hits)
    found = evaluate("semseg", samples)
    assert found == pytest.approx({"mIoU": 100 * ious.mean(), "pixAcc": 100 * hits.sum() / confusion.sum()}, rel=1e-9)


def test_boundary_average_precision_by_hand() -> None:
    """Sorted: 0.9 right, 0.7 wrong, 0.4 right; the unlabelled 0.99 does not count: (1/1 + 2/3) / 2."""
    found = evaluate("boundary", [sample("boundary", [[[0.4, 0.7, 0.9, 0.99]]], [[[1, 0, 1, 255]]])])
    assert found["ap@pixel"] == pytest.approx(100 * (1 + 2 / 3) / 2)


def test_boundary_average_precision_is_the_area_under_all_thresholds() -> None:
    """Brute force over the 255 thresholds; the ends of 0..1 fall into the outer bins."""
    samples = random_samples("boundary", 5, size=(20, 20))
    samples.append(sample("boundary", [[[0.0, 1.0]]], [[[1, 0]]]))
    (prediction,), (target,) = pooled("boundary", samples, lambda g: g[0] != 255)
    level = np.minimum(np.floor(prediction * 255), 254)
    area = recall = 0.0
    for threshold in range(254, -1, -1):
        said = level >= threshold
        if said.any():
            found = target[said].sum() / target.sum()
            area += (found - recall) * target[said].mean()
            recall = found
    assert evaluate("boundary", samples)["ap@pixel"] == pytest.approx(100 * area, rel=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_every_reported_name_is_described(task: str) -> None:
    found = evaluate(task, random_samples(task, 3))
    assert found
    assert set(found) <= set(CATALOGUE)
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize("task", TASKS)
def test_a_split_without_labels_has_no_numbers(task: str) -> None:
    assert evaluate(task, random_samples(task, 2)[1:]) == {}


@pytest.mark.parametrize("task", ["depth", "normals", "boundary"])
def test_a_prediction_that_is_not_a_number_is_not_hidden(task: str) -> None:
    channels = 3 if task == "normals" else 1
    values = np.full((channels, 1, 2), 0.5)
    spoilt = values.copy()
    spoilt[0, 0, 0] = np.nan
    found = evaluate(task, [sample(task, spoilt, values)])
    means = {"rmse@pixel", "mean@pixel", "median", "ap@pixel"} & set(found)
    assert means
    assert all(math.isnan(found[name]) for name in means)


def test_wrong_data_samples_are_named() -> None:
    with pytest.raises(ValueError, match=r"image 0001: no field pred_depth; fields: .*pred_normals"):
        metric_of(NYUV2_TASKS["depth"]).process(None, [sample("normals", np.ones((3, 1, 1)), np.ones((3, 1, 1)))])
    with pytest.raises(ValueError, match=r"image 0001: depth prediction \(1, 1, 2\) and target \(1, 1, 3\) differ"):
        evaluate("depth", [sample("depth", [[[1.0, 1]]], [[[1.0, 1, 1]]])])
    with pytest.raises(ValueError, match=r"1 labelled pixels have a target class outside 0\.\.39; .*\[3, 41\]"):
        evaluate("semseg", [sample("semseg", [[[3, 3]]], [[[3, 41]]])])
    with pytest.raises(ValueError, match=r"2 labelled pixels have a prediction class outside 0\.\.39"):
        evaluate("semseg", [sample("semseg", [[[-1, 40, 99]]], [[[3, 3, 255]]])])
    with pytest.raises(ValueError, match=r"must be probabilities in 0\.\.1, found -2\.\.3"):
        evaluate("boundary", [sample("boundary", [[[-2.0, 3]]], [[[0, 1]]])])


def test_a_config_names_the_metric_of_a_task() -> None:
    evaluator = Evaluator([dict(type="MetricOf", task=name) for name in TASKS])
    assert [metric.prefix for metric in evaluator.metrics] == list(TASKS)
    with pytest.raises(KeyError, match="Did you mean 'normals'"):
        build_metric("normal")


def test_an_angle_at_a_threshold_is_not_below_it() -> None:
    """Angles of 10, 11.25, 22.5, 25, 30 and 31 degrees: 1, 2 and 4 of 6."""
    found = metrics_of_sums([angle_sums(np.array([10.0, 11.25, 22.5, 25.0, 30.0, 31.0]))])
    assert [found[name] for name in ("11.25", "22.5", "30")] == pytest.approx([100 / 6, 200 / 6, 400 / 6])


@pytest.mark.parametrize("task", ["depth", "normals"])
def test_single_images_have_numbers_in_the_order_of_the_split(task: str) -> None:
    """Each is the number of a split of this image alone; a normals image has no median."""
    samples = [random_samples(task, 1, seed)[0] for seed in (3, 4, 5)]
    metric = metric_of(NYUV2_TASKS[task])
    metric.process(None, samples)
    metric.evaluate(3)
    alone = [evaluate(task, [image]) for image in samples]
    expected = [{f"{task}/{name}": value for name, value in found.items() if name != "median"} for found in alone]
    assert metric.of_images() == expected
    assert len({found[f"{task}/{next(iter(alone[0]))}"] for found in expected}) == 3


def test_options_of_a_config_come_before_those_of_the_task() -> None:
    task = replace(NYUV2_TASKS["boundary"], metric_options={"max_distance": 0.02})
    assert metric_of(task).max_distance == 0.02  # type: ignore[attr-defined]
    assert metric_of(task, max_distance=0.03).max_distance == 0.03  # type: ignore[attr-defined]
    own = build_own_metrics("depth", collect_device="gpu")
    assert (own.prefix, own.collect_device) == ("depth", "gpu")
