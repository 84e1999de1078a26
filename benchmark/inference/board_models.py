"""Weights of one seed per row of the boards, in half precision, and the manifest of their digests.

RESULTS/models/RUN_ID.safetensors    ignored by git; the assets of a release
RESULTS/models.json                  size and digest of each, in git
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
from pydantic import Field, StringConstraints
from pydantic.dataclasses import dataclass
from safetensors.torch import load_file, save_file

from benchmark.inference.loading import find_model
from benchmark.inference.weights import MANIFEST, published_weights
from benchmark.leaderboard.plan import plans_of
from benchmark.leaderboard.tables import tables
from benchmark.records.atomic import replacing, write_text
from benchmark.records.boards import board_names, read_board
from benchmark.records.store import ResultStore, Stored
from benchmark.records.validation import CONFIG, Count, Name, one_line_errors, parse_json, read_from, validated
from benchmark.training.description import METADATA_KEY
from benchmark.training.model_files import MODEL_FILE, CheckpointError

LARGEST_HALF = float(torch.finfo(torch.float16).max)


@one_line_errors
@dataclass(frozen=True, config=CONFIG)
class PublishedModel:
    """Entry of the manifest.

    Args:
        board: name of the board.
        row: method and regularizer.
        seed: seed of the cell.
        bytes: size of the file.
        sha256: digest of the file.
    """

    board: Name
    row: Name
    seed: Annotated[int, Field(strict=True, ge=0)]
    bytes: Count
    sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Candidate(NamedTuple):
    """Row of a board with its finished cells."""

    board: str
    row: str
    cells: tuple[Stored, ...]


def read_manifest(results: Path) -> dict[str, PublishedModel]:
    """The manifest by run_id; empty without a file.

    Raises:
        RecordError: if it breaks its schema.
    """
    path = results / MANIFEST
    if not path.is_file():
        return {}
    with read_from(str(path)):
        entries: dict[str, PublishedModel] = validated(
            dict[Name, PublishedModel], parse_json(path.read_text(encoding="utf-8"))
        )
        return entries


def update(results: Path, work: Path | None = None) -> tuple[dict[str, PublishedModel], list[str]]:
    """Write the model of one seed for every row of the boards, and the manifest.

    A row with an entry keeps its file, which is not compared with the manifest (see `faults`). A missing file is
    written again if the weights of the cell are on this machine; otherwise the entry alone is kept.

    Args:
        results: folder of results.
        work: folder of logs and checkpoints; `work` below `results` if not given.

    Returns:
        The manifest, and one line for each row without a model.
    """
    old, new, missing = read_manifest(results), {}, []
    for candidate in rows_of(results):
        known = next((cell for cell in candidate.cells if cell.result.run_id in old), None)
        source = known or next((cell for cell in candidate.cells if _trained(results, cell, work).is_file()), None)
        if source is None:
            missing.append(
                f"{candidate.board} {candidate.row}: no weights of its {len(candidate.cells)} finished cells"
            )
            continue
        run_id = source.result.run_id
        if known is None or (
            not published_weights(results, run_id).is_file() and _trained(results, source, work).is_file()
        ):
            new[run_id] = _write(results, candidate, source, work)
        else:
            new[run_id] = old[run_id]
    entries = {run_id: asdict(new[run_id]) for run_id in sorted(new)}
    write_text(results / MANIFEST, json.dumps(entries, indent=2) + "\n")
    return new, missing


def faults(results: Path) -> list[str]:
    """One line for each published model that is missing or differs from the manifest."""
    found = []
    for run_id, entry in read_manifest(results).items():
        file = published_weights(results, run_id)
        if not file.is_file():
            found.append(f"{file}: missing; download the asset {file.name} of the release")
        elif digest(file) != entry.sha256:
            found.append(f"{file}: differs from {MANIFEST}; download it again")
    return found


def rows_of(results: Path) -> Iterator[Candidate]:
    """The rows of all boards that have finished cells."""
    stored = [entry for entry in ResultStore(results).results() if isinstance(entry, Stored)]
    plans = [plan for name in board_names(results) for plan in plans_of(read_board(results, name))]
    for table in tables(stored, plans):
        if table.plan is not None:
            yield from (Candidate(table.plan.name, row.key.label, row.cells) for row in table.rows if row.cells)


def in_half_precision(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Floating-point tensors as float16, except tensors with values beyond its range."""

    def fits(tensor: torch.Tensor) -> bool:
        return tensor.is_floating_point() and bool(tensor.abs().max() < LARGEST_HALF if tensor.numel() else True)

    return {name: tensor.half() if fits(tensor) else tensor for name, tensor in tensors.items()}


def digest(file: Path) -> str:
    """SHA-256 of a file."""
    return sha256(file.read_bytes()).hexdigest()


def _trained(results: Path, cell: Stored, work: Path | None) -> Path:
    return ResultStore(results, work).work_folder(cell.result.spec) / MODEL_FILE


def _write(results: Path, candidate: Candidate, cell: Stored, work: Path | None) -> PublishedModel:
    found = find_model(cell.path, weights=_trained(results, cell, work), work=work)
    file = published_weights(results, cell.result.run_id)
    try:
        tensors = in_half_precision(load_file(found.weights))
    except Exception as error:
        raise CheckpointError(f"{found.weights}: not readable ({' '.join(str(error).split())})") from error
    with replacing(file) as temporary:
        # One key of metadata, since several would be written in any order and change the digest.
        save_file(tensors, str(temporary), metadata={METADATA_KEY: found.description.to_text()})
    return PublishedModel(candidate.board, candidate.row, cell.result.spec.seed, file.stat().st_size, digest(file))
