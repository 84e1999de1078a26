"""200 random edits of a valid result file: each gives a result or a reason, and no edit stops other work."""

from __future__ import annotations

from damaged_results import edited_texts

from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore, Stored, Unreadable
from tools import make_leaderboard


def damaged_store(folder, seed: int) -> ResultStore:
    """A store with the edited files only."""
    store = ResultStore(folder / "results")
    runs = store.root / "runs" / "smoke"
    runs.mkdir(parents=True)
    for index, text in enumerate(edited_texts(200, seed)):
        (runs / f"{index:03d}.json").write_bytes(text)
    return store


def test_any_edit_of_a_result_gives_a_result_or_a_reason(tmp_path):
    found = list(damaged_store(tmp_path, seed=0).results())
    assert len(found) == 200
    left_out = {entry.path.name: entry.reason for entry in found if isinstance(entry, Unreadable)}
    assert 50 < len(left_out) < 200
    for name, reason in left_out.items():
        assert name in reason
        assert reason.isprintable()
        assert len(reason) < 2000
    for entry in found:
        if isinstance(entry, Stored):
            assert RunResult.from_text(entry.result.to_text()) == entry.result


def test_no_edit_of_a_result_file_stops_the_leaderboard(tmp_path, capsys):
    store = damaged_store(tmp_path, seed=1)
    spec = RunSpec("smoke", "single_task", "none", "b", ("semseg",), 0)
    metrics = {"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}
    with store.hold(spec) as lease:
        store.publish(RunResult(spec, "done", metrics), lease)
    assert make_leaderboard.main(["--results", str(store.root)]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("left out: ") == printed.err.count("\n") > 50
    assert "\x1b" not in printed.out + printed.err
    assert "single_task" in (store.root / "LEADERBOARD.md").read_text()
