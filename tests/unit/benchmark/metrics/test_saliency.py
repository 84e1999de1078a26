"""Saliency: both published definitions of maxF, against hand calculations and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmark.metrics import metric_of
from benchmark.metrics.saliency import saliency_counts, saliency_metrics
from benchmark.tasks import SALIENCY


def metrics(*images: tuple[list[float], list[float]]) -> dict[str, float]:
    return saliency_metrics([saliency_counts(np.float64(p), np.float64(t)) for p, t in images])


def test_max_f_by_hand() -> None:
    """At t = 0.5: 2 of 3 reported pixels are right, of 4 salient ones: P 2/3, R 1/2; at t = 0.2: P 3/5, R 3/4."""
    found = metrics(([0.9, 0.8, 0.7, 0.3, 0.3, 0.0], [1, 1, 0, 1, 0, 1]))
    f = [1.3 * p * r / (0.3 * p + r) for p, r in ((2 / 3, 1 / 2), (3 / 5, 3 / 4), (1, 1 / 2), (1 / 1, 1 / 4))]
    assert found["maxF"] == pytest.approx(100 * max(f))
    assert found["IoU"] == pytest.approx(100 * 2 / 5)


def test_pixels_are_pooled_in_one_and_images_averaged_in_the_other() -> None:
    """One image of 3 right pixels, one of 1 wrong pixel: P pooled 3/4, per image (1 + 0) / 2; R 3/3 and (1 + 0) / 2."""
    found = metrics(([0.9, 0.9, 0.9], [1, 1, 1]), ([0.9], [0]))
    assert found["maxF"] == pytest.approx(100 * 1.3 * 0.75 / (0.3 * 0.75 + 1))
    assert found["maxF@image"] == pytest.approx(50)
    assert found["maxIoU@image"] == pytest.approx(50)


def test_an_image_without_anything_salient_has_iou_1_if_nothing_is_reported() -> None:
    assert metrics(([0.1, 0.0], [0, 0]))["maxIoU@image"] == 100
    assert metrics(([0.1, 0.0], [0, 0]))["maxF"] == 0


def test_iou_takes_probabilities_and_masks_of_a_half_and_more() -> None:
    """Of 0.52, 0.5 and 0.49, two are reported; the mask of 0.5 is foreground, that of 0.4 is not: 1 of 3 in both."""
    assert metrics(([0.52, 0.5, 0.49], [0.5, 0.4, 1]))["IoU"] == pytest.approx(100 / 3)


def test_a_threshold_is_reached_at_equality_but_not_exceeded() -> None:
    """0.9 in float32 is the last threshold of ASTMT: >= takes it, > does not."""
    at = float(np.float32(0.9))
    counts = saliency_counts(np.array([at]), np.array([1.0]))
    assert np.flatnonzero(counts.reached[1]).tolist() == [18]
    assert np.flatnonzero(counts.exceeded[1]).tolist() == [17]


def test_the_thresholds_of_astmt_end_at_0_9() -> None:
    """A background of 0.88 is left out at 0.9 alone; one of 0.92 is reported at all of its thresholds."""
    assert metrics(([0.94, 0.88], [1, 0]))["maxIoU@image"] == pytest.approx(100)
    assert metrics(([0.94, 0.92], [1, 0]))["maxIoU@image"] == pytest.approx(50)


def test_both_definitions_against_plain_loops() -> None:
    rng = np.random.default_rng(0)
    images = [(rng.random(500).astype(np.float32), (rng.random(500) < 0.3).astype(np.float32)) for _ in range(4)]
    best, precision, recall, iou = 0.0, np.zeros(15), np.zeros(15), np.zeros(15)
    for threshold in np.arange(0.05, 0.99, 0.05).astype(np.float32):
        said = np.concatenate([p >= threshold for p, _ in images])
        true = np.concatenate([t == 1 for _, t in images])
        p, r = (said & true).sum() / said.sum(), (said & true).sum() / true.sum()
        best = max(best, 1.3 * p * r / (0.3 * p + r))
    for position, threshold in enumerate(np.linspace(0.2, 0.9, 15)):
        for prediction, target in images:
            said, true = prediction > threshold, target == 1
            right = (said & true).sum()
            precision[position] += right / (said.sum() + 1e-12) / len(images)
            recall[position] += right / (true.sum() + 1e-12) / len(images)
            iou[position] += right / (said | true).sum() / len(images)
    found = saliency_metrics([saliency_counts(p.astype(np.float64), t.astype(np.float64)) for p, t in images])
    assert found["maxF"] == pytest.approx(100 * best, rel=1e-12)
    assert found["maxF@image"] == pytest.approx(100 * (2 * precision * recall / (precision + recall)).max(), rel=1e-9)
    assert found["maxIoU@image"] == pytest.approx(100 * iou.max(), rel=1e-9)


def test_unlabelled_pixels_and_images_do_not_count() -> None:
    metric = metric_of(SALIENCY)
    for prediction, target in (([0.9, 0.9, 0.1], [1, 255, 0]), ([0.9, 0.9, 0.9], [255, 255, 255])):
        fields = {"pred_saliency": prediction, "gt_saliency": target}
        sample = {name: {"data": torch.tensor([[values]])} for name, values in fields.items()}
        metric.process({}, [sample])
    assert metric.evaluate(2) == {
        "saliency/maxF": 100,
        "saliency/maxF@image": 100,
        "saliency/maxIoU@image": 100,
        "saliency/IoU": 100,
    }


def test_a_prediction_that_is_not_a_number_makes_all_of_them_so() -> None:
    assert all(math.isnan(value) for value in metrics(([math.nan, 0.5], [1, 0])).values())


def test_logits_are_refused() -> None:
    with pytest.raises(ValueError, match="must be probabilities in 0..1, found -3..2"):
        metrics(([-3.0, 2.0], [0, 1]))
