"""Fixtures of the tests of user data."""

from __future__ import annotations

import pytest

from datasets.own.folder_example import write_folder


@pytest.fixture
def example(tmp_path):
    write_folder(tmp_path / "rooms")
    return tmp_path / "rooms"
