"""Items of a data set: codes, randomness from (seed, epoch, index), the cache, the files read."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

from benchmark.boundaries.formats.content import DataError
from benchmark.registry import DATASETS
from benchmark.tasks import HUMAN_PARTS
from datasets.layout.frame_files import read_modality
from datasets.loading.canonical import CanonicalDataset, _target, chosen_frames

SIZE = (12, 16)
ZOOM = {"zoom": (1.0, 2.0), "flip": 0.5, "photometric": 1.0}
PUBLISHED = {"scale": (0.5, 2.0), "crop": SIZE, "cat_max_ratio": 0.75, "flip": 0.5, "photometric": 1.0}


def same(one: dict, other: dict) -> bool:
    tensors = [(one[key], other[key]) for key in ("images", "intrinsics")]
    tensors += [(one["targets"][name], other["targets"][name]) for name in one["targets"]]
    return all(torch.equal(a, b) and a.dtype == b.dtype for a, b in tensors) and one["name"] == other["name"]


def stored(root, modality):
    return torch.from_numpy(read_modality(root, modality, "0001", SIZE, 40))


def test_an_item_has_the_documented_codes(tiny):
    item = CanonicalDataset(tiny, "train")[0]
    targets = item["targets"]
    assert (item["name"], item["index"]) == ("0001", 0)
    assert torch.equal(item["intrinsics"], torch.tensor([[10.5, 0, 8.25], [0, 11.5, 6.75], [0, 0, 1]]))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = (stored(tiny, "images").permute(2, 0, 1) / 255 - mean) / std
    assert item["images"].shape == (3, *SIZE)
    torch.testing.assert_close(item["images"], expected)

    labels = stored(tiny, "semseg").long()
    assert targets["semseg"].dtype == torch.int64
    assert torch.equal(targets["semseg"], torch.where(labels == 0, 255, labels - 1))
    assert torch.equal(targets["depth"], stored(tiny, "depth")[None])
    assert torch.equal(targets["normals"], stored(tiny, "normals").permute(2, 0, 1).float())
    codes = stored(tiny, "boundary")
    by_hand = torch.where(codes == 128, 255.0, torch.where(codes == 255, 1.0, 0.0))
    assert torch.equal(targets["boundary"], by_hand[None])


def test_validity_of_the_tasks_follows_what_is_stored(tiny):
    dataset = CanonicalDataset(tiny, "train")
    targets = default_collate([dataset[0]])["targets"]
    stored_valid = {
        "semseg": stored(tiny, "semseg") != 0,
        "depth": stored(tiny, "depth") > 0,
        "normals": (stored(tiny, "normals") != 0).any(-1),
        "boundary": stored(tiny, "boundary") != 128,
    }
    for name, valid in stored_valid.items():
        assert torch.equal(dataset.tasks[name].valid(targets[name])[0], valid), name
        assert not valid.all(), f"{name}: the frame should have missing pixels"


@pytest.mark.parametrize("options", [ZOOM, PUBLISHED], ids=["zoom", "published"])
@pytest.mark.parametrize("cache", [False, True])
def test_an_item_depends_on_seed_epoch_and_index_only(tiny, options, cache):
    dataset = CanonicalDataset(tiny, "train", augmentation=options, seed=1, cache=cache)
    items = [dataset[position] for position in range(6)]
    np.random.seed(0)
    torch.manual_seed(5)
    again = CanonicalDataset(tiny, "train", augmentation=options, seed=1, cache=cache)
    for position in (5, 0, 3, 1, 4, 2):
        assert same(again[position], items[position]), position
    assert [item["index"] for item in items] == [0, 1, 2, 0, 1, 2]
    assert not torch.equal(items[0]["images"], items[3]["images"]), "another epoch, another draw"
    other = CanonicalDataset(tiny, "train", augmentation=options, seed=2)
    assert not all(torch.equal(other[p]["images"], items[p]["images"]) for p in range(3)), "another seed"


def test_an_item_does_not_depend_on_the_tasks_loaded(tiny):
    """The crop is the same too, although its redraws depend on semseg labels that are not loaded as a task."""
    every = CanonicalDataset(tiny, "train", augmentation=PUBLISHED)
    depth = CanonicalDataset(tiny, "train", augmentation=PUBLISHED, tasks=["depth"])
    for position in range(9):
        item = depth[position]
        assert set(item["targets"]) == {"depth"}
        assert torch.equal(item["images"], every[position]["images"])
        assert torch.equal(item["targets"]["depth"], every[position]["targets"]["depth"])


@pytest.mark.parametrize("size", [None, (7, 9), (6, 8), (24, 20)])
@pytest.mark.parametrize("options", [None, ZOOM])
def test_cached_items_equal_uncached_ones_bit_for_bit(tiny, size, options):
    plain = CanonicalDataset(tiny, "train", size=size, augmentation=options)
    cached = CanonicalDataset(tiny, "train", size=size, augmentation=options, cache=True)
    for position in range(6):
        assert same(plain[position], cached[position]), position
    assert cached[0]["images"].shape[1:] == (size or SIZE)
    assert cached.info.fingerprint[:8] in next((tiny / "cache").iterdir()).name


def test_the_cache_is_read_instead_of_the_files_and_serves_fewer_tasks(tiny):
    first = CanonicalDataset(tiny, "test", cache=True)[0]
    for path in tiny.glob("*/*.*"):
        if path.parent.name in ("images", "depth"):
            path.unlink()
    item = CanonicalDataset(tiny, "test", cache=True, tasks=["depth"])[0]
    assert torch.equal(item["targets"]["depth"], first["targets"]["depth"])


def test_writing_into_an_item_does_not_reach_the_cache(tiny):
    dataset = CanonicalDataset(tiny, "test", cache=True)
    before = dataset[0]["targets"]["depth"].clone()
    for tensor in (dataset[0]["images"], *dataset[0]["targets"].values()):
        tensor.zero_()
    assert torch.equal(dataset[0]["targets"]["depth"], before)


def test_a_broken_cache_is_named(tiny):
    CanonicalDataset(tiny, "test", cache=True)
    path = next(tiny.glob("cache/*/test/depth.npy"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"depth\.npy: cannot be read .*; delete .*, and it is created again"):
        CanonicalDataset(tiny, "test", cache=True)


def test_a_failed_cache_leaves_nothing_behind(tiny):
    (tiny / "depth" / "0005.npy").unlink()
    with pytest.raises(DataError, match="0005.npy: the file is missing"):
        CanonicalDataset(tiny, "test", cache=True)
    assert [path.name for path in tiny.glob("cache/*/*") if path.is_dir()] == []


def test_a_data_set_with_a_cache_can_be_sent_to_another_process(tiny):
    dataset = CanonicalDataset(tiny, "train", augmentation=ZOOM, cache=True)
    data = pickle.dumps(dataset)
    assert len(data) < 20_000, "the arrays stay on disk"
    assert same(pickle.loads(data)[4], dataset[4])


def test_workers_give_the_same_batches(tiny):
    dataset = CanonicalDataset(tiny, "train", augmentation=ZOOM, cache=True)
    one, two = (list(DataLoader(dataset, 3, num_workers=workers)) for workers in (0, 2))
    assert torch.equal(one[0]["images"], two[0]["images"])
    assert one[0]["name"] == ["0001", "0002", "0003"]
    assert one[0]["targets"]["depth"].shape == (3, 1, *SIZE)
    assert one[0]["intrinsics"].shape == (3, 3, 3)


def test_only_requested_labels_are_read(tiny):
    for path in (*(tiny / "normals").iterdir(), *(tiny / "semseg").iterdir(), *(tiny / "boundary").iterdir()):
        path.unlink()
    assert set(CanonicalDataset(tiny, "train", tasks=["depth"])[0]["targets"]) == {"depth"}


def test_iterating_ends_after_one_epoch(tiny):
    assert [item["name"] for item in CanonicalDataset(tiny, "train")] == ["0001", "0002", "0003"]


def test_a_test_split_takes_padding_only(tiny):
    assert CanonicalDataset(tiny, "test", augmentation={"pad": (14, 16)})[1]["images"].shape == (3, 14, 16)
    with pytest.raises(ValueError, match="the test split takes no augmentation but pad, found {'flip': 0.5}"):
        CanonicalDataset(tiny, "test", augmentation={"flip": 0.5})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tasks": ["dept"]}, "no task named 'dept'. Did you mean 'depth'"),
        ({"augmentation": {"flop": 1}}, "no option named 'flop'. Did you mean 'flip'"),
        ({"share": 0.0}, "must lie in .0, 1., found 0.0"),
    ],
)
def test_wrong_arguments_are_explained(tiny, options, message):
    with pytest.raises(ValueError, match=message):
        CanonicalDataset(tiny, "train", **options)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [([[0, 0]], [[255, 255]]), ([[0, 255]], [[255, 255]]), ([[0, 3]], [[0, 3]]), ([[255, 3]], [[255, 3]])],
)
def test_a_frame_of_background_alone_is_unlabelled(labels, expected):
    assert _target(HUMAN_PARTS, np.array(labels, np.uint8)).tolist() == expected


def test_a_share_is_spread_over_all_frames():
    """Frames lie in the order of the recording: the first tenth would be a few rooms."""
    chosen = np.array(chosen_frames(800, 0.1))
    counts, _ = np.histogram(chosen, bins=8, range=(0, 800))
    assert counts.min() >= 3


@pytest.mark.parametrize(("share", "count"), [(0.001, 1), (0.25, 200), (0.5, 400), (1.0, 800)])
def test_a_share_is_nested_in_larger_ones(share, count):
    chosen = list(chosen_frames(800, share))
    assert len(chosen) == count
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(chosen_frames(800, min(1.0, 2 * share)))


@pytest.mark.parametrize("cache", [False, True])
def test_a_share_of_the_training_frames_is_those_frames_and_the_test_split_stays_whole(tiny, cache):
    whole = CanonicalDataset(tiny, "train", size=SIZE, augmentation=ZOOM, cache=cache)
    part = CanonicalDataset(tiny, "train", size=SIZE, augmentation=ZOOM, cache=cache, share=0.5, seed=whole.seed)
    assert 0 < len(part) < len(whole)
    for place, index in enumerate(part.chosen):
        assert same(part[place + 2 * len(part)], whole[index + 2 * len(whole)])
    assert len(CanonicalDataset(tiny, "test", size=SIZE, share=0.5)) == len(CanonicalDataset(tiny, "test", size=SIZE))


def test_an_unknown_split_is_explained(tiny):
    with pytest.raises(ValueError, match="no frame in split 'valid'; splits are train, test, fit, val"):
        CanonicalDataset(tiny, "valid")


@pytest.mark.parametrize("cache", [False, True])
def test_fit_and_val_are_disjoint_and_make_up_train(tiny, cache):
    """Three training frames in one room: the last one is held out."""
    train, fit, val = (CanonicalDataset(tiny, split, cache=cache) for split in ("train", "fit", "val"))
    assert [item["name"] for item in fit] == ["0001", "0002"]
    assert [item["name"] for item in val] == ["0003"]
    assert same(val[0], train[2])
    assert {path.name for path in (tiny / "cache").glob("*/*") if path.is_dir()} == ({"train"} if cache else set())


def test_a_frame_is_augmented_alike_in_train_and_in_fit(tiny):
    train, fit = (CanonicalDataset(tiny, split, augmentation=ZOOM) for split in ("train", "fit"))
    assert same(fit[1 + 2 * len(fit)], train[1 + 2 * len(train)])


def test_a_share_of_fit_has_no_held_out_frame(tiny):
    assert {item["name"] for item in CanonicalDataset(tiny, "fit", share=0.5)} < {"0001", "0002"}
    assert [item["name"] for item in CanonicalDataset(tiny, "val", share=0.5)] == ["0003"]


def test_the_validation_split_is_evaluated_like_the_test_split(tiny):
    with pytest.raises(ValueError, match="the val split takes no augmentation but pad"):
        CanonicalDataset(tiny, "val", augmentation={"flip": 0.5})
    assert "window" in CanonicalDataset(tiny, "val", augmentation={"pad": (14, 16)})[0]
    assert "window" not in CanonicalDataset(tiny, "train", augmentation={"pad": (14, 16), "flip": 0.5})[0]


def test_a_wrong_file_is_named_by_the_item(tiny):
    path = tiny / "images" / "0002.png"
    path.write_bytes(path.read_bytes()[:300])
    dataset = CanonicalDataset(tiny, "train")
    dataset[0]
    with pytest.raises(DataError, match=r"images/0002\.png: truncated image"):
        dataset[1]


def test_nyuv2_names_the_command_that_prepares_it(tmp_path):
    with pytest.raises(DataError, match=r"no prepared data set here.*: python tools/prepare_nyuv2\.py --from-folder"):
        DATASETS.create("nyuv2", tmp_path / "nyuv2", "train")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '"version": 1',
            '"version": 1',
            "prepared by version 1 of the preparation, this code reads version 2; prepare",
        ),
        ('"schema_version": 2', '"schema_version": 1', "schema_version 1, this code reads 2; prepare"),
    ],
)
def test_nyuv2_of_an_older_preparation_is_refused_with_the_command_that_renews_it(tiny, old, new, message):
    path = tiny / "dataset.json"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=f"{message} the data set again: python tools/prepare_nyuv2.py .* --overwrite"):
        DATASETS.create("nyuv2", tiny, "train")
