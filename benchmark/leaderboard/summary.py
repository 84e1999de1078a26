"""Summary of a board in sentences made from its numbers, with the limits of the board."""

from __future__ import annotations

from statistics import median

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.comparisons import GENERAL, LEVELS, Comparison
from benchmark.leaderboard.markup import MARKDOWN, Markup
from benchmark.leaderboard.rows import Setting
from benchmark.leaderboard.text import format_gain, format_p, format_seeds, listed
from benchmark.tasks import counted

LARGE_SHARE = 0.8
"""Least share of the variance of the mean gain that is explained by the tasks that are named as its main source."""


def board_summary(analysis: Analysis, markup: Markup = MARKDOWN) -> list[str]:
    """Three sentences: the state and the best rows, the primary comparisons, and the limits.

    A board without a result gets the first sentence alone.
    """
    if not analysis.table.results:
        return [_best_rows(analysis, markup)]
    return [_best_rows(analysis, markup), _primary(analysis, markup), _limits(analysis, markup)]


def describe(setting: Setting, markup: Markup = MARKDOWN) -> str:
    """The settings that the rows of a table share, in one line."""
    parts = [
        f"Recipe {markup.code(setting.recipe)}"
        + (f" version {setting.version}" if setting.version is not None else ", version not recorded"),
        f"data {markup.code(setting.data or 'unknown')}",
    ]
    if setting.split != "test":
        parts.append(f"split {markup.code(setting.split)}")
    if setting.backbone:
        parts.append(f"backbone {markup.code(setting.backbone)}")
    if setting.tasks:
        parts.append(f"tasks {', '.join(map(markup.text, setting.tasks))}")
    if setting.overrides:
        parts.append(f"with {markup.code(str(setting.overrides))}")
    return " · ".join(parts)


def reference_name(analysis: Analysis) -> str:
    """The row that gains are taken over, as a name."""
    return analysis.reference.label if analysis.reference else "no row"


def comparison_name(comparison: Comparison) -> str:
    """Name of a comparison of regularizers: "three_d_aware over none"."""
    return f"{comparison.row.regularizer_label} over {comparison.baseline.regularizer_label}"


def power_sentence(analysis: Analysis) -> str:
    """The smallest gain that the comparisons of two rows could have found; empty if no row has three seeds."""
    effects = analysis.smallest_effects()
    if not effects:
        return ""
    return (
        f"With these seeds and this spread, a comparison of two rows finds a gain of {median(effects):.2f} % or more "
        f"(median; {effects[0]:.2f} to {effects[-1]:.2f} %) with 80 % power at 5 %, two-sided, before Holm."
    )


def noise_sentence(analysis: Analysis, markup: Markup = MARKDOWN) -> str:
    """Relative noise of each task, and the tasks that the noise of the mean gain mostly comes from."""
    noise = sorted(analysis.noise.items(), key=lambda entry: -entry[1])
    if len(noise) < 2:
        return ""
    total = sum(value**2 for _, value in noise)
    main: list[str] = []
    explained = 0.0
    for task, value in noise:
        if explained < LARGE_SHARE * total:
            main.append(markup.text(task))
            explained += value**2
    values = listed([f"{markup.text(task)} {value:.2f} %" for task, value in noise])
    return (
        f"Relative standard deviation over seeds: {values}. "
        f"The noise of the mean gain is mostly the noise of {listed(main)} ({100 * explained / total:.0f} %)."
    )


def cells_done(analysis: Analysis, markup: Markup = MARKDOWN) -> str:
    """Name of a board, with the settings of this part, and how many of its cells are done."""
    rows = analysis.table.rows
    planned = sum(len(row.planned) for row in rows)
    done = sum(len(row.cells) for row in rows)
    part = f" with {markup.text(str(found))}" if (found := analysis.table.setting.overrides) else ""
    return f"{markup.code(analysis.name)}{part}: {done} of {planned} cells are done"


def _best_rows(analysis: Analysis, markup: Markup) -> str:
    state = cells_done(analysis, markup)
    if not analysis.ranks:
        return f"{state}; no row can be ranked yet."
    first = analysis.rows[0].key
    delta = analysis.delta(first)
    gain = f" ({format_gain(delta.estimate)} %)" if delta else " (the reference itself)"
    among = sum(ranks.among_best for ranks in analysis.ranks.values())
    return (
        f"{state}; of {len(analysis.ranks)} ranked rows, {markup.text(first.label)} has the highest mean gain over "
        f"{markup.text(reference_name(analysis))}{gain}, and {_others(among - 1)} not significantly worse."
    )


def _others(count: int) -> str:
    return {0: "no other row is", 1: "1 other row is"}.get(count, f"{count} other rows are")


def _primary(analysis: Analysis, markup: Markup) -> str:
    parts = [comparison_statement(found, markup) for found in analysis.headlines()]
    return ("; ".join(parts) if parts else "The board declares no comparison") + "."


def comparison_statement(found: Comparison, markup: Markup = MARKDOWN) -> str:
    """A comparison in words: its gain, methods and seeds, and if it is called a gain or a loss."""
    name = markup.text(comparison_name(found))
    where = _number_of_methods(len(found.methods)) if found.kind == GENERAL else markup.text(listed(found.methods))
    if found.estimate is None or found.estimate.p is None:
        return f"{name}: not enough cells for an interval ({where})"
    verdict = f"a {found.verdict}" if found.verdict else "neither a gain nor a loss is shown"
    return (
        f"{name}: {format_gain(found.estimate)} % ({where}, {format_seeds(found.seeds)} seeds, adjusted p "
        f"{format_p(found.p_adjusted)}), {verdict}"
    )


def _number_of_methods(count: int) -> str:
    return counted(count, "method") if count else "no method yet"


def _limits(analysis: Analysis, markup: Markup) -> str:
    """The limits of the board, and the noise of its tasks."""
    effects = analysis.smallest_effects()
    small = f"if two rows differ by less than about {median(effects):.1f} %, and nothing about " if effects else ""
    return (
        f"The board cannot say {small or 'anything about '}other data, backbones or schedules. "
        f"{noise_sentence(analysis, markup)}"
    ).strip()


def levels_sentence() -> str:
    """The rule by which a comparison is called a gain or a loss."""
    primary, rest = LEVELS.values()
    return (
        f"A comparison is called a gain or a loss only if its p value after Holm is below {primary:g} in the board's "
        f"primary family, or below {rest:g} in the family of all other comparisons. Together, at most 5 % of boards "
        "without any effect call anything a gain or a loss."
    )
