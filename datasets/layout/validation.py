"""The validation split: a fixed tenth of the training frames, in whole scenes if scenes can be distinguished.

One rule holds for every data set. It is applied during preparation, and `frames.csv` lists the result as `held_out`.
Published protocols train on all training frames, so the split "train" contains all of them: "fit" is "train" without
"val".

1. Training frames form groups. Frames of one named scene are one group. A frame without a scene name joins the group of
   the training frame next to it in the order of names; a frame of another split between two frames separates them,
   since a scene lies in one split. So a group is a named scene, or a block of frames that holds whole scenes wherever
   the frames of a scene have consecutive names, as in NYU-v2.
2. Groups are taken in the order of the SHA-256 of their first frame's name while they fit into a tenth of the frames:
   first groups of at most an eighth of that tenth, so that no long scene dominates, then longer ones.
3. If less than half of the tenth could be filled, the rest is the end of the longest group. That group is cut, so one
   scene can then be on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from datasets.layout.manifest_tables import FrameRecord

SHARE = 0.1
"""Share of the training frames that is held out."""


def mark_held_out(records: Sequence[FrameRecord]) -> list[FrameRecord]:
    """Set `held_out` of every frame by the rule of this module.

    Args:
        records: all frames of a data set; their order does not matter.

    Returns:
        The frames in the order of their names. A single training frame is never held out.
    """
    ordered = sorted(records, key=lambda record: record.name)
    names = _held_out_names(_groups(ordered))
    return [replace(record, held_out=record.name in names) for record in ordered]


def describe_validation(records: Sequence[FrameRecord]) -> str:
    """One sentence on the frames of the validation split, for dataset.json."""
    train = [record for record in records if record.split == "train"]
    held_out = [record for record in train if record.held_out]
    if not held_out:
        return "No frame is held out: the training split is too small."
    named = sum(bool(record.scene) for record in train)
    unit = "whole scenes by name" if named == len(train) else f"blocks of frames ({named} frames name their scene)"
    group_of = {name: number for number, names in enumerate(_groups(records)) for name in names}
    cut = {group_of[one.name] for one in held_out} & {group_of[one.name] for one in train if not one.held_out}
    warning = "; one scene or block is on both sides" if cut else ""
    return f"{len(held_out)} of {len(train)} training frames: {unit}{warning}."


def _groups(ordered: Sequence[FrameRecord]) -> list[list[str]]:
    """Names of the training frames of each group, in the order of names."""
    # Imported here, since scipy.cluster takes a tenth of the start of a launcher, which prepares no data.
    from scipy.cluster.hierarchy import DisjointSet

    joined = DisjointSet(record.name for record in ordered if record.split == "train")
    first_of_scene: dict[str, str] = {}
    previous: FrameRecord | None = None
    for record in ordered:
        if record.split == "train":
            if record.scene:
                joined.merge(first_of_scene.setdefault(record.scene, record.name), record.name)
            if previous is not None and not (record.scene and previous.scene):
                joined.merge(previous.name, record.name)
        previous = record if record.split == "train" else None
    return [sorted(names) for names in joined.subsets()]


def _held_out_names(groups: Sequence[Sequence[str]]) -> set[str]:
    count = sum(map(len, groups))
    wanted = max(1, round(SHARE * count)) if count > 1 else 0
    names: set[str] = set()
    ordered = sorted(groups, key=lambda group: hashlib.sha256(group[0].encode()).hexdigest())
    for longest in (wanted // 8, wanted):
        for group in ordered:
            if len(group) <= longest and len(names) + len(group) <= wanted:
                names.update(group)
    missing = wanted - len(names)
    if missing > wanted / 2:
        names.update(max(groups, key=len)[-missing:])
    return names
