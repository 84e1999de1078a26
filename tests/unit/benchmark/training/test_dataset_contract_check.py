"""The check of a data set before training: a fault of a user's class is named in one line."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from benchmark.tasks import DEPTH, SEMSEG, TaskSet
from benchmark.training.dataset_contract import DatasetContractError, check_dataset

SIZE = (6, 8)


class Rooms:
    """A user's own data set of one item."""

    tasks = TaskSet((SEMSEG, DEPTH))
    info = SimpleNamespace(id="rooms-1", fingerprint="0" * 64)

    def __init__(self, **changes: Any) -> None:
        targets = {"semseg": torch.zeros(SIZE, dtype=torch.int64), "depth": torch.ones(1, *SIZE)}
        self.items = [
            {"images": torch.zeros(3, *SIZE), "targets": targets, "intrinsics": torch.eye(3), "index": 0, "name": "a"}
        ]
        for name, value in changes.items():
            if value is None:
                del self.items[0][name]
            elif name == "targets":
                targets.update(value)
            else:
                self.items[0][name] = value

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> dict[str, Any]:
        return self.items[position]


def test_a_complete_data_set_is_accepted():
    check_dataset(Rooms(), ["semseg", "depth"])


FAULTS = {
    "no intrinsics": (Rooms(intrinsics=None), "item 0 has no 'intrinsics', it has images"),
    "image in 8 bits": (
        Rooms(images=torch.zeros(3, *SIZE, dtype=torch.uint8)),
        "images of item 0 is 3x6x8 torch.uint8, expected 3x?x? torch.float32",
    ),
    "channels last": (Rooms(images=torch.zeros(*SIZE, 3)), "images of item 0 is 6x8x3"),
    "numpy": (Rooms(images=torch.zeros(3, *SIZE).numpy()), "images of item 0 is ndarray"),
    "pose in place of intrinsics": (
        Rooms(intrinsics=torch.eye(4)),
        "intrinsics of item 0 is 4x4 torch.float32, expected 3x3",
    ),
    "depth without channel": (
        Rooms(targets={"depth": torch.ones(SIZE)}),
        "target 'depth' of item 0 is 6x8 torch.float32, expected 1x6x8",
    ),
    "small label": (
        Rooms(targets={"semseg": torch.zeros(3, 4, dtype=torch.int64)}),
        "target 'semseg' of item 0 is 3x4",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_wrong_item_is_named(case):
    dataset, message = FAULTS[case]
    with pytest.raises(DatasetContractError) as caught:
        check_dataset(dataset, ["semseg", "depth"])
    assert message in str(caught.value)
    assert str(caught.value).startswith("data set Rooms (")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("info", None, "no attribute 'info.id', expected a text that identifies the data in results"),
        ("info", SimpleNamespace(id=3, fingerprint=""), "info.id is 3, expected a text"),
        ("tasks", ["depth"], "tasks is list, expected a TaskSet"),
        ("tasks", TaskSet((SEMSEG,)), "no task 'depth', it offers semseg"),
        ("__len__", lambda self: 0, "it is empty"),
    ],
)
def test_a_wrong_attribute_is_named(monkeypatch, attribute, value, message):
    monkeypatch.setattr(Rooms, attribute, value)
    with pytest.raises(DatasetContractError, match=message.replace(".", r"\.")):
        check_dataset(Rooms(), ["semseg", "depth"])
