"""Contract of every registered data set, on prepared data if available, else on the example that it writes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate

from benchmark.registry import DATASETS
from benchmark.tasks import TaskSet
from benchmark.training.recipe_files import data_folder

SIZE = (60, 80)
AUGMENTATION = {"zoom": (1.0, 1.5), "flip": 0.5, "photometric": 1.0}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the examples that data sets write."""
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(params=DATASETS.names())
def factory_and_root(request: pytest.FixtureRequest, small_rooms: Path, examples: Path) -> tuple[Any, Path]:
    """Each data set, with a folder that holds it."""
    factory: Any = DATASETS.entry(request.param).factory
    for root in (small_rooms / request.param, data_folder(request.param)):
        if (root / "dataset.json").is_file():
            return factory, root
    if not hasattr(factory, "example"):
        pytest.skip(f"{request.param} is not prepared at {data_folder(request.param)} and writes no example")
    root = examples / request.param
    if not root.exists():
        factory.example(root)
    return factory, root


def split_of(factory_and_root: tuple[Any, Path], split: str = "train", **options: Any) -> Any:
    """A split at a small size."""
    factory, root = factory_and_root
    return factory(root=root, split=split, size=SIZE, **options)


def flat(item: dict[str, Any]) -> list[torch.Tensor]:
    """All tensors of an item."""
    return [item["images"], item["intrinsics"], *item["targets"].values()]


def test_items_have_the_shapes_types_and_ranges_of_a_batch(factory_and_root: tuple[Any, Path]) -> None:
    for split in ("train", "test"):
        data = split_of(factory_and_root, split)
        tasks: TaskSet = data.tasks
        # A single frame may lack labels of a task.
        items = [data[index] for index in range(min(len(data), 20))]
        for name, task in tasks.items():
            counted = [bool(task.valid(item["targets"][name][None]).any()) for item in items]
            assert any(counted), f"{name} has no label in the first frames"
        item = items[0]
        assert item["images"].shape == (3, *SIZE)
        assert item["images"].dtype == torch.float32
        assert item["intrinsics"].shape == (3, 3)
        assert set(item["targets"]) == set(tasks)
        for name, task in tasks.items():
            target = item["targets"][name]
            shape = SIZE if task.target_channels is None else (task.target_channels, *SIZE)
            assert target.shape == shape, name
            valid = task.valid(target[None])[0]
            assert valid.shape == SIZE
            if task.readout == "class":
                assert target.dtype == torch.int64
                assert not valid.any() or int(target[valid].max()) < task.channels
            elif task.readout == "direction":
                lengths = target[:, valid].norm(dim=0)
                assert not valid.any() or (lengths - 1).abs().max() < 2e-3
            elif task.readout in ("probability", "mask"):
                assert set(target[0][valid].unique().tolist()) <= {0.0, 1.0}


def test_an_item_depends_on_its_position_and_seed_only(factory_and_root: tuple[Any, Path]) -> None:
    """Equal for any state of the global generators; different for another epoch or seed."""
    data = split_of(factory_and_root, augmentation=AUGMENTATION, seed=3)
    first = flat(data[1])
    torch.manual_seed(9)
    random.seed(9)
    np.random.seed(9)
    assert all(torch.equal(a, b) for a, b in zip(first, flat(data[1]), strict=True))
    assert not torch.equal(first[0], data[1 + len(data)]["images"])
    assert not torch.equal(first[0], split_of(factory_and_root, augmentation=AUGMENTATION, seed=4)[1]["images"])


def test_reading_draws_no_number_from_the_global_streams(factory_and_root: tuple[Any, Path]) -> None:
    data = split_of(factory_and_root, augmentation=AUGMENTATION)
    before = (torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy())
    data[0]
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()
    assert (before[2] == np.random.get_state()[1]).all()


def test_items_have_only_the_requested_tasks(factory_and_root: tuple[Any, Path]) -> None:
    name = next(iter(split_of(factory_and_root).tasks))
    assert list(split_of(factory_and_root, tasks=[name])[0]["targets"]) == [name]


def test_items_collate_into_a_batch(factory_and_root: tuple[Any, Path]) -> None:
    data = split_of(factory_and_root)
    batch = default_collate([data[0], data[1]])
    assert batch["images"].shape == (2, 3, *SIZE)
    assert batch["index"].tolist() == [0, 1]
    assert len(set(batch["name"])) == 2


def test_splits_share_no_frame_and_the_id_carries_the_fingerprint(factory_and_root: tuple[Any, Path]) -> None:
    train, test = split_of(factory_and_root), split_of(factory_and_root, "test")
    names = [{data[index]["name"] for index in range(min(len(data), 20))} for data in (train, test)]
    assert not names[0] & names[1]
    assert train.info.fingerprint[:8] in train.info.id
    assert train.info == test.info


def test_the_class_offers_the_tasks_that_its_data_have(factory_and_root: tuple[Any, Path]) -> None:
    """Models and metrics are built from the tasks of the class, before any frame is read."""
    factory, root = factory_and_root
    found: TaskSet = split_of(factory_and_root).tasks
    offered: TaskSet = factory.offered(root) if hasattr(factory, "offered") else factory.tasks
    for name, task in found.items():
        assert (offered[name].channels, offered[name].readout) == (task.channels, task.readout), name


def test_a_padded_item_has_the_window_of_its_frame(factory_and_root: tuple[Any, Path]) -> None:
    padded = split_of(factory_and_root, "test", augmentation={"pad": (64, 90)})[0]
    plain = split_of(factory_and_root, "test")[0]
    top, left, height, width = padded["window"].tolist()
    assert (top, left, height, width) == (2, 5, *SIZE)
    inside = slice(top, top + height), slice(left, left + width)
    assert torch.equal(padded["images"][:, inside[0], inside[1]], plain["images"])
    for name, target in plain["targets"].items():
        assert torch.equal(padded["targets"][name][..., inside[0], inside[1]], target), name
    assert "window" not in plain


def test_an_unknown_split_is_named(factory_and_root: tuple[Any, Path]) -> None:
    with pytest.raises(ValueError, match="validation"):
        split_of(factory_and_root, "validation")
