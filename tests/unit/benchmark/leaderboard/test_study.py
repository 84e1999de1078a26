"""Settings of a recipe beside each other, with hand-worked spreads and costs."""

from __future__ import annotations

import pytest
from made_up_results import make_cell

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.study import study, study_table
from benchmark.leaderboard.tables import tables
from benchmark.records.store import Stored


def cells(regularizer: str, mious: list[float], step: float | None, steps: int, **changes: object) -> list[Stored]:
    """Cells of seeds 100, 101, ... with these mIoU values, a step time and a number of steps."""
    cost = {} if step is None else {"step_seconds": step}
    return [
        make_cell(
            "hard_sharing",
            regularizer,
            100 + index,
            {"mIoU": value},
            tasks=("semseg",),
            split="val",
            version=1,
            settings={"train_cfg.max_iters": steps},
            cost=cost,
            **changes,
        )
        for index, value in enumerate(mious)
    ]


@pytest.fixture
def rows() -> list[Stored]:
    """The recipe as it is: 18 s and 36 s a cell; with half the steps: 9 s and 18 s, and twice the noise."""
    half = {"overrides": {"train_cfg.max_iters": 50}}
    return [
        *cells("none", [20.0, 20.2], 0.18, 100),
        *cells("three_d_aware", [20.0, 20.2], 0.36, 100),
        *cells("none", [20.0, 20.4], 0.18, 50, **half),
        *cells("three_d_aware", [20.0, 20.4], 0.36, 50, **half),
    ]


def test_the_figure_of_merit_is_the_spread_times_the_root_of_the_hours(rows: list[Stored]) -> None:
    """Relative to their mean 20.1 the values are -+0.1/20.1: deviation 0.7036 %, times sqrt(2) for a pair 0.9950 %."""
    best, worst = study(analyse(tables(rows)), "hard_sharing", "three_d_aware")
    assert dict(best.settings) == {}
    assert best.expected == pytest.approx(100 * 0.1 * 2 / 20.1)
    assert best.pair_hours == pytest.approx(54 / 3600)
    assert best.spread_of_an_hour == pytest.approx(100 * 0.2 / 20.1 * (54 / 3600) ** 0.5)
    assert worst.expected == pytest.approx(100 * 0.4 / 20.2)
    assert worst.pair_hours == pytest.approx(27 / 3600)


def test_gains_are_paired_by_seed(rows: list[Stored]) -> None:
    (found, _) = study(analyse(tables(rows)), "hard_sharing", "three_d_aware")
    assert found.gain is not None
    assert (found.gain.n, found.gain.mean, found.gain.std) == (2, 0.0, 0.0)


def test_a_setting_without_cost_or_pair_is_shown_last() -> None:
    alone = cells("none", [19.0], None, 100, overrides={"optim_wrapper.optimizer.lr": 0.1})
    timed = [*cells("none", [20.0, 20.2], 0.18, 100), *cells("three_d_aware", [20.0, 20.4], 0.2, 100)]
    found = study(analyse(tables([*alone, *timed])), "hard_sharing", "three_d_aware")
    assert [row.spread_of_an_hour is None for row in found] == [False, True]
    assert found[1].expected is None
    table = study_table(found)
    assert "optim_wrapper.optimizer.lr=0.1" in table
    assert len(table.splitlines()) == 4


def test_settings_without_cost_are_in_the_order_of_their_texts() -> None:
    found = [
        cell for rate in (0.2, 0.1) for cell in cells("none", [19.0], None, 100, overrides={"optim_wrapper.lr": rate})
    ]
    rows = study(analyse(tables(found)), "hard_sharing", "three_d_aware")
    assert [row.settings["optim_wrapper.lr"] for row in rows] == [0.1, 0.2]


def test_an_empty_study_says_so() -> None:
    assert study_table([]) == "No setting has a result.\n"
