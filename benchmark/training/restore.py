"""Model, regularizer and data of a trained cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from benchmark.records.result import RunSpec
from benchmark.training.builders import build_split, build_training_module
from benchmark.training.compose import compose
from benchmark.training.model import TrainingModule
from benchmark.training.model_files import MODEL_FILE, REGULARIZER_FILE, CheckpointError, load_model


def trained_module(spec: RunSpec, folder: Path) -> TrainingModule:
    """Model and regularizer of a cell with their final weights, in eval mode.

    Args:
        spec: the cell.
        folder: its work folder.

    Raises:
        CheckpointError: if weights are missing or do not fit.
    """
    settings = dict(compose(spec, folder).model)
    del settings["type"]
    # Compilation takes longer than the few forward passes of a restored model.
    module = build_training_module(**{**settings, "compile_options": None})
    load_model(module.model, folder / MODEL_FILE)
    if module.regularizer is not None and module.regularizer.state_dict():
        weights = folder / REGULARIZER_FILE
        if not weights.is_file():
            raise CheckpointError(
                f"{weights}: no such file: the cell was trained by a version without saved regularizers; delete its "
                "result and train it again"
            )
        load_model(module.regularizer, weights)
    return module.eval()


def unaugmented_split(spec: RunSpec, folder: Path, split: str) -> Dataset[Any]:
    """A split of a cell's data with the test split's padding as the only augmentation.

    Raises:
        ValueError: if the data set has no such split.
    """
    settings = dict(compose(spec, folder).test_dataloader.dataset)
    del settings["type"]
    return build_split(**{**settings, "split": split})
