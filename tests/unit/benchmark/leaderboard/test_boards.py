"""Boards: which cells they show, how unequal grids are treated, families of comparisons, and rank sets."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan
from scipy import stats
from statsmodels.stats.multitest import multipletests

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.comparisons import GENERAL, LEVELS, PRIMARY, REST, ROW, THESE
from benchmark.leaderboard.plan import RowKey, plans_of
from benchmark.leaderboard.ranking import rank_sets
from benchmark.leaderboard.tables import tables
from benchmark.records.boards import Board
from benchmark.records.overrides import Overrides

ROWS = [(method, regularizer) for method in ("single_task", "mtan", "pap") for regularizer in ("none", "aux")]
RNG = np.random.default_rng(5)
MIOUS = {row: 20 + index + RNG.normal(0, 0.3, 5) for index, row in enumerate(ROWS)}


def cells():
    return [cell for row, values in MIOUS.items() for cell in cells_with(*row, values)]


def row_of(analysis, method, regularizer="none"):
    return next(row for row in analysis.rows if row.key[:2] == (method, regularizer))


def gains(row, baseline):
    return 100 * (MIOUS[row] - MIOUS[baseline]) / MIOUS[baseline]


def test_the_gain_over_single_task_is_paired_by_seed():
    found = board_of(make_plan(ROWS), cells()).delta(RowKey("mtan", "none"))
    expected = gains(("mtan", "none"), ("single_task", "none"))
    low, high = stats.t.interval(0.95, 4, loc=expected.mean(), scale=stats.sem(expected))
    assert (found.estimate.low, found.estimate.high) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_the_families_are_the_declared_comparisons_and_the_rest():
    """Three methods and both statements over them are primary. The rest: five rows over single_task without the aux
    row of single_task, which is primary already."""
    found = board_of(make_plan(ROWS), cells()).comparisons
    assert sum(comparison.family == PRIMARY for comparison in found) == 3 + 2
    assert sum(comparison.family == REST for comparison in found) == 4
    for family in (PRIMARY, REST):
        members = [comparison for comparison in found if comparison.family == family]
        expected = multipletests([member.estimate.p for member in members], method="holm")[1]
        assert [member.p_adjusted for member in members] == pytest.approx(list(expected), abs=1e-9)
        for member in members:
            assert bool(member.verdict) == (member.p_adjusted < LEVELS[family])


def test_each_task_is_compared_too_outside_the_primary_family():
    values = {"mIoU": 20.0, "rmse@pixel": 0.8}
    made = [make_cell(*row, seed, values, tasks=("semseg", "depth"), version=2) for row in ROWS for seed in range(5)]
    analysis = board_of(make_plan(ROWS), made)
    found = analysis.find(ROW, RowKey("mtan", "aux"), RowKey("mtan", "none"), "depth")
    assert (found.family, found.estimate.mean, found.p_adjusted) == (REST, 0.0, 1.0)


def test_both_statements_over_methods_name_their_methods():
    analysis = board_of(make_plan(ROWS), cells())
    pair = RowKey("single_task", "aux"), RowKey("single_task", "none")
    general, these = (analysis.find(kind, *pair) for kind in (GENERAL, THESE))
    assert general.methods == these.methods == ("single_task", "mtan", "pap")
    assert general.seeds == (5, 5, 5)
    means = [gains((method, "aux"), (method, "none")).mean() for method in general.methods]
    assert general.estimate.p == pytest.approx(stats.ttest_1samp(means, 0).pvalue, abs=1e-9)
    assert analysis.headlines() == [general]


def estimates(analysis, *without):
    """Everything that is said about rows other than the named ones, except p values after Holm and ranks."""
    return {
        (found.kind, found.row, found.baseline, found.task): found.estimate
        for found in analysis.comparisons
        if found.kind == ROW and not {found.row[:2], found.baseline[:2]} & set(without)
    }


CHANGED = ("pap", "aux")


@pytest.mark.parametrize(
    "change",
    [
        lambda made: [cell for cell in made if not _is(cell, CHANGED, 3)],
        lambda made: [diverged() if _is(cell, CHANGED, 3) else cell for cell in made],
        lambda made: [*made, *cells_with(*CHANGED, {7: 90.0})],
        lambda made: [cell for cell in made if cell.result.spec.method != "pap"] + cells_with("pap", "aux", [20.0] * 5),
        lambda made: [*made, *cells_with("pap", "other", [50.0] * 5)],
    ],
    ids=["missing cell", "diverged cell", "extra seed", "one regularizer only, with ties", "row outside the board"],
)
def test_an_unequal_grid_changes_no_other_row(change):
    plan = make_plan(ROWS)
    full, changed = board_of(plan, cells()), board_of(plan, change(cells()))
    affected = [("pap", "aux"), ("pap", "none")]
    assert estimates(full, *affected) == estimates(changed, *affected)
    for row in full.table.rows:
        if row.key[:2] not in affected:
            assert row_of(changed, *row.key[:2]) == row


def diverged():
    return make_cell(*CHANGED, 3, error="NaN", status="diverged", tasks=("semseg",), version=2)


def _is(cell, row, seed):
    spec = cell.result.spec
    return (spec.method, spec.regularizer, spec.seed) == (*row, seed)


def test_an_extra_seed_or_row_changes_nothing_at_all():
    plan = make_plan(ROWS)
    more = [*cells(), *cells_with("mtan", "aux", {7: 90.0}), *cells_with("mtan", "other", [50.0] * 5)]
    assert board_of(plan, more) == board_of(plan, cells())


def test_a_missing_cell_makes_no_other_comparison_significant():
    """The family keeps its size: without any cell of pap, the other p values are multiplied by the same numbers."""
    left = [cell for cell in cells() if cell.result.spec.method != "pap"]
    found = [item for item in board_of(make_plan(ROWS), left).comparisons if item.family == PRIMARY]
    assert len(found) == 5
    known = sorted(item.estimate.p for item in found if item.estimate and item.estimate.p is not None)
    expected = multipletests([*known, *[1.0] * (5 - len(known))], method="holm")[1]
    adjusted = sorted(item.p_adjusted for item in found if item.p_adjusted is not None)
    assert adjusted == pytest.approx(list(expected[: len(known)]))


def test_an_incomplete_row_has_no_rank_and_says_how_far_it_is():
    made = [cell for cell in cells() if not _is(cell, CHANGED, 3)]
    made.append(diverged())
    analysis = board_of(make_plan(ROWS), made)
    row = row_of(analysis, *CHANGED)
    assert row.key not in analysis.ranks
    assert row.progress() == "4 of 5 seeds (1 diverged)"
    assert analysis.rows[-1] == row
    assert {ranks.worst for ranks in analysis.ranks.values()} <= set(range(1, 6)), "ranks count complete rows only"


def test_without_the_reference_on_all_seeds_nothing_is_ranked():
    made = [cell for cell in cells() if not _is(cell, ("single_task", "none"), 0)]
    assert not board_of(make_plan(ROWS), made).ranks


def test_a_board_without_single_task_compares_with_its_first_row():
    rows = [row for row in ROWS if row[0] != "single_task"]
    analysis = board_of(make_plan(rows), cells())
    assert analysis.reference == RowKey("mtan", "none")
    assert analysis.delta(RowKey("mtan", "aux")).family == PRIMARY
    assert len(analysis.ranks) == 4


def test_rank_sets_by_hand():
    """a and b differ by noise of mean zero; c is 10 below both, with differences that hardly vary."""
    base = dict(enumerate([0.1, -0.2, 0.3, 0.0, -0.1]))
    found = rank_sets(
        {
            "c": {seed: value - 10 for seed, value in base.items()} | {0: -9.8},
            "a": base,
            "b": {seed: value + (-1) ** seed * 0.3 - 0.07 for seed, value in base.items()},
        },
        3,
    )
    assert list(found) == ["a", "b", "c"]
    assert {key: (str(ranks), ranks.among_best) for key, ranks in found.items()} == {
        "a": ("1-2", True),
        "b": ("1-2", True),
        "c": ("3", False),
    }


def test_rows_that_are_missing_enlarge_the_family_of_the_ranks():
    """A pair with p = 0.02 is significant alone, and not as one of the six pairs of four rows."""
    half = stats.t.ppf(1 - 0.02 / 2, 4) / 5**0.5
    noise = np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    differences = noise / noise.std(ddof=1) + half
    assert stats.ttest_1samp(differences, 0).pvalue == pytest.approx(0.02)
    rows = {"a": dict(enumerate(differences)), "b": dict.fromkeys(range(5), 0.0)}
    assert [str(rank_sets(rows, count)["b"]) for count in (2, 4)] == ["2", "1-2"]


def test_rank_sets_follow_all_pairwise_tests():
    """Against a loop over scipy's paired t tests, with unequal seeds and a row of two seeds."""
    rng = np.random.default_rng(6)
    rows = {
        name: {seed: index + rng.normal(0, 0.5) for seed in range(n)}
        for index, (name, n) in enumerate([("a", 5), ("b", 5), ("c", 3), ("d", 4), ("e", 2)])
    }
    names = list(rows)
    pairs = [(one, other) for position, one in enumerate(names) for other in names[position + 1 :]]
    raw = []
    for one, other in pairs:
        common = sorted(rows[one].keys() & rows[other].keys())
        test = stats.ttest_rel([rows[one][s] for s in common], [rows[other][s] for s in common])
        raw.append(test.pvalue if len(common) > 2 else 1.0)
    significant = {pair for pair, p in zip(pairs, multipletests(raw, method="holm")[1], strict=True) if p < 0.05}
    mean = {name: np.mean(list(values.values())) for name, values in rows.items()}
    found = rank_sets(rows, len(rows))
    for name in names:
        others = [other for pair in significant if name in pair for other in pair if other != name]
        assert found[name].best == 1 + sum(mean[other] > mean[name] for other in others)
        assert found[name].worst == 5 - sum(mean[other] < mean[name] for other in others)


