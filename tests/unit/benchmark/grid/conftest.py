"""The store of the tests of the grid."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.records.store import ResultStore


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """An empty store with its work folder."""
    store = ResultStore(tmp_path / "results")
    store.work.mkdir(parents=True)
    return store
