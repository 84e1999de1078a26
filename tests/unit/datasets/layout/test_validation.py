"""The validation split: a tenth of the training frames, whole scenes, the same on every machine."""

from __future__ import annotations

import random
from collections import defaultdict
from itertools import pairwise

import pytest

from datasets.layout.manifest_tables import FrameRecord, frames_text, read_frames
from datasets.layout.validation import describe_validation, mark_held_out


def record(number: int, split: str = "train", scene: str = "") -> FrameRecord:
    return FrameRecord(f"{number:04d}", split, (50.0, 50.0, 32.0, 24.0), scene)


def held_out(records: list[FrameRecord]) -> set[str]:
    return {one.name for one in mark_held_out(records) if one.held_out}


def named_scenes() -> list[FrameRecord]:
    """100 rooms of 2 to 4 training frames, then 20 test rooms."""
    records: list[FrameRecord] = []
    for room in range(120):
        split = "train" if room < 100 else "test"
        records += [record(len(records) + n, split, f"room {room}") for n in range(2 + room % 3)]
    return records


def interleaved() -> list[FrameRecord]:
    """Frames without scene names: runs of 1 to 12 training frames between runs of test frames, as in NYU-v2."""
    rng, records = random.Random(0), list[FrameRecord]()
    while len(records) < 1400:
        for split in ("train", "test"):
            records += [record(len(records) + n, split) for n in range(rng.randint(1, 12))]
    return records


@pytest.mark.parametrize("make", [named_scenes, interleaved])
def test_a_tenth_of_the_training_frames_is_held_out(make):
    records = make()
    train = {one.name for one in records if one.split == "train"}
    assert held_out(records) <= train
    assert len(held_out(records)) == pytest.approx(len(train) / 10, abs=2)


def test_a_named_scene_is_held_out_whole():
    by_scene = defaultdict(set)
    for one in mark_held_out(named_scenes()):
        by_scene[one.scene].add(one.held_out)
    assert all(len(sides) == 1 for sides in by_scene.values())
    assert {True} in by_scene.values()
    assert describe_validation(mark_held_out(named_scenes())).endswith("training frames: whole scenes by name.")


def test_frames_between_test_frames_are_held_out_together():
    """The neighbours of a held-out frame are held out too, unless they are test frames."""
    marked = mark_held_out(interleaved())
    for one, following in pairwise(marked):
        if one.split == following.split == "train":
            assert one.held_out == following.held_out, (one.name, following.name)


@pytest.mark.parametrize("first", range(0, 600, 12))
def test_an_unnamed_frame_stays_with_its_neighbours_and_they_with_their_scene(first):
    """Frames 0 to 2 form a block; frame 4 has the scene of frame 2, the hall; frame 5 is another scene."""
    scenes = ["", "", "hall", "TEST", "hall", "attic"] + [f"room {number}" for number in range(40)]
    frames = [
        record(first + n, *(("test", "") if scene == "TEST" else ("train", scene))) for n, scene in enumerate(scenes)
    ]
    hall = [frames[number].name in held_out(frames) for number in (0, 1, 2, 4)]
    assert len(set(hall)) == 1


def test_neighbours_of_different_named_scenes_are_chosen_apart():
    """Frames of 30 alternating scenes: no block joins them, so exactly three are held out."""
    assert len(held_out([record(number, "train", f"room {number}") for number in range(30)])) == 3


def test_of_one_long_block_the_end_is_held_out():
    records = [record(number) for number in range(40)]
    assert held_out(records) == {"0036", "0037", "0038", "0039"}
    assert "is on both sides" in describe_validation(mark_held_out(records))


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (3, 1), (15, 2)])
def test_a_small_split_keeps_a_frame_on_each_side(count, expected):
    assert len(held_out([record(number, "train", f"room {number}") for number in range(count)])) == expected


def test_the_choice_does_not_depend_on_the_order_of_the_frames():
    records = interleaved()
    shuffled = random.Random(1).sample(records, len(records))
    assert held_out(shuffled) == held_out(records)


def test_the_choice_is_fixed():
    """By hand, `printf NAME | sha256sum`: of ten single-frame scenes, 0004 has the smallest digest (0591b59c...)."""
    assert held_out([record(number, "train", f"room {number}") for number in range(10)]) == {"0004"}


def test_the_held_out_frames_are_listed_in_frames_csv(tmp_path):
    records = mark_held_out(named_scenes())
    (tmp_path / "frames.csv").write_text(frames_text(records))
    assert read_frames(tmp_path) == records


def test_no_long_scene_dominates_where_short_ones_suffice():
    """400 frames in scenes of 20, then 400 in scenes of 4: the 80 held-out frames are 20 scenes, each of 4."""
    frames = [record(n, "train", f"long {n // 20}") for n in range(400)]
    frames += [record(n, "train", f"short {n // 4}") for n in range(400, 800)]
    names = held_out(frames)
    assert len(names) == 80
    assert min(names) >= "0400"
