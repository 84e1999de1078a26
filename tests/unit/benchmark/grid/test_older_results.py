"""Older results that a cell replaces: which results count, why they are stale, and their removal."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from benchmark.grid.stale import OlderResults, forget, forgettable, reason, replaced, state_of
from benchmark.records.identity import Ingredients
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore, StoreError

METRICS = {"semseg": {"mIoU": {"value": 1.0, "unit": "%", "higher_is_better": True}}}
SPEC = RunSpec(
    "smoke", "a", "none", "b", ("semseg", "depth"), 0, {"lr": 0.1}, ingredients=Ingredients({"size": 1}, {"method": 3})
)


def of_version(version: int, **changes: object) -> RunSpec:
    """The cell with another version of its method, and other changes."""
    return replace(SPEC, ingredients=Ingredients({"size": 1}, {"method": version}), **changes)


def publish(store: ResultStore, spec: RunSpec, finished: str = "2026-01-01T00:00:00+00:00") -> None:
    lease = store.claim(spec)
    assert lease is not None
    store.publish(RunResult(spec, "done", METRICS, provenance={"finished": finished}), lease)
    lease.release()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tasks": ("depth", "semseg")},
        {"overrides": {"lr": 0.1, "accelerate": False, "train_dataloader.num_workers": 3}},
    ],
)
def test_a_result_of_the_same_request_is_replaced(store: ResultStore, changes: dict[str, object]) -> None:
    publish(store, of_version(2, **changes))
    assert state_of(SPEC, OlderResults(store)) == "stale"


@pytest.mark.parametrize(
    "changes", [{"split": "val"}, {"seed": 1}, {"overrides": {"lr": 0.2}}, {"tasks": ("semseg",)}, {"backbone": "c"}]
)
def test_a_result_of_another_request_stays(store: ResultStore, changes: dict[str, object]) -> None:
    publish(store, of_version(2, **changes))
    assert state_of(SPEC, OlderResults(store)) == "missing"


def test_the_result_of_a_cell_does_not_replace_itself(store: ResultStore) -> None:
    publish(store, SPEC)
    publish(store, of_version(2))
    assert [older.result.spec.ingredients for older in OlderResults(store).of(SPEC)] == [of_version(2).ingredients]
    assert replaced([SPEC], store) == [], "the cell has a result and is not run again"


def test_an_unreadable_file_hides_no_older_result(store: ResultStore) -> None:
    publish(store, of_version(2))
    path = store.path(of_version(1))
    path.write_text("{")
    assert len(OlderResults(store).of(SPEC)) == 1
    assert state_of(of_version(1), OlderResults(store)) == "unreadable"


def test_the_reason_is_the_change_since_the_newest_result(store: ResultStore) -> None:
    publish(store, of_version(1), "2026-01-02T00:00:00+00:00")
    publish(store, of_version(2), "2026-01-01T00:00:00+00:00")
    assert replaced([SPEC], store) == ["1 cell replaces older results: method version 1 -> 3"]


def test_a_result_without_ingredients_says_so() -> None:
    unidentified = replace(SPEC, ingredients=None)
    assert reason(unidentified, SPEC) == "stored before cells were identified by their content"
    assert reason(SPEC, unidentified) == "stored before cells were identified by their content"
    assert reason(SPEC, SPEC) == "equal ingredients"


def test_a_cell_without_a_result_has_none_to_remove(store: ResultStore) -> None:
    publish(store, of_version(2))
    missing = of_version(3, seed=1)
    for which in ("all", "stale"):
        assert [path for _, path in forgettable([SPEC, missing], store, which)] == [store.path(of_version(2))]
    assert forgettable([SPEC, missing], store, "failed") == []


def test_a_result_is_removed_unless_a_process_runs_its_cell(store: ResultStore) -> None:
    publish(store, SPEC)
    lease = store.claim(SPEC)
    assert lease is not None
    with pytest.raises(StoreError, match="not removed, since a process is running this cell"):
        forget(SPEC, store.path(SPEC), store)
    assert json.loads(store.path(SPEC).read_text())["status"] == "done"
    lease.release()
    forget(SPEC, store.path(SPEC), store)
    assert not store.path(SPEC).exists()
    assert store.claim(SPEC) is not None, "the cell is free again"