def test_equal_rows_share_all_ranks():
    equal = {seed: float(seed) for seed in range(5)}
    assert {str(ranks) for ranks in rank_sets({"a": equal, "b": dict(equal)}, 2).values()} == {"1-2"}


@pytest.mark.parametrize(
    "change",
    [{"version": 1}, {"version": None}, {"split": "val"}, {"overrides": {"lr": 1}}, {"recipe": "other"}],
    ids=str,
)
def test_cells_that_the_board_does_not_ask_for_are_other_runs(change):
    made = [*cells(), *cells_with("mtan", "aux", [60.0] * 5, **change)]
    board, other = tables(made, [make_plan(ROWS)])
    assert analyse([board])[0] == board_of(make_plan(ROWS), cells())
    assert (other.plan, len(other.rows[0].cells)) == (None, 5)


@pytest.mark.parametrize("data", [{"id": "d", "fingerprint": "new"}, {"id": "e", "fingerprint": "f"}, {}], ids=str)
def test_a_board_never_mixes_data(data):
    """The data of most cells are the board's; unknown data never are."""
    few = cells_with("mtan", "none", {0: 90.0}, data=data)
    for made in ([*few, *cells()], [*cells(), *few]):
        assert board_of(make_plan(ROWS), made).table.setting.fingerprint == "f"
        assert row_of(board_of(make_plan(ROWS), made), "mtan") == row_of(board_of(make_plan(ROWS), cells()), "mtan")
        _, other = tables(made, [make_plan(ROWS)])
        assert [row.cells for row in other.rows] == [tuple(few)], "they are shown under other runs"


