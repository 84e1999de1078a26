"""The store of results: paths, fencing, and files that are not results."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmark.records import store as store_module
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.store import ResultStore, Stored, StoreError, Unreadable
from benchmark.records.validation import RecordError

CHECKOUT = Path(store_module.__file__).resolve().parents[2]
METRICS = {"semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}}}


def spec_of(seed: int = 0, recipe: str = "smoke") -> RunSpec:
    return RunSpec(recipe, "hard_sharing", "none", "resnet18", ("semseg",), seed)


def store_result(store: ResultStore, spec: RunSpec, status: str = "done") -> None:
    result = RunResult(spec, "done", METRICS) if status == "done" else failure(spec, status, "why", {})
    lease = store.claim(spec)
    store.publish(result, lease)
    lease.release()


@pytest.fixture
def store(tmp_path) -> ResultStore:
    return ResultStore(tmp_path / "results")


def test_a_result_lies_where_the_readme_says(store):
    store_result(store, spec_of())
    assert store.path(spec_of()) == store.root / "runs" / "smoke" / f"{spec_of().run_id}.json"
    assert store.read(spec_of()).metrics == METRICS
    assert json.loads(store.path(spec_of()).read_text())["schema_version"] == 1


def test_leftovers_are_files_of_done_cells_and_old_files_of_others(store):
    done, other = spec_of(0), spec_of(1)
    folder = store.path(done).parent
    folder.mkdir(parents=True)
    of_done, new, old = (
        folder / f".{spec.run_id}.json.{digit * 12}.tmp" for spec, digit in ((done, "0"), (other, "1"), (other, "2"))
    )
    for file in (of_done, new, old):
        file.touch()
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    store.remove_leftovers([done])
    assert list(folder.iterdir()) == [new]


def test_only_done_cells_are_finished(store):
    assert not store.finished(spec_of())
    store_result(store, spec_of(), "failed")
    assert not store.finished(spec_of())
    store_result(store, spec_of())
    assert store.finished(spec_of())


def test_the_version_changes_with_every_new_result(store):
    assert store.version(spec_of()) is None
    store_result(store, spec_of(), "failed")
    first = store.version(spec_of())
    store_result(store, spec_of(), "diverged")
    assert store.version(spec_of()) not in (None, first)


def test_a_done_result_is_never_overwritten(store):
    store_result(store, spec_of())
    with pytest.raises(StoreError, match="is done already"):
        store_result(store, spec_of(), "failed")
    assert store.finished(spec_of())


def test_a_replaced_holder_publishes_nothing(tmp_path):
    store = ResultStore(tmp_path, lease_seconds=-1)
    late = store.claim(spec_of())
    successor = store.claim(spec_of())
    with pytest.raises(StoreError, match="another process has taken this cell over"):
        store.publish(failure(spec_of(), "failed", "late", {}), late)
    assert store.read(spec_of()) is None
    store.publish(RunResult(spec_of(), "done", METRICS), successor)
    assert store.finished(spec_of())


def test_a_lease_of_one_cell_does_not_publish_another(store):
    lease = store.claim(spec_of(0))
    with pytest.raises(StoreError):
        store.publish(RunResult(spec_of(1), "done", METRICS), lease)


def test_a_process_without_a_launcher_holds_its_cell_itself(store):
    with store.hold(spec_of()) as lease:
        assert store.claim(spec_of()) is None
        with pytest.raises(StoreError, match="another process is running this cell"), store.hold(spec_of()):
            pass
        store.publish(RunResult(spec_of(), "done", METRICS), lease)
    assert store.claim(spec_of()) is not None


def test_a_process_of_a_launcher_leaves_the_lease_to_it(store, monkeypatch):
    lease = store.claim(spec_of())
    for name, value in lease.environment().items():
        monkeypatch.setenv(name, value)
    with store.hold(spec_of()) as handed_down:
        store.publish(RunResult(spec_of(), "done", METRICS), handed_down)
    assert lease.held()


def test_results_are_listed_by_recipe_and_an_unreadable_file_hides_no_other(store):
    for seed in range(3):
        store_result(store, spec_of(seed))
    store_result(store, spec_of(0, "other"))
    folder = store.root / "runs" / "smoke"
    (folder / "a_garbage.json").write_text("{ not json")
    (folder / "b_binary.json").write_bytes(b"\xff\xfe\x00")
    (folder / "c_folder.json").mkdir()
    (folder / "d_other_schema.json").write_text('{"schema_version": 99}')
    (folder / "e_list.json").write_text("[]")
    (folder / ".half.json.tmp").write_text("{")
    found = list(store.results("smoke"))
    assert [entry.result.spec.seed for entry in found if isinstance(entry, Stored)] == [0, 1, 2]
    reasons = {entry.path.name: entry.reason for entry in found if isinstance(entry, Unreadable)}
    assert set(reasons) == {"a_garbage.json", "b_binary.json", "c_folder.json", "d_other_schema.json", "e_list.json"}
    for name, reason in reasons.items():
        assert name in reason
        assert "\n" not in reason
    assert "schema_version: found 99, expected 1" in reasons["d_other_schema.json"]
    assert len([entry for entry in store.results() if isinstance(entry, Stored)]) == 4


@pytest.mark.parametrize("copy", ["a_copy.json", "z_copy.json"])
def test_a_copy_of_a_result_does_not_count_as_another_seed(store, copy):
    store_result(store, spec_of())
    home = store.path(spec_of())
    shutil.copy(home, home.with_name(copy))
    found = list(store.results())
    assert [entry.path for entry in found if isinstance(entry, Stored)] == [home]
    (second,) = [entry for entry in found if isinstance(entry, Unreadable)]
    assert second.path.name == copy
    assert second.reason == f"{second.path}: the same cell as {home}, expected one file for each cell"


def test_a_file_in_the_place_of_a_result_is_never_overwritten(store):
    path = store.path(spec_of())
    path.parent.mkdir(parents=True)
    path.write_text('{"schema_version": 2}')
    with pytest.raises(RecordError, match="schema_version: found 2"):
        store_result(store, spec_of())
    assert path.read_text() == '{"schema_version": 2}'


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "seed"), 10**199),
        (("spec", "seed"), 2**32),
        (("spec", "overrides"), []),
        (("metrics", "semseg", "mIoU", "value"), 1.7e308),
        (("metrics", "semseg", "mIoU", "value"), float("nan")),
        (("cost",), {"train_seconds": -1.7e308}),
        (("provenance",), {"commit": 7}),
        (("provenance",), {"data": []}),
        (("provenance",), {"hardware": "fast"}),
        (("provenance",), {"earlier_parts": {"commit": "a"}}),
        (("provenance",), {"cost": {"size": 64}}),
        (("unknown",), 1),
    ],
)
def test_a_value_that_tables_cannot_hold_makes_the_file_unreadable(store, path, value):
    store_result(store, spec_of())
    file = store.path(spec_of())
    content = json.loads(file.read_text())
    node = content
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    file.write_text(json.dumps(content))
    (entry,) = store.results()
    assert isinstance(entry, Unreadable)
    assert entry.reason.startswith(f"{file}: ")


def test_a_special_file_is_not_opened(store):
    """Opening a pipe would wait for a writer for ever."""
    folder = store.root / "runs" / "smoke"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "pipe.json")
    (folder / "large.json").touch()
    os.truncate(folder / "large.json", 1 << 30)
    (folder / os.fsdecode(b"\xff.json")).write_text("{}")
    reasons = [entry.reason for entry in store.results() if isinstance(entry, Unreadable)]
    assert len(reasons) == 3
    assert all(reason.isprintable() for reason in reasons)


STALLS = """
import os, signal, sys; sys.path.insert(0, sys.argv[1])
from benchmark.records import store as module
from benchmark.records.leases import Lease
from benchmark.records.result import RunSpec, failure

