"""The picture of one image during a training, pixel by pixel."""

from __future__ import annotations

import numpy as np
import torch

from benchmark.tasks import NYUV2_TASKS
from benchmark.visualization.training_picture import training_picture


def test_tiles_show_the_image_the_label_and_the_prediction() -> None:
    """A tile has 4x6 pixels and a white gap of two; a boundary is white where its logit is large."""
    rgb = np.array([0.2, 0.5, 0.9])
    normalised = (rgb - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    image = torch.tensor(normalised, dtype=torch.float32).view(3, 1, 1).expand(3, 4, 6)
    label = torch.zeros(1, 4, 6)
    label[..., 3:] = 1
    logits = torch.where(label > 0, -20.0, 20.0)
    tasks = NYUV2_TASKS.select(["boundary"])
    picture = training_picture(image, {"boundary": label}, {"boundary": logits}, {}, tasks)
    assert picture.shape == (2 * (4 + 2), 2 * (6 + 2), 3)
    np.testing.assert_array_equal(picture[:4, :6], np.broadcast_to([51, 128, 230], (4, 6, 3)))
    row = np.repeat([0, 255], 3)[:, None].repeat(3, axis=1)
    np.testing.assert_array_equal(picture[1, 8:14], row)
    np.testing.assert_array_equal(picture[7, 8:14], row[::-1])
    assert (picture[4:6] == 255).all()
