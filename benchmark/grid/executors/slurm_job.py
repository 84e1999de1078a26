"""A cell inside a job of a batch system; submitit calls it, and asks it to save its state before the time limit."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmark.grid.executors.remote import CellProcess, RemoteCell
from benchmark.grid.progress import Steps
from benchmark.records.atomic import write_text
from benchmark.records.failures import INTERRUPTED_EXIT_CODE

RECORD, STARTED, ENDED = "job.json", "started.json", "ended.json"
"""Names of files. In the work folder: the job that runs the cell. In the folder of the job: its start, and its end."""
LOG = "cell.log"


@dataclass
class SlurmCell:
    """A callable for submitit.

    Args:
        cell: the cell.
        record: file that names the token of the job that may run the cell.
        token: token of this job.
        folder: folder of this job.
        patience: seconds that a cell gets to save its state.
    """

    cell: RemoteCell
    record: Path
    token: str
    folder: Path
    patience: float = 90.0
    _running: list[CellProcess] = field(default_factory=list, repr=False)

    def __call__(self) -> str:
        """Run the cell; its result is a file in the folder of the job. Returns one line."""
        write_text(self.folder / STARTED, json.dumps({"job": os.environ.get("SLURM_JOB_ID", "")}))
        if read_json(self.record).get("token") != self.token:
            return "not run, since another job has the cell"
        process = CellProcess(self.cell, self.folder, self._log)
        self._running.append(process)
        outcome = process.run()
        if process.process is not None and process.process.returncode == INTERRUPTED_EXIT_CODE:
            return "interrupted; the job is queued again"
        text = {key: value for key, value in asdict(outcome).items() if key in ("how", "error_class", "result")}
        write_text(self.folder / ENDED, json.dumps(text))
        return outcome.how

    def checkpoint(self) -> Any:
        """Let the cell save its state, and ask submitit to queue the job again."""
        from submitit.helpers import DelayedSubmission

        for process in self._running:
            process.interrupt(self.patience)
        return DelayedSubmission(SlurmCell(self.cell, self.record, self.token, self.folder, self.patience))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_running": []}

    def _log(self, text: str, steps: Steps | None) -> None:
        if text:
            with open(self.record.with_name(LOG), "a", encoding="utf-8") as log:
                log.write(text)


def read_json(path: Path) -> dict[str, Any]:
    """Content of a JSON file; empty if it cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
