"""Parts of a cell: targets of a calibration, and diagnostics of a regularizer in the result."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import HistoryBuffer

from benchmark.training import builders
from benchmark.training.cell import _training_targets, diagnostics_of


def test_diagnostics_are_means_of_the_last_100_values() -> None:
    """Of 0, 1, ..., 149 the mean of 50 to 149; a value that is not a number makes its mean unknown."""
    logged = {
        "train/regularizer_spread": HistoryBuffer([float(value) for value in range(150)], [1] * 150),
        "train/regularizer_broken": HistoryBuffer([1.0, float("nan")], [1, 1]),
        "train/loss": HistoryBuffer([5.0], [1]),
    }
    runner: Any = SimpleNamespace(message_hub=SimpleNamespace(log_scalars=logged))
    assert diagnostics_of(runner) == {"spread": 99.5, "broken": None}


def test_a_calibration_sees_each_training_frame_once_without_the_augmentation_of_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the padding of the test split alone, and without pairs of views."""
    asked: dict[str, Any] = {}

    def build(**options: Any) -> list[dict[str, Any]]:
        asked.update(options)
        return [{"targets": {"depth": torch.full((1, 2, 2), float(frame))}} for frame in range(20)]

    monkeypatch.setattr(builders, "build_split", build)
    train = {"type": "SplitOf", "split": "train", "augmentation": {"flip": 0.5}, "pairs": {"gap": 1}}
    runner: Any = SimpleNamespace(
        _train_dataloader={"dataset": train}, _test_dataloader={"dataset": {"augmentation": {"pad": (4, 4)}}}
    )
    depths = [batch["depth"][:, 0, 0, 0] for batch in _training_targets(runner)]
    assert torch.cat(depths).tolist() == list(range(20))
    assert asked == {"split": "train", "augmentation": {"pad": (4, 4)}}
