"""Settings of a recipe beside each other, with hand-worked spreads and costs."""

from __future__ import annotations

import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan

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


def test_one_pair_has_a_gain_without_a_spread() -> None:
    (row,) = study(
        analyse(tables([*cells("none", [20.0], None, 9), *cells("aux", [22.0], None, 9)])), "hard_sharing", "aux"
    )
    shown = [part.strip() for part in study_table([row]).splitlines()[-1].split("|")[2:-1]]
    dash = "\N{EN DASH}"
    assert shown == ["20.00", dash, "+10.00 (n = 1)", f"{dash} / {dash}", dash, dash]


def test_an_empty_study_says_so() -> None:
    assert study_table([]) == "No setting has a result.\n"


def test_the_table_has_the_noise_the_gain_and_the_cost_of_a_pair() -> None:
    """none 20 -+ 0.1, aux 22 -+ 0.2: relative deviations of 0.5 and 1 / 1.1 %, each times sqrt(2) for a sample of two.

    Both of these variances have one degree of freedom; their mean, doubled, is the expected variance of the gain.
    """
    cells_of_both = [*cells("none", [19.9, 20.1], 0.18, 100), *cells("aux", [21.8, 22.2], 0.42, 100)]
    (row,) = study(analyse(tables(cells_of_both)), "hard_sharing", "aux")
    variances = 2 * 0.5**2, 2 * (1 / 1.1) ** 2
    gains = [100 * (21.8 / 19.9 - 1), 100 * (22.2 / 20.1 - 1)]
    spread = abs(gains[1] - gains[0]) / 2**0.5
    assert row.expected == pytest.approx(sum(variances) ** 0.5)
    assert row.gain is not None
    assert (row.gain.mean, row.gain.std) == (pytest.approx(sum(gains) / 2), pytest.approx(spread))
    *_, line = study_table([row]).splitlines()
    assert [part.strip() for part in line.split("|")[1:-1]] == [
        "smoke, version 1: as it is",
        "20.00 ± 0.14",
        f"{(sum(variances) / 2) ** 0.5:.2f}",
        f"+{sum(gains) / 2:.2f} (n = 2)",
        f"{spread:.2f} / {sum(variances) ** 0.5:.2f}",
        "1.0",
        f"{(sum(variances) / 60) ** 0.5:.2f}",
    ]


def test_the_setting_with_the_smaller_spread_at_equal_cost_is_first() -> None:
    settings = {"overrides": {"optim_wrapper.lr": 0.1}}
    noisy = [*cells("none", [19.0, 21.0], 0.1, 100), *cells("aux", [19.0, 21.0], 0.1, 100)]
    quiet = [*cells("none", [19.9, 20.1], 0.1, 100, **settings), *cells("aux", [19.9, 20.1], 0.1, 100, **settings)]
    found = study(analyse(tables([*noisy, *quiet])), "hard_sharing", "aux")
    assert [dict(row.settings) for row in found] == [{"optim_wrapper.lr": 0.1}, {}]


def test_a_pair_has_a_cost_only_if_both_rows_were_measured() -> None:
    for first, second in ((0.1, None), (None, 0.1)):
        pair = [*cells("none", [19.0, 21.0], first, 100), *cells("aux", [19.0, 21.0], second, 100)]
        (row,) = study(analyse(tables(pair)), "hard_sharing", "aux")
        assert row.expected is not None
        assert (row.pair_hours, row.spread_of_an_hour) == (None, None)
        assert [part.strip() for part in study_table([row]).splitlines()[-1].split("|")[-3:-1]] == ["\N{EN DASH}"] * 2


def test_a_seed_that_lacks_a_metric_does_not_count_in_the_expected_spread() -> None:
    """Seeds 0 and 1 differ by -+ 2 % in both metrics, so the standard deviation is sqrt(8), times sqrt(2)."""
    values = [{"mIoU": 19.6, "rmse@pixel": 0.51}, {"mIoU": 20.4, "rmse@pixel": 0.49}, {"mIoU": 30.0}]
    found = [make_cell("mtan", "none", seed, value, version=2) for seed, value in enumerate(values)]
    (row,) = study([board_of(make_plan([("mtan", "none"), ("mtan", "aux")]), found)], "mtan", "aux")
    assert row.expected == pytest.approx(4.0)
    assert row.gain is None


def test_a_planned_row_without_a_result_is_no_setting() -> None:
    plan = make_plan([("hard_sharing", "none"), ("hard_sharing", "aux")])
    assert study([board_of(plan, cells_with("hard_sharing", "aux", [20.0]))], "hard_sharing", "aux") == []
