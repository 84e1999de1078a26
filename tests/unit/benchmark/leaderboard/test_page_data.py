"""The data of board.html field by field: counts, columns, statements, details and curves."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from pathlib import Path

import pytest
from made_up_results import board_of, cells_with, make_cell, make_plan
from page_tools import block, values_of

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.page import curves
from benchmark.leaderboard.page.board_page import page_text
from benchmark.leaderboard.page.columns import page_columns
from benchmark.leaderboard.page.curves import budget, curves_of
from benchmark.leaderboard.page.details import CHECKOUT, details_data
from benchmark.leaderboard.page.embedding import packed, packed_json, unpacked
from benchmark.leaderboard.page.table_data import table_data, unique_labels
from benchmark.leaderboard.reported import ReportedRow, ReportedTable
from benchmark.leaderboard.tables import tables
from benchmark.records.overrides import Overrides
from benchmark.records.store import Stored, Unreadable

OUT = Path("results")
ROWS = [(method, name) for method in ("a", "b", "c") for name in ("none", "aux")]
SHIFTS = {"a": 9.0, "b": 10.0, "c": 11.0}
CELLS = [
    cell
    for method, name in ROWS
    for cell in cells_with(method, name, [100.0] * 3 if name == "none" else [100.0 + SHIFTS[method]] * 3)
]
BOARD = board_of(make_plan(ROWS, range(3)), CELLS)
DASH = "\N{EN DASH}"


def test_the_page_counts_results_failures_and_omitted_files() -> None:
    """52 failures, of which 50 are listed; 51 omitted files, of which 50 are listed."""
    failed = [make_cell("z", seed=seed, error="no disk", recipe="other") for seed in range(52)]
    left_out = [Unreadable(Path("x"), f"x{number}.json: not readable") for number in range(51)]
    text = page_text([BOARD, *analyse(tables(failed))], [], left_out, OUT)
    assert "every regularizer. 18 results, 51 files left out. This file" in text
    assert text.count("<li>failed: ") == 50
    assert "<li>and 2 more</li>" in text
    assert re.findall(r"<li>left out: <code>(\w+)", text) == [f"x{number}" for number in range(50)]
    assert "18 results. This file" in page_text([BOARD], [], [], OUT)
    assert "more</li>" not in page_text([BOARD, *analyse(tables(failed[:50]))], [], [], OUT)


def test_a_published_table_stands_on_the_page_with_its_link() -> None:
    metric = {"value": 45.0, "unit": "%", "higher_is_better": True}
    row = ReportedRow("MTAN", "mtan", "none", "ViT", "read", "table 1", {"semseg": {"mIoU": metric}})
    text = page_text([], [ReportedTable("NYU-v2", "a paper", "https://a.org", "A note.", (row,))], [], OUT)
    assert '<p>Source: <a href="https://a.org" rel="noreferrer">a paper</a>. A note.</p>' in text
    assert re.findall(r'role="(?:rowheader|cell)" data-label="[^"]*"[^>]*>([^<]*)<', text) == [
        "MTAN",
        "ViT",
        "table 1",
        "45.00",
    ]


def test_figures_are_of_the_boards_and_the_eight_largest_tables_of_other_runs() -> None:
    """Nine tables of 1 to 9 results; the smallest has no figures."""
    others = [cell for number in range(1, 10) for cell in cells_with("m", "none", [20.0] * number, recipe=f"r{number}")]
    figures = block(page_text([*analyse(tables(others)), BOARD], [], [], OUT), "figures-data")
    assert set(figures) == {"board", *(f"other: r{number} version 2" for number in range(2, 10))}


def test_columns_have_fields_decimals_factors_and_directions() -> None:
    values = {"mIoU": 20.0, "pixAcc": 50.0, "rmse@pixel": 0.5}
    analyses = analyse(tables([make_cell("m", values=values, tasks=("semseg", "depth"))]))
    fields = [
        "gain_mean",
        "gain_standardised",
        "gain_p",
        "gain_p_adjusted",
        "parameters_training",
        "training_seconds",
        "cost gmacs",
        "cost more",
    ]
    fields += [f"{key} [{unit}] mean" for key, unit in (("semseg/mIoU", "%"), ("semseg/pixAcc", "%"))]
    fields += ["depth/rmse@pixel [m] mean", "parameters_inference", "cost step_seconds", "peak_memory_mb"]
    columns = {column.id: column for column in page_columns(analyses, fields)}
    assert list(columns) == [
        *("rank", "method", "regularizer", "board", "n"),
        *("semseg/mIoU", "depth/rmse@pixel", "semseg/pixAcc"),
        *(
            "gain",
            "gain_standardised",
            "gain_p",
            "gain_p_adjusted",
            "parameters_training",
            "parameters_inference",
            "training_seconds",
        ),
        *("peak_memory_mb", "gmacs", "step_seconds", "more"),
    ]
    titles = {
        "rank": "rank",
        "board": "board or recipe",
        "n": "seeds done",
        "semseg/mIoU": "semseg mIoU ↑ (%)",
        "gain": "gain (%)",
        "gain_standardised": "gain in units of noise",
        "gain_p": "p of the gain",
        "gain_p_adjusted": "p after Holm",
        "parameters_training": "parameters, training (M)",
        "parameters_inference": "parameters, inference (M)",
        "training_seconds": "training (min)",
        "peak_memory_mb": "peak memory (MiB)",
        "gmacs": "GMACs",
        "step_seconds": "training step (s)",
        "more": "more",
    }
    assert {name: columns[name].title for name in titles} == titles
    numbers = {name: (column.decimals, column.factor, column.better) for name, column in columns.items()}
    assert numbers["semseg/mIoU"] == (2, 1.0, 1)
    assert numbers["depth/rmse@pixel"] == (4, 1.0, -1)
    assert numbers["gain"] == (2, 1, 1)
    assert numbers["gain_p_adjusted"] == (4, 1, -1)
    assert numbers["parameters_training"] == (2, 1e-6, -1)
    assert numbers["parameters_inference"] == (2, 1e-6, -1)
    assert numbers["peak_memory_mb"] == (0, 1, -1)
    assert numbers["step_seconds"] == (3, 1, -1)
    assert (numbers["n"], numbers["more"]) == ((0, 1.0, 0), (4, 1.0, 0))
    assert numbers["training_seconds"] == (1, 1 / 60, -1), "minutes"
    assert numbers["gmacs"] == (3, 1, -1)
    assert columns["gain"].fields == ("gain_mean", "gain_low", "gain_high", "gain_n", "gain_over")
    assert columns["rank"].fields == ("rank_best", "rank_worst", "complete")
    assert columns["gain_p_adjusted"].fields == ("gain_p_adjusted",)
    assert columns["more"].fields == ("cost more",)
    parts = ("mean", "std", "n")
    assert columns["depth/rmse@pixel"].fields == tuple(f"depth/rmse@pixel [m] {part}" for part in parts)


def test_a_table_has_its_title_reference_and_statements() -> None:
    """Gains of 9, 10 and 11 %: 10 +- 4.3027 / sqrt(3); these methods have no spread within. No gain within a method."""
    settings = Overrides({"lr": 1})
    part = board_of(make_plan(ROWS, settings=settings), [])
    (other,) = analyse(tables(cells_with("m", "aux", [20.0], overrides={"lr": 1})))
    data = table_data([BOARD, part, other], OUT)
    board, second, third = data["tables"]
    assert [table["label"] for table in data["tables"]] == ["board", "board lr=1", "other: smoke version 2, lr=1"]
    assert [table["board"] for table in data["tables"]] == [True, True, False]
    assert [table["reference"] for table in data["tables"]] == ["a", "", ""], "an empty board has none yet"
    assert [table["ranking"] for table in data["tables"]] == [["semseg/mIoU"], [], ["semseg/mIoU"]]
    assert (board["title"], third["title"]) == (
        "board: A board (recipe smoke version 2, data d)",
        "other runs: smoke version 2, lr=1",
    )
    name, methods = "aux over none (primary)", "a, b, c"
    assert board["statements"] == [
        [name, "methods in general", "+10.00 [+7.52, +12.48] %", "3", "0.003", "gain", methods],
        [name, "these methods", "+10.00 [+10.00, +10.00] %", "3", "< 0.001", "gain", methods],
    ]
    assert second["statements"] == [], "nothing has been measured"
    assert data["table"] == [0] * 6 + [1] * 6 + [2]
    assert values_of(data, "n") == [3] * 6 + [0] * 6 + [1]


def test_only_the_rows_that_are_not_worse_than_the_best_are_marked() -> None:
    """Two rows that differ clearly and one without a result."""
    cells = [*cells_with("a", "none", [20.0] * 3), *cells_with("a", "aux", [22.0] * 3)]
    data = table_data([board_of(make_plan([*ROWS[:2], ("b", "none")], range(3)), cells)], OUT)
    assert list(zip(data["label"], data["best"], strict=True)) == [("a+aux", 1), ("a", 0), ("b", 0)]


def test_undeclared_statements_are_not_marked_and_p_values_of_other_runs_are_dashes() -> None:
    (analysis,) = analyse(tables(CELLS))
    first, _ = table_data([analysis], OUT)["tables"][0]["statements"]
    assert (first[0], first[4:6]) == ("aux over none", [DASH, "neither is shown"])


def test_repeated_labels_are_numbered() -> None:
    data = [{"id": name, "fingerprint": name} for name in "abc"]
    analyses = analyse(tables([make_cell("m", values={"mIoU": 1.0}, data=found) for found in data]))
    assert unique_labels(analyses) == ["other: smoke", "other: smoke (2)", "other: smoke (3)"]


def test_fields_of_the_page_leave_out_intervals_of_metrics_and_empty_columns() -> None:
    """A large count stays a number with a point, since JavaScript's whole numbers end at 2^53."""
    cost = {"parameters_training": 3e6, "huge": 2.0**60, "negative": -(2.0**60)}
    data = table_data(analyse(tables(cells_with("m", "none", [20.0, 21.0, 22.0], cost=cost))), OUT)["fields"]
    names = {"semseg/mIoU [%] mean", "semseg/mIoU [%] std", "semseg/mIoU [%] n", "cost huge"}
    assert names < set(data)
    assert not {"semseg/mIoU [%] low", "semseg/mIoU [%] high", "files", "rank_best", "board", "options"} & set(data)
    assert data["parameters_training"]["numbers"] == [3_000_000]
    assert isinstance(data["parameters_training"]["numbers"][0], int)
    assert isinstance(data["cost huge"]["numbers"][0], float)
    assert isinstance(data["cost negative"]["numbers"][0], float)
    assert {"gain_low", "gain_high"} <= set(table_data([BOARD], OUT)["fields"])


