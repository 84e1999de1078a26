"""Delta_m against published tables, units and directions, and that neither needs torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.metrics.catalogue import CATALOGUE, described
from benchmark.metrics.delta import multi_task_gain
from benchmark.tasks import NYUV2_TASKS

CHECKOUT = Path(__file__).resolve().parents[4]
HIGHER = {name: task.higher_is_better for name, task in NYUV2_TASKS.items()}


def row(*values: float | None) -> dict[str, float | None]:
    return dict(zip(("semseg", "depth", "normals", "boundary"), values, strict=True))


SINGLE_TASK = row(38.02, 0.6104, 20.94, 76.22)


@pytest.mark.parametrize(
    ("values", "published"),
    [
        ((36.35, 0.6284, 21.02, 76.36), -1.89),
        ((36.34, 0.6290, 20.88, 76.38), -1.75),
        ((36.72, 0.6178, 20.82, 76.42), -0.95),
        ((36.69, 0.6246, 20.87, 76.42), -1.30),
        ((38.90, 0.6010, 20.48, 76.34), 1.56),
    ],
)
def test_gain_is_that_of_the_atrc_paper(values: tuple[float, ...], published: float) -> None:
    """HRNet-18 rows of Bruggemann et al., ICCV 2021: multi-task, Cross-Stitch, PAP, PSD, ATRC; rounded numbers."""
    assert multi_task_gain(row(*values), SINGLE_TASK, HIGHER) == pytest.approx(published, abs=0.011)


def test_gain_by_hand() -> None:
    """+10 % mIoU, 20 % less error."""
    gain = multi_task_gain(
        {"semseg": 44.0, "depth": 0.8}, {"semseg": 40.0, "depth": 1.0}, {"semseg": True, "depth": False}
    )
    assert gain == pytest.approx(15)


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf")])
def test_no_gain_where_a_number_is_missing(missing: float | None) -> None:
    assert multi_task_gain(row(36.0, 0.6, 21.0, missing), SINGLE_TASK, HIGHER) is None
    assert multi_task_gain(row(36.0, 0.6, 21.0, 76.0), row(36.0, 0.6, 21.0, missing), HIGHER) is None
    assert multi_task_gain({"semseg": 1.0}, SINGLE_TASK, HIGHER) is None
    assert multi_task_gain({}, {}, {}) is None


def test_no_relative_gain_over_zero() -> None:
    assert multi_task_gain(row(36.0, 0.6, 21.0, 76.0), row(0.0, 0.6, 21.0, 76.0), HIGHER) is None


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
        "import sys; sys.path.insert(0, '.'); import benchmark.metrics.catalogue, benchmark.metrics.delta; "
        "print([name for name in ('torch', 'numpy', 'mmengine') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
