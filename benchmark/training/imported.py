"""Evaluation of weights from public code, on any prepared data set under the protocol of a recipe.

`tools/import_checkpoint.py` writes a folder with the weights and card.json, which describes the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator
from pydantic.dataclasses import dataclass
from torch import nn

from benchmark.contracts import MultiTaskOutput
from benchmark.records.result import RunSpec
from benchmark.records.validation import (
    CONFIG,
    Json,
    Name,
    Number,
    RecordError,
    one_line_errors,
    parse_json,
    read_from,
    validated,
)
from benchmark.training.builders import tasks_of_cell
from benchmark.training.cell import Metrics, evaluate_cell
from benchmark.training.compose import check_spec
from benchmark.training.model_files import MODEL_FILE
from benchmark.training.recipe_files import load_recipe
from benchmark.training.recipe_keys import ConfigError

CARD_FILE = "card.json"


@one_line_errors
@dataclass(frozen=True, config={**CONFIG, "extra": "ignore"})
class ImportedCard:
    """Network of imported weights; further entries of card.json are for readers.

    Args:
        method: registered name.
        backbone: registered name with its weights.
        tasks: channels of the prediction by task, in the order of the network.
        options: constructor arguments of the method.
        signs: by task, factor of each channel of the prediction, to convert the axes of the public code to this
            suite's.
    """

    method: Name
    backbone: Name
    tasks: dict[Name, Annotated[int, Field(strict=True, ge=1)]]
    options: dict[Name, Json] = Field(default_factory=dict)
    signs: dict[Name, tuple[Number, ...]] = Field(default_factory=dict)

    @field_validator("signs")
    @classmethod
    def _one_per_channel(
        cls, signs: dict[str, tuple[float, ...]], info: ValidationInfo
    ) -> dict[str, tuple[float, ...]]:
        if any(len(factors) != info.data.get("tasks", {}).get(task) for task, factors in signs.items()):
            raise ValueError("one number for each channel of a task")
        return signs


def read_card(folder: Path) -> ImportedCard:
    """Read the card of a folder of imported weights.

    Raises:
        RecordError: if the file is missing or breaks the schema; one line with the path.
    """
    path = folder / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file; tools/import_checkpoint.py makes it") from None
    with read_from(str(path)):
        return validated(ImportedCard, parse_json(text))


def spec_of(card: ImportedCard, recipe: str, overrides: Mapping[str, Any]) -> RunSpec:
    """The cell of an imported network under a recipe.

    Raises:
        ConfigError: if the recipe lacks one of its tasks, or its data have another number of classes.
    """
    chosen = {**overrides, **{f"method.{name}": value for name, value in card.options.items()}}
    spec = RunSpec(recipe, card.method, "none", card.backbone, tuple(card.tasks), 0, chosen)
    check_spec(spec)
    settings = load_recipe(recipe, chosen)
    tasks = tasks_of_cell(settings, spec)
    for name, channels in card.tasks.items():
        if tasks[name].channels != channels:
            raise ConfigError(
                f"the imported network predicts {channels} channels of {name}, recipe {recipe} on {settings.dataset} "
                f"has {tasks[name].channels}; use a recipe on data with the same classes"
            )
    return spec


def evaluate_imported(
    folder: Path, recipe: str, overrides: Mapping[str, Any], work: Path
) -> tuple[Metrics, dict[str, Any]]:
    """Score imported weights on the test split of a recipe's data set.

    Args:
        folder: folder from `tools/import_checkpoint.py`.
        recipe: the protocol; its training settings are not used.
        overrides: settings of the recipe that differ.
        work: folder for the log.

    Returns:
        The metrics by task, and the provenance of the data.

    Raises:
        RecordError, ConfigError, CheckpointError: if card, recipe or weights do not fit.
    """
    card = read_card(folder)
    spec = spec_of(card, recipe, overrides)
    return evaluate_cell(spec, folder / MODEL_FILE, work, lambda method: turn_axes(method, card.signs))


def turn_axes(method: nn.Module, signs: Mapping[str, tuple[float, ...]]) -> None:
    """Convert the predictions of a method to the axes of this suite, by a hook.

    Args:
        method: the imported method.
        signs: see `ImportedCard`.
    """

    def converted(_module: nn.Module, _images: Any, output: MultiTaskOutput) -> MultiTaskOutput:
        predictions = dict(output.predictions)
        for name, factors in signs.items():
            predictions[name] = predictions[name] * predictions[name].new_tensor(factors).view(-1, 1, 1)
        return replace(output, predictions=predictions)

    method.register_forward_hook(converted)