def test_the_details_of_a_cell_say_where_it_comes_from() -> None:
    origin = {
        "dirty": True,
        "command": "python tools/train.py",
        "finished": "2027-01-02",
        "hardware": {"cpu": "X"},
        "versions": {"torch": "2.8", "deterministic": True},
    }
    (known,) = cells_with("m", "none", [20.123456789], provenance=origin)
    (bare,) = cells_with("m", "none", {1: 20.0}, provenance={"commit": None, "dirty": None})
    paths = [CHECKOUT / "results/a b.json", Path("/elsewhere/c d.json")]
    cells = [Stored(cell.result, path) for cell, path in zip((known, bare), paths, strict=True)]
    details = details_data(analyse(tables(cells)), CHECKOUT / "results")
    (row,) = details["rows"]
    first, second = row["cells"]
    texts = details["texts"]
    assert {key: first[key] for key in ("seed", "path", "reproduce", "commit", "dirty", "finished", "curves")} == {
        "seed": 0,
        "path": "./a b.json",
        "reproduce": "python tools/reproduce.py 'results/a b.json'",
        "commit": "0123456789abcdef",
        "dirty": True,
        "finished": "2027-01-02",
        "curves": None,
    }
    assert [texts[first[key]] for key in ("command", "hardware", "versions")] == [
        "python tools/train.py",
        "X",
        "torch 2.8, deterministic true",
    ]
    assert (second["commit"], second["dirty"], second["finished"]) == ("not recorded", False, "not recorded")
    assert second["reproduce"] == "python tools/reproduce.py '/elsewhere/c d.json'"
    assert [texts[second[key]] for key in ("command", "hardware", "versions")] == ["not recorded"] * 3
    assert row["values"] == [["semseg/mIoU", 20.1235, 20.0]]