store, spec = module.ResultStore(sys.argv[2]), RunSpec.from_text(sys.argv[3])
write = module.write_text

def stall(path, text):
    os.kill(os.getpid(), signal.SIGSTOP)
    write(path, text)

module.write_text = stall
store.publish(failure(spec, "failed", "late", {}), Lease(store.work / "leases", spec.run_id, 1, sys.argv[4]))
"""


def test_a_process_that_stalls_while_it_stores_a_failure_does_not_replace_a_newer_result(store):
    lease = store.claim(spec_of())
    command = [sys.executable, "-c", STALLS, str(CHECKOUT), str(store.root), spec_of().to_text(), lease.token]
    stalled = subprocess.Popen(command)
    os.waitid(os.P_PID, stalled.pid, os.WSTOPPED | os.WNOWAIT)
    os.utime(lease.path, (0, 0))
    successor = store.claim(spec_of())
    resume = threading.Timer(0.5, stalled.send_signal, [signal.SIGCONT])
    resume.start()
    store.publish(RunResult(spec_of(), "done", METRICS), successor)
    resume.join()
    stalled.wait(timeout=20)
    assert store.finished(spec_of())


def test_logs_and_leases_lie_in_the_folder_work(tmp_path, monkeypatch):
    store = ResultStore(tmp_path)
    assert store.work_folder(spec_of()) == tmp_path / "work" / "smoke" / spec_of().run_id
    assert store.leases == tmp_path / "work" / "leases"
    monkeypatch.setenv("MTL_LEASES", str(tmp_path / "elsewhere"))
    assert store.leases == tmp_path / "elsewhere"
    assert ResultStore(tmp_path, tmp_path / "w").work_folder(spec_of()).parent == tmp_path / "w" / "smoke"


def test_states_of_done_cells_are_removed_with_their_temporary_files_and_nothing_else(store):
    folders = [store.work_folder(spec_of(seed)) for seed in (0, 1)]
    names = ["training_state.pt", "training_state.previous.pt", f".training_state.pt.{'0' * 12}.tmp", "cell.log"]
    for folder in folders:
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).touch()
    store.remove_leftovers([spec_of(0)])
    assert [sorted(path.name for path in folder.iterdir()) for folder in folders] == [["cell.log"], sorted(names)]


def test_removed_files_take_their_own_temporary_files_with_them(tmp_path):
    for name in ("a", f".a.{'0' * 12}.tmp", f".b.{'0' * 12}.tmp", "b"):
        (tmp_path / name).touch()
    store_module.remove_files(tmp_path, ["a"])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".b.{'0' * 12}.tmp", "b"]


def test_a_result_stored_within_one_tick_of_the_clock_is_another_version(store):
    store_result(store, spec_of(), "failed")
    path, first = store.path(spec_of()), store.version(spec_of())
    times = path.stat()
    other = path.with_name("other")
    other.write_text(path.read_text())
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(other, path)
    assert store.version(spec_of()) != first


def test_a_held_cell_gets_twelve_heartbeats_in_the_lifetime_of_its_lease(tmp_path, monkeypatch):
    intervals = []
    keep = store_module.leases.kept_alive

    def kept_alive(lease, interval):
        intervals.append(interval)
        return keep(lease, interval)

    monkeypatch.setattr(store_module.leases, "kept_alive", kept_alive)
    with ResultStore(tmp_path, lease_seconds=60).hold(spec_of()):
        pass
    assert intervals == [5]


def test_details_are_stored_with_a_result_that_is_done_only(store, tmp_path):
    details = tmp_path / "details"
    details.write_bytes(b"curves")
    stored = store.path(spec_of()).with_name(f"{spec_of().run_id}.details.jsonl.gz")
    lease = store.claim(spec_of())
    store.publish(failure(spec_of(), "failed", "why", {}), lease, details)
    assert not stored.exists()
    store.publish(RunResult(spec_of(), "done", METRICS), lease, details)
    assert stored.read_bytes() == b"curves"
    assert store.details_path(spec_of()) == stored


def test_a_folder_that_cannot_be_written_is_named_before_the_training(store):
    store.check_writable(spec_of())
    assert list(store.path(spec_of()).parent.iterdir()) == []
    (store.root / "runs" / "other").touch()
    with pytest.raises(StoreError, match=r"runs/other: cannot write results \(File exists\); name another --out"):
        store.check_writable(spec_of(0, "other"))


def test_a_file_of_more_than_16_mib_is_no_result(tmp_path):
    path = tmp_path / "a.json"
    path.touch()
    os.truncate(path, 2**24 + 1)
    with pytest.raises(RecordError, match="a.json: not a regular file of at most 16 MiB"):
        store_module.read_result(path)
    os.truncate(path, 2**24)
    with pytest.raises(RecordError, match="not readable as JSON"):
        store_module.read_result(path)
