"""A table as LaTeX: every line of a small board, and its caption."""

from __future__ import annotations

from made_up_results import board_of, cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.columns import chosen_columns
from benchmark.leaderboard.latex import latex_table
from benchmark.leaderboard.tables import tables

TASKS = ("semseg", "depth")
VALUES = {
    ("single_task", "none"): [(20.0, 0.5)] * 3,
    ("mtan", "none"): [(21.0, 0.5), (22.0, 0.5), (23.0, 0.5)],
    ("mtan", "aux"): [(19.0, 0.55)],
}
CONSTANT = "$0.5000$ [$0.5000$, $0.5000$]"
BOARD = board_of(
    make_plan([*VALUES, ("pap", "none")], range(3)),
    [
        make_cell(*row, seed, {"mIoU": miou, "rmse@pixel": rmse}, tasks=TASKS, version=2)
        for row, values in VALUES.items()
        for seed, (miou, rmse) in enumerate(values)
    ],
)


def test_a_board_has_metrics_gains_and_ranks_of_the_rows_with_results() -> None:
    """Mean gains of 2.5, 5 and 7.5 %: 5 +- 4.3027 * 2.5 / sqrt(3); of one seed (-5 - 10) / 2."""
    text = latex_table(BOARD)
    assert r"\begin{tabular}{llrrrr}" in text
    lines = text.partition("\\toprule\n")[2].partition("\\bottomrule")[0].splitlines()
    assert [line.removesuffix(r" \\").split(" & ") for line in lines] == [
        [
            "method",
            "regularizer",
            r"semseg mIoU (\%) $\uparrow$",
            r"depth rmse@pixel (m) $\downarrow$",
            r"gain (\%) $\uparrow$",
            "rank",
        ],
        [r"\midrule"],
        ["mtan", "none", "$22.00$ [$19.52$, $24.48$]", CONSTANT, "$+5.00$ [$-1.21$, $+11.21$]", "1--2"],
        [r"single\_task", "none", "$20.00$ [$20.00$, $20.00$]", CONSTANT, "--", "1--2"],
        ["mtan", "aux", "$19.00$", "$0.5500$", "$-7.50$", "1 of 3 seeds"],
    ]


def test_the_caption_of_a_board_has_its_title_seeds_and_reference() -> None:
    (caption,) = [line for line in latex_table(BOARD).splitlines() if line.startswith("\\caption")]
    assert caption == (
        r"\caption{A board. Recipe smoke version 2, data d, backbone b. Mean and 95 \% interval (Student's t, paired "
        r"by seed for gains) over n = 1-3 seeds. Gains are means over tasks, over single\_task.}"
    )


def test_chosen_metrics_and_rows_are_shown_alone() -> None:
    """A row is shown if one pattern fits."""
    text = latex_table(BOARD, chosen_columns("depth/rmse@pixel", BOARD.table.results), ["single*", "pap"])
    assert "mIoU" not in text
    assert "rmse@pixel" in text
    assert [line.partition(" &")[0] for line in text.splitlines() if " & none &" in line] == [r"single\_task"]
    assert "over n = 3 seeds." in text


def test_rows_without_a_reference_and_without_a_unit() -> None:
    """Two seeds give a mean alone; other runs have no rank; a number without a unit has no empty brackets."""
    cells = cells_with("mtan", "aux", [0.25, 0.75])
    for stored in cells:
        stored.result.metrics["semseg"]["mIoU"]["unit"] = "1"
    text = latex_table(*analyse(tables(cells)))
    assert r"method & regularizer & semseg mIoU $\uparrow$ & gain (\%) $\uparrow$ \\" in text
    assert r"mtan & aux & $0.5000$ & -- \\" in text
    assert "over n = 2 seeds; fewer than 3 seeds give no interval.}" in text


def test_special_characters_are_printed_and_letters_without_a_font_are_numbers() -> None:
    (cell,) = cells_with("mtan", "none", [1.0], recipe="a_b")
    object.__setattr__(
        cell.result.spec, "method", "<M\N{LATIN SMALL LETTER U WITH DIAERESIS}\N{PLUS-MINUS SIGN}\u1e7f>"
    )
    (line,) = [line for line in latex_table(*analyse(tables([cell]))).splitlines() if " & none & " in line]
    expected = r"\textless{}M" + "\N{LATIN SMALL LETTER U WITH DIAERESIS}" + r"$\pm$\textbackslash{}u1e7f\textgreater{}"
    assert line.partition(" &")[0] == expected