def test_metrics_that_were_not_measured_rank_nothing() -> None:
    analyses = analyse(tables([make_cell("m", values={"mIoU": 20.0}, tasks=("semseg", "boundary"))]))
    assert table_data(analyses, OUT)["tables"][0]["ranking"] == ["semseg/mIoU"]


def test_statements_over_methods_are_no_comparison_of_a_row() -> None:
    """The rows of a are compared with a alone; rows of b and c with their own method and with a."""
    rows = details_data([BOARD], OUT)["rows"]
    counts = {row.key.label: len(found["comparisons"]) for row, found in zip(BOARD.rows, rows, strict=True)}
    assert counts == {"a": 0, "a+aux": 1, "b": 1, "b+aux": 2, "c": 1, "c+aux": 2}


def test_signs_that_turn_the_direction_of_text_stand_in_no_text_of_table_and_figures() -> None:
    """Method, regularizer, task, metric and unit have the sign; the labels by which a mark finds its row keep it."""
    sign = "\u202e"
    cells = [cell for row in ROWS[:2] for cell in cells_with(*row, [20.0, 21.0, 22.0], cost=COST)]
    for stored in cells:
        spec, metrics = stored.result.spec, stored.result.metrics
        object.__setattr__(spec, "tasks", (f"t{sign}",))
        object.__setattr__(spec, "method", f"m{sign}")
        if spec.regularizer != "none":
            object.__setattr__(spec, "regularizer", f"r{sign}")
        metrics[f"t{sign}"] = {f"n{sign}": {**metrics.pop("semseg")["mIoU"], "unit": f"u{sign}"}}
    analyses = analyse(tables(cells))
    plan = make_plan([(f"m{sign}", "none"), (f"m{sign}", f"r{sign}")], range(3), name=f"b{sign}", title=sign)
    for found in (analyses, [board_of(plan, cells)]):
        texts = table_data(found, OUT)
        assert sign not in json.dumps({**texts, "fields": list(texts["fields"])}, ensure_ascii=False)
        figures = block(page_text(found, [], [], OUT), "figures-data")
        shown = re.sub(r'"customdata": \[[^]]*\]', "", json.dumps(figures, ensure_ascii=False))
        assert sign not in shown
        assert "t\\\\u202e" in shown


