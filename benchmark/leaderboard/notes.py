"""Titles of tables and the notes under them, for Markdown and, as plain text, for the page and the figures."""

from __future__ import annotations

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.markup import MARKDOWN, Markup
from benchmark.leaderboard.summary import noise_sentence, power_sentence


def board_title(analysis: Analysis, markup: Markup = MARKDOWN) -> str:
    """Heading of a board: its name and title, then recipe, version, data and the settings of this part."""
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
