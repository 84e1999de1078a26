"""The folder of a shared model: weights, config.json, and cards of the model, its metrics and its data."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmark.records.atomic import replacing, write_text
from benchmark.records.escaping import escape_markdown, escape_markdown_code
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import RunResult
from benchmark.records.validation import shortened
from benchmark.registry import METHODS
from benchmark.training.description import ModelDescription
from benchmark.training.model_files import MODEL_FILE
from benchmark.training.recipe_keys import ConfigError

CONFIG_FILE, CARD_FILE = "config.json", "README.md"
HUB_TASKS = {"class": "image-segmentation", "value": "depth-estimation"}
"""Names of tasks on the Hugging Face hub by readout; other tasks are "image-feature-extraction"."""
USE = """\
## Use

```python
import benchmark

model = benchmark.load("THIS FOLDER, or hf://owner/name")
prediction = model.predict("photo.jpg")
```
"""
METRIC_CARDS, DATA_CARDS = CHECKOUT / "benchmark" / "metrics" / "CARDS.md", CHECKOUT / "datasets" / "CARDS.md"


def write_model_folder(
    folder: Path, weights: Path, description: ModelDescription, result: RunResult | None
) -> list[Path]:
    """Write the folder; the weights are copied byte by byte.

    Args:
        folder: folder, made if missing.
        weights: file of the weights.
        description: description of the network.
        result: result of the cell, for its numbers; None without one.

    Returns:
        the written files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / MODEL_FILE) as temporary:
        shutil.copyfile(weights, temporary)
    texts = {
        CONFIG_FILE: json.dumps({"library": "dense-mtl-benchmark", **asdict(description)}, indent=2) + "\n",
        CARD_FILE: card_text(description, result),
    }
    if METRIC_CARDS.is_file():
        texts["METRICS.md"] = METRIC_CARDS.read_text(encoding="utf-8")
    if data := data_card(description):
        texts["DATA.md"] = data
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / MODEL_FILE, *(folder / name for name in texts)]


def data_card(description: ModelDescription) -> str:
    """Card of the data set of a model, from the generated data cards; empty if it has none."""
    if not DATA_CARDS.is_file():
        return ""
    sections = re.split(r"^(?=## )", DATA_CARDS.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    named = {match[1]: text for text in sections if (match := re.match(r"## .*\(`([^`]+)`\)", text))}
    name = max((name for name in named if description.data.startswith(name)), key=len, default="")
    return f"# Data\n\nPrepared copy: {escape_markdown_code(description.data)}\n\n{named[name]}" if name else ""


def card_text(description: ModelDescription, result: RunResult | None) -> str:
    """Model card with its `model-index`, as the Hugging Face hub reads it."""
    from huggingface_hub import ModelCardData

    entry = METHODS.entry(description.method)
    name = f"{description.method}-{description.recipe or 'imported'}"
    data = ModelCardData(
        library_name="dense-mtl-benchmark",
        license="apache-2.0" if description.data.startswith("synthetic") else "other",
        tags=["multi-task-learning", "dense-prediction", *description.tasks],
        model_name=name,
        eval_results=eval_results(description, result) if result is not None else None,
    )
    parts = [
        f"---\n{data.to_yaml()}\n---\n",
        f"# {escape_markdown(entry.title)}, {escape_markdown(', '.join(description.tasks))}\n",
        facts(description, result, f"[{escape_markdown(entry.title)}]({entry.paper})"),
        USE,
    ]
    if result is not None:
        parts.append(f"## Numbers\n\n{numbers_table(result.metrics)}\nDefinitions: METRICS.md; data: DATA.md.\n")
    return "\n".join(parts)


def facts(description: ModelDescription, result: RunResult | None, method: str) -> str:
    """Table of the parts of the model, its training and its data."""
    size = description.input_size
    origin = result.provenance if result is not None else {}
    rows = {
        "Method": f"{method} ({escape_markdown_code(description.method)})",
        "Regularizer": escape_markdown_code(result.spec.regularizer) if result else "unknown",
        "Backbone": escape_markdown_code(description.backbone),
        "Tasks": escape_markdown(", ".join(f"{name} ({task.unit})" for name, task in description.tasks.items())),
        "Images": f"evaluated at {size[0]}x{size[1]}" if size else "evaluated at full size",
        "Recipe, seed": escape_markdown(f"{description.recipe}, {result.spec.seed}") if result else "unknown",
        "Data": escape_markdown_code(description.data or "unknown"),
        "Run": escape_markdown_code(description.run_id or "imported"),
        "Commit": escape_markdown(str(origin.get("commit") or "unknown")),
    }
    return "| | |\n| --- | --- |\n" + "".join(f"| {name} | {text} |\n" for name, text in rows.items())


def numbers_table(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """Table of all metrics."""
    lines = ["| metric | value | unit | better |", "| --- | --- | --- | --- |"]
    for task, entries in metrics.items():
        for name, entry in entries.items():
            better = "higher" if entry["higher_is_better"] else "lower"
            label = escape_markdown_code(f"{task}/{name}")
            lines.append(f"| {label} | {entry['value']:.4g} | {escape_markdown(entry['unit'])} | {better} |")
    return "\n".join(lines) + "\n"


def eval_results(description: ModelDescription, result: RunResult) -> list[Any]:
    """The numbers of a result as the hub lists them."""
    from huggingface_hub import EvalResult

    dataset = description.data or "unknown"
    return [
        EvalResult(
            task_type=HUB_TASKS.get(description.tasks[task].readout, "image-feature-extraction"),
            task_name=task,
            dataset_type=re.sub(r"[^A-Za-z0-9._-]", "-", dataset),
            dataset_name=dataset,
            # The hub joins the numbers of equal task types and configurations.
            dataset_config=task,
            dataset_split=result.spec.split,
            metric_type=name,
            metric_name=f"{task}/{name} ({entry['unit']})",
            metric_value=entry["value"],
        )
        for task, entries in result.metrics.items()
        if task in description.tasks
        for name, entry in entries.items()
    ]


def push(folder: Path, repository: str, private: bool) -> str:
    """Upload a folder to the Hugging Face hub; returns its address.

    Raises:
        ConfigError: if the upload fails; in one line.
    """
    import huggingface_hub

    try:
        api = huggingface_hub.HfApi()
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(folder_path=str(folder), repo_id=repository, commit_message="Add the model"))
    except Exception as error:
        # The client of the hub raises the errors of its HTTP library.
        raise ConfigError(f"--push {repository}: {type(error).__name__}: {shortened(error)}") from error