COST = {"gmacs": 1.0}


def test_the_details_of_a_row_have_its_comparisons() -> None:
    """a+aux gains 9, 10 and 11 % over a."""
    cells = [*cells_with("a", "none", [100.0] * 3), *cells_with("a", "aux", [109.0, 110.0, 111.0])]
    board = board_of(make_plan(ROWS[:2], range(3)), cells)
    details = details_data([board], OUT)
    (found,) = details["rows"][0]["comparisons"]
    half = 4.302653 / 3**0.5
    assert [details["texts"][number] for number in found[:2]] == ["a", "mean over tasks"]
    assert found[2:5] == pytest.approx([10, 10 - half, 10 + half], abs=1e-5)
    assert found[5:] == [3, "0.003", "gain"]
    assert details["rows"][1]["comparisons"] == []
    (alone,) = (found for found in details_data(analyse(tables(cells)), OUT)["rows"][:1])
    assert alone["comparisons"][0][6:] == [DASH, ""], "p of other runs is not adjusted"


def curves_from(tmp_path: Path, text: bytes, points: int = 10, names: tuple[str, ...] = ()) -> curves.Curves | None:
    """The curves of a file of details with these lines."""
    path = tmp_path / "m.json"
    path.with_suffix(".details.jsonl.gz").write_bytes(gzip.compress(text))
    return curves_of(Stored(make_cell("m").result, path), points, names)


def test_curves_hold_the_chosen_losses_with_four_digits(tmp_path: Path) -> None:
    text = b'{"step":1,"loss":1.23456,"loss_depth":true}\n{"image":0,"loss":9.0}\n{"step":2,"loss":2.0,"loss_depth":3}'
    assert curves_from(tmp_path, text) == {"step": [1, 2], "loss": [1.235, 2.0], "loss_depth": [None, 3.0]}
    assert curves_from(tmp_path, text, 1, ("loss",)) == {"step": [2], "loss": [1.617]}


def test_a_file_of_details_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = b'{"step":1,"loss":1.0}'
    monkeypatch.setattr(curves, "MAX_BYTES", len(text))
    assert curves_from(tmp_path, text) == {"step": [1], "loss": [1.0]}
    monkeypatch.setattr(curves, "MAX_BYTES", len(text) - 1)
    assert curves_from(tmp_path, text) is None


@pytest.mark.parametrize(
    ("results", "points", "names"),
    [
        (0, 60, ()),
        (1000, 40, ()),
        (3333, 12, ()),
        (3334, 59, ("loss",)),
        (10_000, 20, ("loss",)),
        (100_000, 12, ("loss",)),
    ],
)
def test_the_room_of_a_page_is_shared_by_its_curves(results: int, points: int, names: tuple[str, ...]) -> None:
    """400 000 values: with 1000 results 400 each, ten losses of 40 points; above 3333 the total loss and its steps."""
    assert budget(results) == (points, names)


def test_blocks_are_packed_without_the_time_and_refuse_what_json_lacks() -> None:
    assert unpacked(packed(b"text")) == b"text"
    assert b64decode(packed(b"text"))[4:8] == bytes(4), "the time in the head of a gzip file"
    content = packed_json({"a": [1, None]})
    assert unpacked(content) == b'{"a":[1,null]}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        packed_json(float("nan"))
