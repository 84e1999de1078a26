"""Titles of tables and the notes under them, for Markdown and, as plain text, for the page and the figures."""

from __future__ import annotations

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.markup import MARKDOWN, Markup
from benchmark.leaderboard.summary import levels_sentence, noise_sentence, power_sentence


def board_title(analysis: Analysis, markup: Markup = MARKDOWN) -> str:
    """Heading of a board: its name and title, then recipe, version, data and the settings of this part.

    Raises:
        ValueError: for a table without a board.
    """
    plan = analysis.table.plan
    if plan is None:
        raise ValueError("a table of other runs has no board title")
    data = analysis.table.setting.data
    parts = [f"recipe {markup.text(plan.recipe)} version {plan.version}"]
    parts.append(f"data {markup.text(data)}" if data else "no data yet")
    if plan.settings:
        parts.append(f"with {markup.text(str(plan.settings))}")
    return f"{markup.text(plan.name)}: {markup.text(plan.title)} ({', '.join(parts)})"


def other_title(analysis: Analysis, markup: Markup = MARKDOWN) -> str:
    """Heading of a table of other runs: recipe, version and changed settings."""
    setting = analysis.table.setting
    version = f" version {setting.version}" if setting.version is not None else ""
    part = f", {markup.text(str(setting.overrides))}" if setting.overrides else ""
    return f"{markup.text(setting.recipe)}{version}{part}"


def notes_of(analysis: Analysis, markup: Markup = MARKDOWN) -> list[str]:
    """Notes under a table: power, noise, caveats, data and results left out."""
    table = analysis.table
    notes = []
    if table.plan is None and table.rows and not table.setting.names_data:
        notes.append("These results do not say on which data they were measured: they are not averaged or compared.")
    missing = [column for column in table.columns if column not in table.measured]
    if table.rows and missing and table.measured:
        names = ", ".join(markup.text(f"{column.task} {column.name}") for column in missing)
        notes.append(f"Not measured, and no part of any gain: {names}.")
    notes += [text for text in (power_sentence(analysis), noise_sentence(analysis, markup)) if text]
    if table.plan:
        notes += [markup.text(text) for text in table.plan.caveats]
    notes += [f"Data: {markup.text(text)}" for text in table.data_notes]
    if table.num_stale:
        notes.append(f"{table.num_stale} results were left out: newer results of their rows have other ingredients.")
    return notes


READING = """\
Arrows say which direction is better. Values are mean ± sample standard deviation over seeds.

A gain is the mean over tasks of the relative improvement over a baseline, in percent, paired by seed, with its 95 % t
interval; fewer than three common seeds give no interval. Over single-task networks it is Δm.

"Methods in general" takes the mean gain of each method as one sample of all methods. "These methods" holds for the
named methods only; its interval uses the spread over seeds within each. The analysis of variance (ANOVA) tests if all
methods gain the same.

{levels}

A rank set holds the ranks that a row can have, from all pairwise comparisons of rows (Holm, 5 %). Bold marks the rows
that are not significantly worse than the row with the highest mean, and nothing else. An incomplete row has no rank.

Training minutes are steps times the median step time on the idle hardware named in the cost tables, never the wall
time of a shared machine.
"""


def reading_notes() -> list[str]:
    """How to read the tables, one paragraph each; the same words in every format."""
    text = READING.format(levels=levels_sentence())
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
