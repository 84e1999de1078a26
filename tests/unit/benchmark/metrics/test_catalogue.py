"""Units and directions of the metrics, and tables without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark import metrics
from benchmark.metrics.catalogue import CATALOGUE, described
from benchmark.tasks import NYUV2_TASKS

CHECKOUT = Path(__file__).resolve().parents[4]


def test_primary_metrics_have_the_direction_of_their_task() -> None:
    for name, task in NYUV2_TASKS.items():
        assert described(f"{name}/{task.primary_metric}").higher_is_better is task.higher_is_better


def test_errors_are_lower_shares_are_higher() -> None:
    for name, (unit, higher_is_better) in CATALOGUE.items():
        assert higher_is_better is (unit == "%"), name
    assert described("depth/rmse@pixel") == ("m", False)
    assert described("median") == ("deg", False)
    with pytest.raises(KeyError, match="Did you mean 'mIoU'"):
        described("semseg/mIou")


def test_tables_need_no_torch() -> None:
    code = (
        "import sys; sys.path.insert(0, '.'); import benchmark.metrics.catalogue, benchmark.leaderboard.rows; "
        "print([name for name in ('torch', 'mmengine') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_errors_have_the_units_of_their_formulas() -> None:
    """absRel and logRmse are ratios; sqRel is square metres over metres."""
    units = {name: unit for name, (unit, higher_is_better) in CATALOGUE.items() if not higher_is_better}
    metres, degrees = ("rmse@pixel", "rmse@image", "sqRel"), ("mean@pixel", "median", "rmse")
    assert units == {
        **dict.fromkeys(metres, "m"),
        **dict.fromkeys(degrees, "deg"),
        **dict.fromkeys(("absRel", "logRmse"), "1"),
    }


def test_the_package_has_its_public_names_only() -> None:
    assert metrics.described is described
    with pytest.raises(AttributeError, match="module 'benchmark.metrics' has no attribute 'CATALOG'"):
        metrics.CATALOG  # noqa: B018
