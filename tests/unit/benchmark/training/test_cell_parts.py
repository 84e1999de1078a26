"""Parts of a cell: targets of a calibration, and diagnostics of a regularizer in the result."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from benchmark.records.result import RunSpec
from benchmark.training import builders, origin
from benchmark.training.cell import _training_targets, diagnostics_of, one_line, parameter_counts
from benchmark.training.data_parallel import Devices
from benchmark.training.origin import Origin, data_provenance, pairs_provenance


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


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("frame 3:\n  damaged"), "frame 3: damaged"),
        (OSError("no room"), "no room"),
        (KeyError("no task x"), "'no task x'"),
        (RuntimeError("no kernel"), "RuntimeError: no kernel"),
        (ValueError(""), "ValueError: "),
    ],
)
def test_an_error_that_was_not_written_for_users_has_its_type(error: Exception, line: str) -> None:
    assert one_line(error) == line
    assert 450 <= len(one_line(type(error)("word " * 200))) <= 500


def test_parameters_are_counted_with_and_without_the_regularizer() -> None:
    """3 * 2 + 2 of the model and 4 more of the regularizer; buffers are no parameters."""
    module = nn.ModuleDict(
        {"model": nn.Linear(3, 2), "regularizer": nn.Linear(3, 1), "norm": nn.BatchNorm1d(2, affine=False)}
    )
    assert parameter_counts(module) == {"parameters_training": 12.0, "parameters_inference": 8.0}


def test_the_origin_of_a_result_names_data_pairs_devices_and_earlier_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("depth",), 0)
    plain = Origin(spec, 0.0).provenance()
    assert "earlier_parts" not in plain
    assert "devices" not in plain["hardware"]
    monkeypatch.setattr(origin, "devices_here", lambda: Devices(2))
    parts = ({"until": 2, "seconds": 3.0},)
    found = Origin(spec, 0.0, data={"id": "rooms-1"}, parts=parts).provenance()
    assert (found["earlier_parts"], found["hardware"]["devices"]) == ([{"until": 2, "seconds": 3.0}], 2)
    assert found["data"] == {"id": "rooms-1"}
    unknown = RunSpec("no_such_recipe", "hard_sharing", "none", "resnet18", ("depth",), 0)
    assert Origin(unknown, 0.0).provenance()["recipe_sha256"] is None

    class Views(list[int]):
        """A data set, or pairs of views of one."""

        info = SimpleNamespace(id="rooms-1", fingerprint="ab")
        views = SimpleNamespace(info=SimpleNamespace(id="clip-1", fingerprint="cd"))

    data = Views([1, 2, 3])
    assert data_provenance(data) == {"id": "rooms-1", "fingerprint": "ab", "frames": 3}
    runner: Any = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=data))
    assert pairs_provenance(runner) == {}
    data.pairs = Views([1, 2])
    assert pairs_provenance(runner) == {"pairs": {"id": "clip-1", "fingerprint": "cd", "pairs": 2}}
