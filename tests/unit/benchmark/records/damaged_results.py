"""Result files with random edits: keys removed or added, values replaced, bytes changed."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

from benchmark.records.result import RunResult, RunSpec

VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    0.0,
    10**200,
    -(10**18),
    1.7e308,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    "a" * 100_000,
    "<script>alert(1)</script>",
    "[x](http://example.org) | **b**",
    "\x1b[31mred\x07",
    "=HYPERLINK(1)",
    "../../etc/passwd",
    "two\nlines",
    "\ud800",
    [],
    {},
    [[]],
    ["a", 1],
    {"a": {"b": [None]}},
    {"": 1},
    [0] * 10_000,
]


def valid_result(seed: int = 0) -> dict[str, Any]:
    """Content of a result file with every kind of entry."""
    spec = RunSpec(
        "smoke", "mtan", "aux_heads", "resnet18", ("semseg", "depth"), seed, {"regularizer.weight": 0.1, "lr": [1, "a"]}
    )
    metrics = {
        "semseg": {"mIoU": {"value": 20.7, "unit": "%", "higher_is_better": True}},
        "depth": {"rmse@pixel": {"value": 0.6, "unit": "m", "higher_is_better": False}},
    }
    hardware = {"cpu": "a processor", "cores": 2, "threads": 1, "memory_gib": 8.0, "system": "Linux"}
    state = {"commit": "0" * 40, "dirty": False}
    provenance = {
        **state,
        "command": "python tools/train.py",
        "versions": {"python": "3.11"},
        "hardware": hardware,
        "data": {"id": "rooms", "fingerprint": "f" * 64, "frames": 3},
        "recipe_sha256": "a" * 64,
        "imports": {"own.py": "b" * 64},
        "started": "1970-01-01T00:00:00+00:00",
        "earlier_parts": [{"until": 3, "seconds": 1.5, **state}],
        "cost": {"size": [64, 64], "hardware": hardware, "runs": 3},
    }
    cost = {"train_seconds": 3.5, "gmacs": 1.0, "latency_p50_seconds_batch1": 0.1, "peak_memory_mb": None}
    return RunResult(spec, "done", metrics, cost, provenance, diagnostics={"entropy": 1.0}).to_json()


def edited_texts(number: int, seed: int = 0) -> list[bytes]:
    """Texts of result files with one to three random edits each."""
    generator = random.Random(seed)
    return [_edited(generator, index) for index in range(number)]


def _edited(generator: random.Random, index: int) -> bytes:
    content = copy.deepcopy(valid_result(index))
    for _ in range(generator.randint(1, 3)):
        _edit(generator, content)
    text = json.dumps(content).encode()
    if generator.random() < 0.15:
        position = generator.randrange(len(text))
        text = text[:position] + bytes([generator.randrange(256)]) + text[position + 1 :]
    return text[: generator.randrange(len(text))] if generator.random() < 0.05 else text


def _edit(generator: random.Random, content: Any) -> None:
    node = content
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = generator.choice(keys)
        if isinstance(node[key], (dict, list)) and node[key] and generator.random() < 0.8:
            node = node[key]
            continue
        break
    edit = generator.choice(["replace", "replace", "replace", "remove", "add"])
    if edit == "replace":
        node[key] = copy.deepcopy(generator.choice(VALUES))
    elif edit == "remove":
        del node[key]
    elif isinstance(node, dict):
        node[generator.choice(["x", "<b>", "\x1b", "a b", "type"])] = copy.deepcopy(generator.choice(VALUES))
