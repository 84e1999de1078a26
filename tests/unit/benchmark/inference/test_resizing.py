"""Read-outs in strips equal read-outs of the whole resized prediction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from benchmark.heads import read_out
from benchmark.inference import resizing
from benchmark.tasks import NYUV2_TASKS


@pytest.mark.parametrize("size", [(61, 83), (30, 40), (17, 9)])
@pytest.mark.parametrize("task", NYUV2_TASKS.values(), ids=lambda task: task.name)
def test_strips_equal_the_whole(task, size, monkeypatch):
    monkeypatch.setattr(resizing, "STRIP_VALUES", 5 * task.channels * size[1])
    prediction = torch.randn(task.channels, 30, 40, generator=torch.Generator().manual_seed(0))
    values = resizing.values_at(task, prediction, size)
    whole = read_out(task, F.interpolate(prediction[None], size, mode="bilinear", align_corners=False))[0].numpy()
    expected = whole[0] if len(whole) == 1 else whole.transpose(1, 2, 0)
    assert values.shape == expected.shape
    if task.readout == "class":
        # Two classes may differ by a rounding.
        assert (values == expected).mean() > 0.999
        assert values.dtype == np.uint8
    else:
        np.testing.assert_allclose(values, expected, atol=1e-4)
        assert values.dtype == np.float32


def test_classes_beyond_255_keep_their_numbers():
    """Class 299 on the left, class 3 on the right."""
    task = replace(NYUV2_TASKS["semseg"], channels=300)
    prediction = torch.zeros(300, 2, 2)
    prediction[299, :, 0] = prediction[3, :, 1] = 1.0
    values = resizing.values_at(task, prediction, (2, 2))
    assert values.dtype == np.int16
    assert values.tolist() == [[299, 3], [299, 3]]


def test_256_classes_fit_into_8_bits():
    task = replace(NYUV2_TASKS["semseg"], channels=256)
    prediction = torch.zeros(256, 1, 1)
    prediction[255] = 1.0
    values = resizing.values_at(task, prediction, (1, 1))
    assert (values.dtype, values.tolist()) == (np.uint8, [[255]])
