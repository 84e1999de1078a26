"""Results and files that another machine sends back: they are checked, and written under known names only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.grid.executors.mailbox import receive
from benchmark.grid.executors.remote import RemoteOutcome
from benchmark.records.failures import CODE, INFRASTRUCTURE
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore

SPEC = RunSpec("smoke", "hard_sharing", "none", "resnet18", ("semseg",), 0)
RESULT = RunResult(SPEC, "done", {"semseg": {"mIoU": {"value": 20.0, "unit": "%", "higher_is_better": True}}})


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results")


def test_a_result_comes_with_its_weights_and_details(store: ResultStore) -> None:
    details = store.details_path(SPEC).name
    files = {"model.safetensors": b"weights", details: b"curves", "../../other": b"no part of a cell"}
    ended = receive(SPEC, RemoteOutcome("exit code 0", CODE, RESULT.to_text(), files), store)
    folder = store.work_folder(SPEC)
    assert (ended.result, ended.details) == (RESULT, folder / details)
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert (folder / details).read_bytes() == b"curves"
    assert sorted(path.name for path in folder.parents[3].rglob("*") if path.is_file()) == [
        details,
        "model.safetensors",
    ]


def test_a_cell_without_a_result_keeps_the_class_of_its_failure(store: ResultStore) -> None:
    ended = receive(SPEC, RemoteOutcome("killed by SIGKILL", INFRASTRUCTURE), store)
    assert (ended.result, ended.how, ended.error_class) == (None, "killed by SIGKILL", INFRASTRUCTURE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "the result of another machine: "),
        (
            RunResult(replace(SPEC, seed=1), "done", RESULT.metrics).to_text(),
            f"another machine returned the result of {replace(SPEC, seed=1).run_id}",
        ),
    ],
    ids=["no JSON", "another cell"],
)
def test_a_result_that_cannot_be_used_is_a_failure_in_one_line(text: str, message: str, store: ResultStore) -> None:
    ended = receive(SPEC, RemoteOutcome("exit code 0", CODE, text), store)
    assert (ended.result, ended.error_class) == (None, CODE)
    assert ended.how.startswith(message)
    assert "\n" not in ended.how
