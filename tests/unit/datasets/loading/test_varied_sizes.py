"""Data sets with frames of different sizes, tasks beyond NYU-v2, and images of background only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from benchmark.boundaries.formats.content import DataError
from benchmark.tasks import HUMAN_PARTS, PASCAL_TASKS, SEMSEG, TaskSet
from datasets.layout.example import SIZES, write_example
from datasets.layout.layout import CanonicalWriter, FrameRecord, content_fingerprint, read_frames, read_info
from datasets.layout.manifest_tables import LabelInfo
from datasets.loading.canonical import CanonicalDataset
from datasets.loading.transforms import Frame, flip, pad, resize, scale

K = np.array([[20.0, 0, 8.0], [0, 20.0, 6.0], [0, 0, 1]])
CROP = {"scale": (0.5, 2.0), "crop": (32, 32), "cat_max_ratio": 0.75, "flip": 0.5, "photometric": 1.0}


@pytest.fixture
def varied(tmp_path):
    write_example(tmp_path / "varied", "varied", PASCAL_TASKS, varied=True)
    return tmp_path / "varied"


def write_masks(root, sizes, masks=None):
    """Write frames with saliency labels only."""
    with CanonicalWriter(root, name="m", size=None, tasks=("saliency",), classes=(), sources={}) as writer:
        for number, size in enumerate(sizes):
            arrays = {"images": np.zeros((*size, 3), np.uint8), "saliency": np.zeros(size, np.uint8)}
            if masks:
                arrays["saliency"] = masks[number]
            split = "train" if number else "test"
            writer.write(FrameRecord(f"{number}", split, (1.0, 1.0, 0.0, 0.0), size=size), arrays)
    return read_info(root)


def test_every_frame_has_its_size_and_the_id_says_varied(varied):
    info, frames = read_info(varied), read_frames(varied)
    assert info.size is None
    assert info.id == f"varied-varied-{info.fingerprint[:8]}"
    assert [frame.size for frame in frames] == [SIZES[number % 3] for number in range(5)]
    assert content_fingerprint(varied, info, frames) == info.fingerprint
    assert [info.classes_of(name)[:1] for name in ("semseg", "human_parts", "normals")] == [
        ("semseg 1",),
        ("human_parts 1",),
        (),
    ]


def test_frames_of_one_size_make_no_varied_data_set(tmp_path):
    info = write_masks(tmp_path / "m", [(4, 5), (4, 5)])
    assert info.size == (4, 5)
    assert info.id.startswith("m-4x5-")
    assert {frame.size for frame in read_frames(tmp_path / "m")} == {None}


@pytest.mark.parametrize("options", [{"size": (30, 40)}, {"augmentation": {"pad": (64, 66)}}, {"augmentation": CROP}])
def test_items_of_one_size_come_from_a_size_a_padding_or_a_crop(varied, options):
    data = CanonicalDataset(varied, "train", **options)
    batch = default_collate([data[index] for index in range(3)])
    size = options.get("size") or options["augmentation"].get("pad") or CROP["crop"]
    assert batch["images"].shape == (3, 3, *size)
    assert batch["targets"]["human_parts"].shape == (3, *size)
    assert batch["targets"]["saliency"].shape == (3, 1, *size)


def test_items_that_would_differ_in_size_are_refused_at_once(varied):
    with pytest.raises(ValueError, match=r"frames of different sizes; give size=\(H, W\), or an augmentation with pad"):
        CanonicalDataset(varied, "test")
    with pytest.raises(ValueError, match="a cache needs size="):
        CanonicalDataset(varied, "train", augmentation=CROP, cache=True)


def test_cached_items_equal_uncached_ones(varied):
    plain = CanonicalDataset(varied, "train", size=(30, 40))
    cached = CanonicalDataset(varied, "train", size=(30, 40), cache=True)
    for index in range(3):
        assert torch.equal(plain[index]["intrinsics"], cached[index]["intrinsics"])
        for name, target in plain[index]["targets"].items():
            assert torch.equal(target, cached[index]["targets"][name]), name


def test_padded_pixels_count_for_no_task(varied):
    item = CanonicalDataset(varied, "test", augmentation={"pad": (70, 70)})[0]
    top, left, height, width = item["window"].tolist()
    outside = torch.ones(70, 70, dtype=torch.bool)
    outside[top : top + height, left : left + width] = False
    for name, task in PASCAL_TASKS.items():
        valid = task.valid(item["targets"][name][None])[0]
        assert not valid[outside].any(), name
        assert valid[~outside].any(), name


def test_an_image_that_shows_the_background_alone_counts_nothing(tmp_path):
    """The rule of ASTMT, ATRC and InvPT, also for crops; semseg keeps its background."""
    parts = np.ones((40, 40), np.uint8)
    parts[:, :8] = 3
    tasks = TaskSet([SEMSEG, HUMAN_PARTS])
    labels = {"human_parts": LabelInfo("class", tuple("abcdefg"))}
    root = tmp_path / "p"
    with CanonicalWriter(
        root, name="p", size=(40, 40), tasks=tuple(tasks), classes=("x", "y"), labels=labels, sources={}
    ) as writer:
        for name, label in (("people", parts), ("nobody", np.ones_like(parts))):
            arrays = {"images": np.zeros((40, 40, 3), np.uint8), "semseg": np.ones_like(parts), "human_parts": label}
            writer.write(FrameRecord(name, "train", (1.0, 1.0, 0.0, 0.0)), arrays)
    nobody, people = (CanonicalDataset(root, "train")[index]["targets"] for index in range(2))
    assert (nobody["human_parts"] == 255).all()
    assert (nobody["semseg"] == 0).all()
    assert people["human_parts"].unique().tolist() == [0, 2]
    crops = CanonicalDataset(root, "train", augmentation={"crop": (8, 8)}, tasks=["human_parts"])
    seen = [crops[1 + 2 * epoch]["targets"]["human_parts"] for epoch in range(40)]
    assert any((crop == 255).all() for crop in seen), "crops beside the person"
    assert all((crop == 255).all() or (crop == 2).any() for crop in seen)


def test_masks_shrink_by_the_nearest_pixel_and_boundaries_keep_every_line(tmp_path):
    thin = np.zeros((8, 8), np.uint8)
    thin[:, 3] = 1
    frame = Frame(np.zeros((8, 8, 3), np.uint8), K, saliency=thin, boundary=thin)
    small = resize(frame, (2, 2))
    np.testing.assert_array_equal(small.boundary, [[1, 0], [1, 0]])
    np.testing.assert_array_equal(small.saliency, thin[2::4, 2::4])
    np.testing.assert_array_equal(flip(frame).saliency, thin[:, ::-1])
    assert (pad(frame, (10, 8)).saliency[[0, -1]] == 255).all()


def test_transforms_go_by_the_kind_of_a_label_not_by_its_name():
    height = np.full((4, 4), 2.0, np.float32)
    frame = Frame(
        np.zeros((4, 4, 3), np.uint8),
        K,
        {"height": "value", "tilt": "direction"},
        height=height,
        tilt=np.ones((4, 4, 3), np.float32),
    )
    np.testing.assert_array_equal(scale(frame, 2.0).height, np.ones((8, 8)))
    assert (flip(frame).tilt == [-1, 1, 1]).all()
    assert not hasattr(frame, "semseg")


def test_a_task_of_another_name_is_read_by_its_kind(tmp_path):
    labels = {"material": LabelInfo("class", ("wood", "stone", "cloth"))}
    codes = np.array([[0, 1], [2, 3]], np.uint8)
    with CanonicalWriter(
        tmp_path / "x", name="x", size=(2, 2), tasks=("material",), classes=(), labels=labels, sources={}
    ) as writer:
        writer.write(
            FrameRecord("1", "train", (1.0, 1.0, 0.0, 0.0)),
            {"images": np.zeros((2, 2, 3), np.uint8), "material": codes},
        )
    data = CanonicalDataset(tmp_path / "x", "train")
    assert (data.tasks["material"].channels, data.tasks["material"].primary_metric) == (3, "mIoU")
    assert data[0]["targets"]["material"].tolist() == [[255, 0], [1, 2]]
    assert writer.info == read_info(tmp_path / "x")


@pytest.mark.parametrize("code", [1, 127, 254])
def test_a_wrong_mask_code_is_named(tmp_path, code):
    masks = [np.full((4, 5), value, np.uint8) for value in (0, code)]
    with pytest.raises(DataError, match=f"frame 1, saliency: mask code {code} at row 0, column 0"):
        write_masks(tmp_path / "m", [(4, 5), (4, 5)], masks)
