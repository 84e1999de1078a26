"""Which networks are run on a batch before a grid starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from registrations import forget

from benchmark.records.result import RunSpec
from benchmark.registry import METHODS, import_files
from benchmark.tasks import NYUV2_TASKS
from benchmark.training import trial

MINE = """
from benchmark.registry import METHODS
from mtl_methods.hard_sharing import HardSharing

@METHODS.register("mine", title="Mine", paper="none", year=2026)
class Mine(HardSharing):
    pass
"""


@pytest.fixture
def mine(tmp_path: Path):
    """A registered method in a file of a user."""
    (tmp_path / "mine.py").write_text(MINE)
    import_files([tmp_path / "mine.py"])
    yield
    forget(METHODS, "mine")


@pytest.mark.parametrize(
    ("method", "backbone", "on_a_batch"),
    [("hard_sharing", "resnet18", False), ("hard_sharing", "timm:test_resnet", True), ("mine", "resnet18", True)],
)
@pytest.mark.usefixtures("mine")
def test_code_of_users_and_models_of_timm_are_run_on_a_batch(
    method: str, backbone: str, on_a_batch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks of the suite are built without values, which takes a fraction of the time."""
    built = []
    build = trial.build_training_module
    monkeypatch.setattr(trial, "build_training_module", lambda **options: built.append(method) or build(**options))
    trial.try_cells([RunSpec("smoke", method, "none", backbone, tuple(NYUV2_TASKS), 0, {})])
    assert built == [method] * on_a_batch
