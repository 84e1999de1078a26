"""Offered results: faults, conflicts, and the rows that change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_results import cells_with, make_cell, make_plan

from benchmark.leaderboard.analysis import analyse
from benchmark.leaderboard.changes import changed_rows
from benchmark.leaderboard.submission import conflict_table, read_submission
from benchmark.leaderboard.tables import tables
from benchmark.records.overrides import Overrides
from benchmark.records.store import ResultStore, Stored, read_result

ROW = {"tasks": ("semseg",), "version": 2}
ROWS = [("single_task", "none"), ("mtan", "none")]


def write(root: Path, *cells: Stored, **changes: object) -> list[Stored]:
    """Store cells below a folder; `changes` are written into the JSON."""
    written = []
    for cell in cells:
        path = ResultStore(root).path(cell.result.spec)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**json.loads(cell.result.to_text()), **changes}))
        written.append(Stored(read_result(path), path))
    return written


def offer(tmp_path: Path, cells: list[Stored], stored: list[Stored] = (), **changes: object):
    write(tmp_path / "offer", *cells, **changes)
    return read_submission(tmp_path / "offer", list(stored))


def test_new_equal_and_conflicting_cells_are_told_apart(tmp_path):
    stored = write(tmp_path / "results", *cells_with("mtan", "none", [20.0, 21.0]))
    found = offer(tmp_path, cells_with("mtan", "none", [20.0, 21.5, 22.0]), stored)
    assert [cell.result.spec.seed for cell in found.new] == [2]
    assert [cell.result.spec.seed for cell in found.same] == [0]
    (conflict,) = found.conflicts
    assert conflict.differences == (("semseg/mIoU", 21.0, 21.5),)
    assert not found.acceptable
    head, _, origin, numbers = conflict_table(found.conflicts).splitlines()
    assert [part.strip() for part in head.split("|")[1:-1]] == ["cell", "number", "stored", "offered", "difference"]
    assert origin.count("commit 01234567") == 2
    assert [part.strip() for part in numbers.split("|")[2:-1]] == ["semseg/mIoU", "21.0", "21.5", "+0.5"]


def test_a_metric_that_only_one_side_has_is_a_conflict(tmp_path):
    stored = write(tmp_path / "results", make_cell("mtan", values={"mIoU": 20.0, "pixAcc": 50.0}, **ROW))
    found = offer(tmp_path, [make_cell("mtan", values={"mIoU": 20.0}, **ROW)], stored)
    assert found.conflicts[0].differences == (("semseg/pixAcc", 50.0, None),)
    number = conflict_table(found.conflicts).splitlines()[-1]
    assert [part.strip() for part in number.split("|")[2:-1]] == ["semseg/pixAcc", "50.0", *["\N{EN DASH}"] * 2]


def test_a_finished_cell_replaces_a_failure_and_never_the_other_way(tmp_path):
    failed, done = (make_cell("mtan", **ROW, **how) for how in ({"error": "no memory"}, {"values": {"mIoU": 20.0}}))
    found = offer(tmp_path / "a", [done], write(tmp_path / "stored_a", failed))
    assert (len(found.new), found.acceptable) == (1, True)
    found = offer(tmp_path / "b", [failed], write(tmp_path / "stored_b", done))
    assert (found.new, found.acceptable) == ([], True)
    assert "failed here, but done in the stored results" in found.notes[0]


def test_two_files_of_one_cell_are_a_conflict_with_both_values(tmp_path):
    """Machine A and machine B trained the same cell, and somebody copied both into one folder."""
    (first,) = write(tmp_path / "offer", make_cell("mtan", values={"mIoU": 20.0}, **ROW))
    first.path.with_name("copy_of_b.json").write_text(first.path.read_text().replace("20.0", "21.0"))
    found = read_submission(tmp_path / "offer", [])
    assert found.conflicts[0].differences == (("semseg/mIoU", 20.0, 21.0),)
    assert "expected one file for each cell" in found.faults[0]
    assert not found.acceptable


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ({"value": 120.0, "unit": "%", "higher_is_better": True}, "found 120.0 %, expected 0 to 100"),
        ({"value": 0.2, "unit": "1", "higher_is_better": True}, "found unit '1' with higher_is_better true, expected"),
        ({"value": 20.0, "unit": "%", "higher_is_better": False}, "higher_is_better false, expected '%' with"),
    ],
)
def test_an_impossible_metric_is_refused(tmp_path, metric, message):
    found = offer(tmp_path, [make_cell("mtan", values={"mIoU": 20.0}, **ROW)], metrics={"semseg": {"mIoU": metric}})
    assert len(found.faults) == 1
    assert message in found.faults[0]
    assert found.new == []


def test_nan_is_refused_by_the_schema(tmp_path):
    (cell,) = write(tmp_path / "offer", make_cell("mtan", values={"mIoU": 20.0}, **ROW))
    cell.path.write_text(cell.path.read_text().replace("20.0", "NaN"))
    (fault,) = read_submission(tmp_path / "offer", []).faults
    assert "not readable as JSON" in fault


def test_what_is_missing_or_out_of_place_is_named(tmp_path):
    cells = [
        make_cell("a", values={"mIoU": 20.0}, tasks=("semseg",)),
        make_cell("b", values={}, **ROW),
        make_cell("c", values={"mIoU": 20.0}, provenance={"commit": None}, **ROW),
    ]
    *_, moved = write(tmp_path / "offer", *cells, make_cell("d", values={"mIoU": 20.0}, **ROW))
    moved.path.rename(moved.path.with_name("other.json"))
    (moved.path.parent / "weights.bin").write_text("")
    faults = "".join(f"{fault}\n" for fault in read_submission(tmp_path / "offer", []).faults)
    for message in (
        "does not record its ingredients, so nobody can tell what it measured; train it again\n",
        "no metric of semseg",
        "names no commit; train in a git checkout\n",
        "other.json: expected at runs/smoke/d+none",
        "weights.bin: neither a result nor the details of one; remove it\n",
    ):
        assert message in faults
    assert len(faults.splitlines()) == 5


def test_uncommitted_changes_and_failures_are_noted(tmp_path):
    cells = [
        make_cell("mtan", values={"mIoU": 20.0}, provenance={"dirty": True}, **ROW),
        make_cell("pap", error="no memory", **ROW),
    ]
    found = offer(tmp_path, cells)
    assert (len(found.new), found.acceptable) == (2, True)
    assert "uncommitted changes" in found.notes[0]
    assert "failed: no memory" in found.notes[1]


@pytest.mark.parametrize(
    ("name", "least", "most"), [("mIoU", 0.0, 100.0), ("rmse@pixel", 0.0, 1000.0), ("mean@pixel", 0.0, 180.0)]
)
def test_the_ends_of_a_range_are_possible_and_values_beyond_are_not(tmp_path, name, least, most):
    for number, (value, possible) in enumerate([(least, 1), (most, 1), (least - 0.01, 0), (most + 0.01, 0)]):
        task = {"mIoU": "semseg", "rmse@pixel": "depth", "mean@pixel": "normals"}[name]
        found = offer(tmp_path / str(number), [make_cell("mtan", values={name: value}, tasks=(task,), version=2)])
        assert len(found.new) == possible
        assert bool(found.faults) != possible


def test_a_result_without_ingredients_has_one_fault(tmp_path):
    assert len(offer(tmp_path, [make_cell("a", provenance={"commit": None}, tasks=("semseg",))]).faults) == 1


def test_a_task_without_a_metric_is_a_fault(tmp_path):
    found = offer(tmp_path, [make_cell("a", values={"mIoU": 20.0}, **ROW)], metrics={"semseg": {}})
    assert [fault.rpartition(": ")[2] for fault in found.faults] == ["no metric of semseg"]


def test_a_result_in_the_folder_of_another_recipe_is_out_of_place(tmp_path):
    (cell,) = write(tmp_path / "offer", make_cell("a", values={"mIoU": 20.0}, **ROW))
    other = tmp_path / "offer" / "runs" / "other" / cell.path.name
    other.parent.mkdir()
    cell.path.rename(other)
    (fault,) = read_submission(tmp_path / "offer", []).faults
    assert fault == f"{other}: expected at runs/smoke/{other.name}, which follows from its content"


def test_hidden_files_and_details_are_no_faults(tmp_path):
    (cell,) = write(tmp_path / "offer", make_cell("a", values={"mIoU": 20.0}, **ROW))
    cell.path.with_name(".DS_Store").write_text("")
    cell.path.with_suffix(".details.jsonl.gz").write_text("")
    assert read_submission(tmp_path / "offer", []).acceptable


def test_a_conflict_names_commit_processor_torch_and_time_of_both(tmp_path):
    hardware = {"cpu": "A CPU", "gpu": "A GPU"}
    origin = {"hardware": hardware, "versions": {"torch": "2.8", "numpy": "2.3"}, "finished": "2027-01-02"}
    stored = write(tmp_path / "results", make_cell("a", values={"mIoU": 20.0}, provenance=origin, **ROW))
    plain = {"hardware": {"cpu": "B"}, "commit": "f" * 40}
    found = offer(tmp_path, [make_cell("a", values={"mIoU": 19.0}, provenance=plain, **ROW)], stored)
    line, number = conflict_table(found.conflicts).splitlines()[2:]
    assert [part.strip() for part in line.split("|")[2:5]] == [
        "origin",
        "commit 01234567, A GPU, torch 2.8, 2027-01-02",
        "commit ffffffff, B, torch unknown",
    ]
    assert number.rstrip(" |").endswith("-1")


def test_changed_rows_are_shown_before_and_after():
    """The gain over single_task falls from +10 to +5 % when the second seed comes; single_task does not change."""
    plan = make_plan(ROWS, seeds=(0, 1))
    base = cells_with("single_task", "none", [20.0, 20.0])
    before, after = (analyse(tables([*base, *cells_with("mtan", "none", mious)], [plan])) for mious in ([22], [22, 20]))
    head, _, *rows = changed_rows(before, after).splitlines()[2:]
    assert [part.strip() for part in head.split("|")[1:-1]][:2] == ["row", "seeds"]
    (row,) = [[part.strip() for part in line.split("|")[1:-1]] for line in rows if line.startswith("| mtan")]
    assert row[1] == "0 → 0 1"
    assert row[2] == "22.00 → 21.00 ± 1.41"
    assert row[3] == "+10.00 (n = 1) → +5.00 (n = 2)"
    assert changed_rows(after, after) == ""


def test_new_rows_and_hostile_names_are_shown_as_text():
    cell = make_cell("mtan", values={"mIoU": 20.0}, **ROW)
    object.__setattr__(cell.result.spec, "method", "<script>|x")
    text = changed_rows([], analyse(tables([cell])))
    assert "&lt;script&gt;\\|x" in text
    assert "\N{EN DASH} → 20.00" in text


def test_parts_of_a_board_with_other_settings_are_compared_with_themselves():
    settings = Overrides({"lr": 1})
    plans = [make_plan(ROWS), make_plan(ROWS, settings=settings)]
    cells = [*cells_with("mtan", "none", [20.0]), *cells_with("mtan", "none", [30.0], overrides={"lr": 1})]
    before = analyse(tables(cells, plans))
    assert changed_rows(before, before) == ""
    after = analyse(tables([*cells, *cells_with("mtan", "none", {1: 32.0}, overrides={"lr": 1})], plans))
    text = changed_rows(before, after)
    assert text.count("**board board** on d\n") == 1
    assert "| 30.00 → 31.00 ± 1.41 |" in text


def test_a_row_that_failed_shows_its_progress():
    plan = make_plan(ROWS, seeds=(0, 1))
    before, after = (
        analyse(tables([*cells_with("single_task", "none", [20.0, 21.0]), *failed], [plan]))
        for failed in ([], [make_cell("mtan", error="no memory", **ROW)])
    )
    (line,) = [line for line in changed_rows(before, after).splitlines() if line.startswith("| mtan")]
    dash = "\N{EN DASH}"
    assert [part.strip() for part in line.split("|")[2:-1]] == [dash] * 3 + [f"{dash} → 0 of 2 seeds (1 failed)"]


def test_a_board_whose_data_change_shows_both_values():
    """The board moves to the data of most cells."""
    plan = make_plan(ROWS, seeds=(0, 1))
    first = cells_with("mtan", "none", [20.0])
    moved = cells_with("mtan", "none", [30.0, 30.0], data={"id": "e", "fingerprint": "g"})
    text = changed_rows(analyse(tables(first, [plan])), analyse(tables([*first, *moved], [plan]))[:1])
    assert text.startswith("**board board** on e\n")
    assert "20.00 → 30.00 ± 0.00" in text


def test_rows_of_other_runs_have_no_rank_and_may_be_on_unknown_data():
    """The row goes; its columns are seeds, metric, gain and rank."""
    known = [*cells_with("mtan", "none", [20.0]), *cells_with("pap", "none", [22.0])]
    before, after = (analyse(tables(cells)) for cells in (known, known[:1]))
    text = changed_rows(before, after)
    assert text.startswith("**other runs of recipe smoke** on d\n")
    dash = "\N{EN DASH}"
    (line,) = [line for line in text.splitlines() if line.startswith("| pap")]
    shown = [part.strip() for part in line.split("|")[2:-1]]
    assert shown == [f"0 → {dash}", f"22.00 → {dash}", f"+10.00 (n = 1) → {dash}", dash]
    assert "** on unknown data\n" in changed_rows([], analyse(tables([make_cell("m", values={"mIoU": 1.0}, data={})])))