def test_a_board_stays_empty_if_all_results_are_of_another_version():
    made = cells_with("mtan", "none", [20.0] * 5, version=1)
    assert board_of(make_plan(ROWS), made).table.results == []


def test_a_failure_on_other_data_is_no_failure_of_the_board():
    """A cell that failed before it knew its data is one."""
    failed = [
        make_cell("mtan", seed=8 + number, error="no disk", data=data, tasks=("semseg",), version=2)
        for number, data in enumerate([{"id": "e", "fingerprint": "g"}, {}])
    ]
    board = board_of(make_plan(ROWS, seeds=range(10)), [*cells(), *failed])
    assert row_of(board, "mtan").not_done == {9: "failed"}


def test_only_cells_of_the_newest_ingredients_of_a_row_are_shown():
    """Two seeds were trained again after a change; the three older cells of the row are left out, not averaged."""
    made = cells()
    for seed, finished in ((0, "2027-01-02"), (1, "2027-01-03")):
        made += cells_with("mtan", "none", {seed: 50.0}, settings={"lr": 2}, provenance={"finished": finished})
    analysis = board_of(make_plan(ROWS), made)
    row = row_of(analysis, "mtan")
    assert (row.seeds, analysis.table.num_stale) == ((0, 1), 5)
    assert row.progress() == "2 of 5 seeds"


