"""Small rendered rooms, shared by the tests of the embedded data set."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets.synthetic.generate import RoomPlan, generate
from datasets.synthetic.render import Frame, render_room


@pytest.fixture(scope="session")
def rendered_rooms() -> list[list[Frame]]:
    """One room of each kind at 60x80: lists of frames."""
    return [render_room((0, 11), number, (60, 80)) for number in range(4)]


@pytest.fixture(scope="session")
def small_plan() -> RoomPlan:
    """Three train rooms and a test room at 48x64."""
    return RoomPlan(train_rooms=3, test_rooms=1, seed=5, size=(48, 64))


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory, small_plan: RoomPlan) -> Path:
    """The data set of `small_plan`."""
    root = tmp_path_factory.mktemp("rendered") / "synthetic"
    generate(root, small_plan, workers=1)
    return root
