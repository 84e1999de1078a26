"""Trained models by result file, folder, weights file or Hugging Face repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.inference.model import TrainedModel
from benchmark.inference.model_card import CONFIG_FILE
from benchmark.inference.weights import cell_weights
from benchmark.records.result import RunResult
from benchmark.records.store import read_result
from benchmark.records.validation import shortened
from benchmark.registry import import_files
from benchmark.tasks import STANDARD_TASKS
from benchmark.training.describing import describe_result
from benchmark.training.description import METADATA_KEY, ModelDescription, TaskDescription
from benchmark.training.imported import CARD_FILE, read_card, turn_axes
from benchmark.training.model_files import MODEL_FILE, CheckpointError, load_model, read_metadata
from benchmark.training.trust import trusted_spec

HUB = "hf://"


def load(
    source: str | Path,
    *,
    weights: str | Path | None = None,
    work: str | Path | None = None,
    recipe: str | None = None,
    imports: Sequence[str | Path] = (),
    device: str = "cpu",
    accelerate: bool = True,
) -> TrainedModel:
    """Load a trained model, in eval mode.

    Args:
        source: a result file `results/runs/RECIPE/RUN_ID.json`; a folder from `tools/export.py`, from
            `tools/import_checkpoint.py` or of a cell; a model.safetensors; or "hf://owner/name".
        weights: weights of a result file, in place of the cell's.
        work: folder of logs and checkpoints of a result file; `work` next to `runs` if not given.
        recipe: your own recipe, if the result names it; it is run as code.
        imports: your own Python files with the method or backbone of the model.
        device: device of torch, such as "cpu" or "cuda".
        accelerate: replace layers by equal, faster ones on a CPU; outputs are equal up to rounding.

    Raises:
        OSError, ValueError, KeyError, ImportError: if the model is not found, cannot be built, or has other weights; in
            one line.
    """
    import_files(imports)
    found = find_model(source, weights=weights, work=work, recipe=recipe)
    description, file = found.description, found.weights
    model = description.build(accelerate and device == "cpu")
    load_model(model, file)
    if description.signs:
        turn_axes(model.method, description.signs)
    return TrainedModel(model, description, device)


@dataclass(frozen=True)
class FoundModel:
    """A trained model on disk.

    Args:
        description: its network.
        weights: file of its weights.
        result: its result; None if the source is no result file.
    """

    description: ModelDescription
    weights: Path
    result: RunResult | None = None


def find_model(
    source: str | Path, *, weights: str | Path | None = None, work: str | Path | None = None, recipe: str | None = None
) -> FoundModel:
    """Find description and weights of a model, without building it; arguments and errors as in `load`."""
    if str(source).startswith(HUB):
        source = downloaded(str(source).removeprefix(HUB))
    path = Path(source)
    if path.is_dir():
        return FoundModel(*_of_folder(path))
    if path.suffix == ".safetensors":
        return FoundModel(*_of_weights(path))
    if path.is_file():
        result = read_result(path)
        file = Path(weights) if weights else cell_weights(path, result, None if work is None else Path(work))
        description = describe_weights(file) or describe_result(result, trusted_spec(result, recipe))
        return FoundModel(description, file, result)
    raise CheckpointError(
        f"{source}: no such file or folder; name a result file RUN_ID.json, a folder with {MODEL_FILE}, or "
        f"{HUB}owner/name"
    )


def downloaded(repository: str) -> Path:
    """Folder of a model of the Hugging Face hub, from the cache or downloaded; no code of it is run.

    Raises:
        CheckpointError: if it cannot be downloaded.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=[CONFIG_FILE, MODEL_FILE]))
    except Exception as error:
        reason = f"{type(error).__name__}: {shortened(error)}"
        raise CheckpointError(f"{HUB}{repository}: cannot be downloaded ({reason})") from error


def describe_weights(file: Path) -> ModelDescription | None:
    """Description in the metadata of a weights file; None if it has none.

    Raises:
        CheckpointError: if the file cannot be read.
        RecordError: if the description breaks its schema.
    """
    text = read_metadata(file).get(METADATA_KEY)
    return None if text is None else ModelDescription.from_text(text, f"{file}, metadata")


def _of_weights(file: Path) -> tuple[ModelDescription, Path]:
    found = describe_weights(file)
    if found is None:
        raise CheckpointError(
            f"{file}: holds no description of its network (it was trained by an older version); name its result file "
            "RUN_ID.json, with this file as its weights"
        )
    return found, file


def _of_folder(folder: Path) -> tuple[ModelDescription, Path]:
    file = folder / MODEL_FILE
    if (folder / CONFIG_FILE).is_file():
        config = folder / CONFIG_FILE
        return ModelDescription.from_text(config.read_text(encoding="utf-8"), str(config)), file
    if (folder / CARD_FILE).is_file():
        return _of_card(folder), file
    return _of_weights(file)


def _of_card(folder: Path) -> ModelDescription:
    """Description of imported weights; their tasks are standard tasks."""
    card = read_card(folder)
    tasks = {
        name: TaskDescription(channels, STANDARD_TASKS[name].readout, STANDARD_TASKS[name].unit)
        for name, channels in card.tasks.items()
    }
    return ModelDescription(card.method, card.backbone, tasks, card.options, card.signs)