def test_noise_is_pooled_over_rows_that_vary():
    """Relative deviations of 1 % (two degrees of freedom) and 2 % (one); constant rows of a rounded mean none."""
    made = cells_with("single_task", "none", [99.0, 100.0, 101.0])
    made += cells_with("mtan", "none", [50.0 - 0.5**0.5, 50.0 + 0.5**0.5]) + cells_with("pap", "none", [0.7] * 3)
    noise = board_of(make_plan([("single_task", "none"), ("mtan", "none"), ("pap", "none")]), made).noise
    assert noise["semseg"] == pytest.approx(((2 * 1 + 1 * 4) / 3) ** 0.5)


def test_the_standardised_gain_is_in_units_of_seed_noise():
    values = {"none": (20.0, 0.80), "aux": (20.4, 0.76)}
    rng = np.random.default_rng(7)
    made = [
        make_cell(
            "mtan",
            regularizer,
            seed,
            {"mIoU": miou * (1 + 0.02 * rng.normal()), "rmse@pixel": rmse * (1 + 0.01 * rng.normal())},
            tasks=("semseg", "depth"),
            version=2,
        )
        for regularizer, (miou, rmse) in values.items()
        for seed in range(5)
    ]
    analysis = board_of(make_plan([("mtan", "none"), ("mtan", "aux")]), made)
    mean, *tasks = (
        analysis.find(ROW, RowKey("mtan", "aux"), RowKey("mtan", "none"), task) for task in ("", "semseg", "depth")
    )
    expected = [found.estimate.mean / analysis.noise[found.task] for found in tasks]
    assert [found.standardised for found in tasks] == pytest.approx(expected)
    assert mean.standardised == pytest.approx(sum(expected) / 2)


def test_a_board_with_several_settings_makes_tables_that_share_one_family():
    board = Board(
        name="b",
        title="t",
        recipe="smoke",
        version=2,
        cells=(
            {"methods": ["mtan"], "regularizers": ["none", "aux"], "seeds": [0, 1, 2]},
            {"methods": ["mtan"], "regularizers": ["none", "aux"], "seeds": [0, 1, 2], "settings": {"share": 0.1}},
        ),
        comparisons=(
            {"regularizer": "aux", "over": "none", "methods": ["mtan"]},
            {"regularizer": "aux", "over": "none", "methods": ["mtan"], "settings": {"share": 0.1}},
        ),
    )
    whole, tenth = plans_of(board)
    assert (whole.settings, tenth.settings) == (Overrides(), Overrides({"share": 0.1}))
    made = cells_with("mtan", "none", [20.0, 20.1, 20.2]) + cells_with("mtan", "aux", [21.0, 21.3, 21.5])
    first, second = analyse(tables(made, [whole, tenth]))
    (found,) = first.headlines()
    assert found.p_adjusted == pytest.approx(2 * found.estimate.p), "the other half of the family has no cells yet"
    assert [item.family for item in second.headlines()] == [PRIMARY]


def test_a_comparison_is_declared_for_its_settings_alone():
    rows = {"methods": ["mtan"], "regularizers": ["none", "aux"], "seeds": [0, 1, 2]}
    board = Board(
        name="b",
        title="t",
        recipe="smoke",
        version=2,
        cells=(rows, {**rows, "settings": {"share": 0.1}}),
        comparisons=({"regularizer": "aux", "over": "none", "methods": ["mtan"], "settings": {"share": 0.1}},),
    )
    whole, tenth = plans_of(board)
    assert (len(whole.primary), len(tenth.primary)) == (0, 1)


def test_options_of_a_regularizer_make_rows_of_their_own():
    board = Board(
        name="b",
        title="t",
        recipe="smoke",
        version=2,
        settings={"regularizer.samples": 32},
        cells=({"methods": ["mtan"], "regularizers": ["none", "aux"], "seeds": [0]},),
        comparisons=({"regularizer": "aux", "over": "none", "methods": ["mtan"]},),
    )
    (plan,) = plans_of(board)
    none, aux = plan.rows
    assert (none.label, aux.label) == ("mtan", "mtan+aux (samples=32)")
    assert plan.primary == {(aux, none)}
