"""Files of trained weights of cells: in the work folder of the cell, or among the published models of the boards."""

from __future__ import annotations

from pathlib import Path

from benchmark.records.result import RunResult
from benchmark.records.store import store_of
from benchmark.training.model_files import MODEL_FILE, CheckpointError

MANIFEST = "models.json"
"""Digests of the published models, below the folder of results."""
MODELS_FOLDER = "models"
"""Folder of the published models, below the folder of results; ignored by git."""


def published_weights(results: Path, run_id: str) -> Path:
    """File of a cell among the published models."""
    return results / MODELS_FOLDER / f"{run_id}.safetensors"


def cell_weights(path: Path, result: RunResult, work: Path | None = None) -> Path:
    """File of the weights of a stored cell.

    Args:
        path: result file of the cell, DIR/runs/RECIPE/RUN_ID.json.
        result: content of the result file.
        work: folder of logs and checkpoints; DIR/work if not given.

    Raises:
        CheckpointError: naming the places where the weights were looked for, and how to get them.
        RecordError: if the file lies in another folder and `work` is not given.
    """
    store = store_of(path, work)
    trained = store.work_folder(result.spec) / MODEL_FILE
    published = published_weights(store.root, result.run_id)
    for file in (trained, published):
        if file.is_file():
            return file
    raise CheckpointError(
        f"no weights of {result.run_id}: neither {trained} nor {published} exists; train the cell here, or put the "
        f"release asset {published.name} into {published.parent} (docs/predict.md)"
    )
