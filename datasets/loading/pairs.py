"""Pairs of posed views of a scene, and a labelled data set joined with such pairs.

Source: Li et al., "Multi-task Learning with 3D-Aware Regularization", ICLR 2024, trains jointly on NYU-v2 and
on frames of its videos, which have depth labels only. The choice of pairs is specific to this suite: the frames of a
pair are at most `gap` apart in the order of their scene, and each epoch draws another partner.

An item of `Joined` is an item of a data set with "second_view": targets and intrinsics of a second view, the pose (4,
4) from the first to the second camera in metres, and `has_second_view`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from benchmark.tasks import Task, TaskSet
from datasets.layout.label_kinds import KINDS
from datasets.loading.canonical import CanonicalDataset

DRAW_OF_PARTNER = 1
"""Seed component that separates the draw of the partner from the draws of the augmentation."""


class PosedPairs(Dataset[dict[str, Any]]):
    """Posed frames of a split, each paired with another frame of its scene.

    Args:
        views: the frames; a frame without a pose or without another posed frame of its scene is left out.
        gap: largest distance of the two frames in the order of a scene, at least 1.

    Raises:
        ValueError: if no pair exists, if the augmentation depends on labels, or if `gap` is below 1.

    Both frames of a pair are augmented by the same draws. Flips and zooms change the pose, see `relative_pose`.
    """

    def __init__(self, views: CanonicalDataset, gap: int = 1) -> None:
        if gap < 1:
            raise ValueError(f"pairs: gap must be 1 or more, found {gap}")
        if views.augmentation.needs_semseg:
            raise ValueError("pairs: cat_max_ratio draws a window by the labels of a frame; set it to 1 for pairs")
        self.views = views
        self.partners = partners(views, gap)
        self.indices = list(self.partners)
        if not self.indices:
            raise ValueError(f"{views.root}: no two frames of the {views.split} split have poses in one scene")

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> dict[str, Any]:
        epoch, place = divmod(position, len(self))
        index = self.indices[place]
        chosen = np.random.default_rng((self.views.seed, epoch, index, DRAW_OF_PARTNER)).choice(self.partners[index])
        indices = (index, chosen)
        pair = [self.views.augmented(at, np.random.default_rng((self.views.seed, epoch, index))) for at in indices]
        poses = [_matrix(self.views.frames[at].pose) for at in indices]
        item, other = (self.views.item(at, frame) for at, frame in zip(indices, pair, strict=True))
        pose = relative_pose(poses[0], poses[1], pair[0].space, pair[1].space)
        item["second_view"] = {
            "targets": other["targets"],
            "intrinsics": other["intrinsics"],
            "pose": torch.from_numpy(pose.astype(np.float32)),
            "has_second_view": True,
        }
        return item


class Joined(Dataset[dict[str, Any]]):
    """A labelled split and pairs of posed views as one training split.

    Args:
        labelled: frames with labels of all tasks.
        pairs: pairs with labels of some tasks; the targets of other tasks are missing.
        tasks: names of all tasks.
    """

    def __init__(self, labelled: CanonicalDataset, pairs: PosedPairs, tasks: Sequence[str]) -> None:
        self.labelled, self.pairs = labelled, pairs
        self.tasks: TaskSet = labelled.tasks.select(tasks)
        self.info = labelled.info

    def __len__(self) -> int:
        return len(self.labelled) + len(self.pairs)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Iterate over all frames and pairs once, as in epoch 0."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, position: int) -> dict[str, Any]:
        epoch, index = divmod(position, len(self))
        single = index < len(self.labelled)
        if single:
            item = self.labelled[epoch * len(self.labelled) + index]
            item["second_view"] = {
                "targets": item["targets"],
                "intrinsics": item["intrinsics"],
                "pose": torch.eye(4),
                "has_second_view": False,
            }
        else:
            item = self.pairs[epoch * len(self.pairs) + index - len(self.labelled)]
        size = item["images"].shape[-2:]
        for view in (item, item["second_view"]):
            view["targets"] = {
                name: view["targets"].get(name, None if single else missing(task, size))
                for name, task in self.tasks.items()
            }
        return {**item, "index": index}


def join_pairs(labelled: CanonicalDataset, views: CanonicalDataset, tasks: Sequence[str], gap: int = 1) -> Joined:
    """Join a labelled split with pairs of posed views; see `Joined` and `PosedPairs`."""
    return Joined(labelled, PosedPairs(views, gap), tasks)


def partners(views: CanonicalDataset, gap: int) -> dict[int, list[int]]:
    """Posed frames of the same scene within `gap` of each posed frame; a frame without such a neighbour is left out."""
    posed = [(views.frames[index].scene, index) for index in views.chosen if views.frames[index].pose is not None]
    neighbours = {}
    for _, members in groupby(sorted(posed), key=lambda pair: pair[0]):
        indices = [index for _, index in members]
        for place, index in enumerate(indices):
            near = indices[max(0, place - gap) : place] + indices[place + 1 : place + 1 + gap]
            if near:
                neighbours[index] = near
    return dict(sorted(neighbours.items()))


def relative_pose(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    first_space: NDArray[np.float64],
    second_space: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(4, 4) pose from the first to the second camera, after augmentation.

    Args:
        first: (4, 4) camera-to-world pose of the first view, metres.
        second: (4, 4) camera-to-world pose of the second view, metres.
        first_space: (3, 3) map of camera coordinates by the augmentation, see `Frame.space`.
        second_space: map of the second view. If both maps are equal, the (3, 3) part of the result is a rotation.
    """
    between = np.linalg.inv(second) @ first
    pose = np.eye(4)
    pose[:3, :3] = second_space @ between[:3, :3] @ np.linalg.inv(first_space)
    pose[:3, 3] = second_space @ between[:3, 3]
    return pose


def missing(task: Task, size: Sequence[int]) -> Tensor:
    """Target of size (H, W) without any label."""
    value = KINDS[task.readout].missing
    if task.readout == "class":
        return torch.full(tuple(size), value, dtype=torch.int64)
    return torch.full((task.target_channels or 1, *size), float(value))


def _matrix(pose: Sequence[float] | None) -> NDArray[np.float64]:
    return np.array(pose, np.float64).reshape(4, 4)
