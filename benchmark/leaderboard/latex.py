"""A table as LaTeX with booktabs rules: mean and 95 % interval, caption with n, protocol and version."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np
import pandas as pd

from benchmark.leaderboard.analysis import Analysis
from benchmark.leaderboard.board_tables import rank_text
from benchmark.leaderboard.columns import Column
from benchmark.leaderboard.rows import Row
from benchmark.leaderboard.statistics import MIN_SEEDS, Estimate, paired_estimates
from benchmark.leaderboard.summary import reference_name
from benchmark.leaderboard.text import format_number, format_seeds, signed
from benchmark.records.escaping import escape_terminal
from benchmark.records.result import TEST, safe_name

LAST_ACCENTED_LETTER = ord("\N{LATIN SMALL LETTER Z WITH CARON}")
ARROWS = {True: r"$\uparrow$", False: r"$\downarrow$"}


def latex_table(analysis: Analysis, columns: Sequence[Column] = (), rows: Sequence[str] = ()) -> str:
    r"""A `table` environment for a document that loads booktabs.

    Args:
        analysis: rows with their statistics.
        columns: metrics to show in place of the ranking metrics.
        rows: patterns of row names such as "mti_net*"; all rows if empty.

    Raises:
        ValueError: if no row fits the patterns.
    """
    chosen = [row for row in analysis.rows if row.cells and _fits(row, rows)]
    if not chosen:
        known = ", ".join(row.key.label for row in analysis.rows)
        raise ValueError(f"--rows: no row fits {', '.join(rows) or '*'}; the rows are {known}")
    metrics = tuple(columns) or analysis.table.columns
    frame = pd.DataFrame(
        {
            "method": [_escape(row.key.method) for row in chosen],
            "regularizer": [_escape(row.key.regularizer_label) for row in chosen],
            **{_heading(column): _values(chosen, column) for column in metrics},
            rf"gain (\%) {ARROWS[True]}": [_gain(analysis, row) for row in chosen],
        }
    )
    if analysis.table.plan:
        frame["rank"] = [_escape(rank_text(analysis, row)).replace("-", "--") for row in chosen]
    return str(
        frame.style.hide(axis="index").to_latex(
            hrules=True,
            caption=_caption(analysis, chosen),
            label=f"tab:{safe_name(analysis.name)}",
            column_format="ll" + "r" * (frame.shape[1] - 2),
            position_float="centering",
        )
    )


def _fits(row: Row, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(row.key.label, pattern) for pattern in patterns)


def _heading(column: Column) -> str:
    unit = f" ({_escape(column.unit)})" if column.unit not in ("", "1") else ""
    return f"{_escape(f'{column.task} {column.name}')}{unit} {ARROWS[column.higher_is_better]}"


def _values(rows: Sequence[Row], column: Column) -> list[str]:
    """Mean with its 95 % interval over seeds."""
    found = [[column.value(cell.result) for cell in row.cells] for row in rows]
    samples = [np.array([value for value in values if value is not None], float) for values in found]
    return [_value(estimate, column.unit) for estimate in paired_estimates(samples)]


def _value(estimate: Estimate | None, unit: str) -> str:
    if estimate is None:
        return "--"
    mean = format_number(estimate.mean, unit)
    if estimate.low is None or estimate.high is None:
        return f"${mean}$"
    return f"${mean}$ [${format_number(estimate.low, unit)}$, ${format_number(estimate.high, unit)}$]"


def _gain(analysis: Analysis, row: Row) -> str:
    found = analysis.delta(row.key)
    if found is None or found.estimate is None:
        return "--"
    estimate = found.estimate
    if estimate.low is None or estimate.high is None:
        return f"${signed(estimate.mean)}$"
    return f"${signed(estimate.mean)}$ [${signed(estimate.low)}$, ${signed(estimate.high)}$]"


def _caption(analysis: Analysis, rows: Sequence[Row]) -> str:
    title = analysis.table.plan.title if analysis.table.plan else analysis.table.setting.recipe
    reference = f" Gains are means over tasks, over {reference_name(analysis)}." if analysis.reference else ""
    return _escape(f"{title}. {_protocol(analysis)}. {_sample(rows)}{reference}")


def _protocol(analysis: Analysis) -> str:
    """Recipe, version, data, split, backbone and changed settings."""
    setting = analysis.table.setting
    version = f" version {setting.version}" if setting.version is not None else ""
    split = f" ({setting.split} split)" if setting.split != TEST else ""
    changes = f", with {setting.overrides}" if setting.overrides else ""
    data = setting.data or "unknown"
    return f"Recipe {setting.recipe}{version}, data {data}{split}, backbone {setting.backbone}{changes}"


def _sample(rows: Sequence[Row]) -> str:
    """Number of seeds, and the interval if a row has enough of them."""
    counts = [len(row.cells) for row in rows]
    seeds = f"n = {format_seeds(counts)} {'seed' if max(counts) == 1 else 'seeds'}"
    if max(counts) < MIN_SEEDS:
        return f"Mean over {seeds}; fewer than {MIN_SEEDS} seeds give no interval."
    return f"Mean and 95 % interval (Student's t, paired by seed for gains) over {seeds}."


def _escape(text: str) -> str:
    """Text that any LaTeX engine prints: special characters are escaped, unusual ones are written as their code."""
    return "".join(_SPECIAL.get(character) or _printed(character) for character in escape_terminal(text))


def _printed(character: str) -> str:
    """An ASCII character, or a letter with an accent that every engine has; else the number of the character."""
    base = unicodedata.normalize("NFD", character)[0]
    if character.isascii() or (base.isascii() and ord(character) <= LAST_ACCENTED_LETTER):
        return character
    return ascii(character)[1:-1].replace("\\", _SPECIAL["\\"])


_SPECIAL = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"\textasciigrave{}",
    "\n": " ",
    "\t": " ",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{DEGREE SIGN}": r"$^\circ$",
    "\N{GREEK CAPITAL LETTER DELTA}": r"$\Delta$",
    "\N{LATIN SMALL LETTER SHARP S}": r"{\ss}",
    "\N{LATIN SMALL LETTER O WITH STROKE}": r"{\o}",
}
