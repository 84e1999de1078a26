"""Weights that were imported from public code, scored on any prepared data set under the protocol of a recipe.

`tools/import_checkpoint.py` writes a folder with the weights and card.json, which says what network they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import nn

from benchmark.contracts import MultiTaskOutput
from benchmark.records.result import RunSpec
from benchmark.records.strict_json import (
    RecordError,
    expect_mapping,
    expect_name,
    is_number,
    member,
    parse_json,
    read_from,
    refuse,
)
from benchmark.training.builders import tasks_of
from benchmark.training.cell import Metrics, evaluate_cell
from benchmark.training.compose import ConfigError, check_spec, data_root, load_recipe
from benchmark.training.model_files import MODEL_FILE

CARD_FILE = "card.json"


@dataclass(frozen=True)
class ImportedCard:
    """What network imported weights belong to.

    Args:
        method: registered name.
        backbone: registered name with its weights.
        tasks: channels of the prediction by task, in the order of the network.
        options: constructor arguments of the method.
        signs: by task, factor of each channel of the prediction that turns the axes of the public code into ours.
    """

    method: str
    backbone: str
    tasks: Mapping[str, int]
    options: Mapping[str, Any] = field(default_factory=dict)
    signs: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


def read_card(folder: Path) -> ImportedCard:
    """The card of a folder of imported weights.

    Raises:
        RecordError: if there is none, or it is none that this checkout reads; in one line that names the file.
    """
    path = folder / CARD_FILE
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise RecordError(f"{path}: no such file; tools/import_checkpoint.py makes it") from None
    with read_from(str(path)):
        return _card_from(parse_json(text))


def _card_from(data: Any) -> ImportedCard:
    expect_mapping(data, "card")
    method, backbone, tasks = (member(data, key, key) for key in ("method", "backbone", "tasks"))
    options, signs = data.get("options", {}), data.get("signs", {})
    for key, value in {"method": method, "backbone": backbone}.items():
        expect_name(value, key)
    for key, value in {"tasks": tasks, "options": options, "signs": signs}.items():
        expect_mapping(value, key)
    for name, channels in tasks.items():
        if not isinstance(channels, int) or isinstance(channels, bool) or channels < 1:
            refuse(f"tasks.{name}", channels, "a number of channels")
    for name, factors in signs.items():
        if not isinstance(factors, list) or not all(map(is_number, factors)) or len(factors) != tasks.get(name):
            refuse(f"signs.{name}", factors, "one number for each channel of the task")
    return ImportedCard(method, backbone, tasks, options, {name: tuple(value) for name, value in signs.items()})


def spec_of(card: ImportedCard, recipe: str, overrides: Mapping[str, Any]) -> RunSpec:
    """The cell that the imported network would be under a recipe.

    Raises:
        ConfigError: if the recipe lacks one of its tasks, or its data have another number of classes.
    """
    chosen = {**overrides, **{f"method.{name}": value for name, value in card.options.items()}}
    spec = RunSpec(recipe, card.method, "none", card.backbone, tuple(card.tasks), 0, chosen)
    check_spec(spec)
    settings = load_recipe(recipe, chosen)
    tasks = tasks_of(settings.dataset, {name: settings.tasks[name] for name in spec.tasks}, data_root(settings))
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
        folder: what `tools/import_checkpoint.py` wrote.
        recipe: the protocol; its training settings are not used.
        overrides: settings of the recipe that differ.
        work: folder for the log.

    Returns:
        The metrics by task, and what is known of the data.

    Raises:
        RecordError, ConfigError, CheckpointError: if card, recipe or weights do not fit.
    """
    card = read_card(folder)
    spec = spec_of(card, recipe, overrides)
    return evaluate_cell(spec, folder / MODEL_FILE, work, lambda method: turn_axes(method, card.signs))


def turn_axes(method: nn.Module, signs: Mapping[str, tuple[float, ...]]) -> None:
    """Let a method predict in our axes.

    Args:
        method: the imported method.
        signs: see `ImportedCard`.
    """

    def turned(_module: nn.Module, _images: Any, output: MultiTaskOutput) -> MultiTaskOutput:
        predictions = dict(output.predictions)
        for name, factors in signs.items():
            predictions[name] = predictions[name] * predictions[name].new_tensor(factors).view(-1, 1, 1)
        return replace(output, predictions=predictions)

    method.register_forward_hook(turned)
