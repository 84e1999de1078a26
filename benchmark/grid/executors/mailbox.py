"""Results from other machines, as the launcher receives them."""

from __future__ import annotations

import secrets
from pathlib import Path

from benchmark.grid.executors import Ended
from benchmark.grid.executors.remote import MODEL_FILES, RemoteOutcome
from benchmark.records.atomic import replacing
from benchmark.records.failures import CODE
from benchmark.records.result import RunResult, RunSpec
from benchmark.records.store import ResultStore
from benchmark.records.validation import RecordError

MARK = "launcher-{token}.mark"


def share_mark(work: Path) -> str:
    """Write a file into the work folder by which other machines find out if they share it; returns its name."""
    work.mkdir(parents=True, exist_ok=True)
    name = MARK.format(token=secrets.token_hex(6))
    (work / name).write_text("Other machines that see this file share the folder.\n", encoding="utf-8")
    return name


def receive(spec: RunSpec, outcome: RemoteOutcome, store: ResultStore) -> Ended:
    """Read the result of a cell, and write its weights and details into its work folder."""
    folder = store.work_folder(spec)
    details = store.details_path(spec).name
    for name in (*MODEL_FILES, details):
        if name in outcome.files:
            with replacing(folder / name) as temporary:
                temporary.write_bytes(outcome.files[name])
    if outcome.result is None:
        return Ended(spec, outcome.how, outcome.error_class)
    try:
        result = RunResult.from_text(outcome.result, "the result of another machine")
    except RecordError as error:
        return Ended(spec, str(error), CODE)
    if result.run_id != spec.run_id:
        return Ended(spec, f"another machine returned the result of {result.run_id}", CODE)
    return Ended(spec, outcome.how, result=result, details=folder / details if details in outcome.files else None)
