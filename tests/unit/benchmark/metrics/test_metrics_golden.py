"""Metrics against the numbers of the public code on the same predictions (`metric.*` of the golden numbers)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.metrics import metric_of
from benchmark.tasks import NYUV2_TASKS

Golden = Mapping[str, Any]


def scores(task: str, predictions: Any, targets: Any) -> dict[str, float]:
    """Metrics of a batch, by the names without the task."""
    metric = metric_of(NYUV2_TASKS[task])
    samples = [
        {f"pred_{task}": {"data": torch.as_tensor(p)}, f"gt_{task}": {"data": torch.as_tensor(g)}}
        for p, g in zip(predictions, targets, strict=True)
    ]
    metric.process(None, samples)
    return {name.partition("/")[2]: value for name, value in metric.evaluate(len(samples)).items()}


def without_255(target: Any) -> Any:
    """The public code marks missing depth and normals by 255; here they are 0."""
    return np.where(target == 255, np.float32(0), target)


def test_miou_is_one_confusion_over_the_set(golden: Golden) -> None:
    found = scores("semseg", golden["in.semseg_logits"].argmax(1)[:, None], golden["in.semseg_gt"].astype(int))
    for code in ("simon", "invpt", "atrc"):
        assert found["mIoU"] == pytest.approx(100 * golden[f"metric.{code}.semseg.mIoU"], rel=1e-5)
    assert golden["metric.simon.semseg.jaccards_all_categs"].mean() * 100 == pytest.approx(found["mIoU"], rel=1e-9)


def test_pixel_accuracy_of_thirteen_classes(golden: Golden) -> None:
    """metric.lorenmt.miou_acc_with_absent_class: [NaN, accuracy]; predictions are the first 12 logits."""
    target = golden["in.lorenmt.seg13_gt"][:, None]
    found = scores("semseg", golden["in.semseg_logits"][:, :12].argmax(1)[:, None], np.where(target == -1, 255, target))
    assert found["pixAcc"] == pytest.approx(100 * golden["metric.lorenmt.miou_acc_with_absent_class"][1], rel=1e-5)


def test_depth(golden: Golden) -> None:
    found = scores("depth", golden["in.depth_pred"], without_255(golden["in.depth_gt"]))
    for name, key in (("rmse@pixel", "rmse"), ("absRel", "abs_rel"), ("sqRel", "sq_rel"), ("logRmse", "log_rmse")):
        assert found[name] == pytest.approx(golden[f"metric.invpt.depth.{key}"], rel=1e-5)
    assert found["rmse@pixel"] == pytest.approx(golden["metric.simon.depth.rmse"], rel=1e-5)
    assert found["rmse@pixel"] == pytest.approx(golden["metric.atrc.depth.rmse_ignore255"], rel=1e-5)
    assert found["logRmse"] == pytest.approx(golden["metric.simon.depth.log_rmse"], rel=1e-5)


def test_normals(golden: Golden) -> None:
    found = scores("normals", golden["in.normals_pred"], without_255(golden["in.normals_gt"]))
    for code in ("simon", "invpt", "atrc"):
        assert found["mean@pixel"] == pytest.approx(golden[f"metric.{code}.normals.mean"], rel=1e-5)
    for name in ("11.25", "22.5", "30"):
        assert found[name] == pytest.approx(golden[f"metric.simon.normals.{name}"], rel=1e-5)
    mean, median, *_ = golden["metric.libmtl.normal_mean_med_11_22_30"]
    assert found["mean@pixel"] == pytest.approx(mean, rel=1e-5)
    assert found["median"] == pytest.approx(median, rel=1e-5)


def test_normals_read_from_eight_bit_images(golden: Golden) -> None:
    """metric.simon.normals_offline: the prediction is stored as uint8((n + 1) / 2 * 255), truncated, and read back."""
    prediction = golden["in.normals_pred"]
    unit = prediction / np.linalg.norm(prediction, axis=1, keepdims=True)
    stored = ((unit + 1) * 255 / 2).astype(np.uint8)
    found = scores("normals", stored / 255.0 * 2 - 1, without_255(golden["in.normals_gt"]))
    for name, key in (
        ("mean@pixel", "mean"),
        ("median", "median"),
        ("rmse", "rmse"),
        ("11.25", "11.25"),
        ("22.5", "22.5"),
        ("30", "30"),
    ):
        assert found[name] == pytest.approx(golden[f"metric.simon.normals_offline.{key}"], rel=1e-5), name
