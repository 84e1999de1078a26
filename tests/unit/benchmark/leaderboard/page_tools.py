"""Pages for tests: a made-up board as board.html, and its blocks unpacked."""

from __future__ import annotations

import gzip
import json
import re
from base64 import b64decode
from typing import Any

import numpy as np
from made_up_results import KINDS, board_of, make_cell, make_plan

from benchmark.leaderboard.analysis import Analysis

TASKS = ("semseg", "depth", "normals", "boundary")
MEANS = {"mIoU": 23.0, "pixAcc": 50.0, "rmse@pixel": 0.74, "mean@pixel": 27.5, "odsF@seism": 57.0}
NOISE = {"mIoU": 0.026, "pixAcc": 0.02, "rmse@pixel": 0.0165, "mean@pixel": 0.004, "odsF@seism": 0.002}
METHODS = ("single_task", "hard_sharing", "cross_stitch", "mti_net", "pad_net")
REGULARIZERS = ("none", "aux", "three_d_aware")
NAME = "<script>alert(1)</script>\"'|=cmd()$a^$"
"""A name that is markup, a formula and a broken equation."""


def made_up_board(methods: tuple[str, ...] = METHODS, seeds: int = 5, **changes: Any) -> Analysis:
    """A board with gains, losses, an incomplete row, a row without a result and a failure."""
    rng = np.random.default_rng(0)
    rows = [(method, regularizer) for method in methods for regularizer in REGULARIZERS]
    cells = []
    for index, (method, regularizer) in enumerate(rows[:-1]):
        factor = 1 + 0.02 * methods.index(method) + (0.03 if regularizer != "none" else 0)
        for seed in range(2 if index == 1 else seeds):
            values = {
                name: mean * (factor if KINDS[name][2] else 2 - factor) * (1 + NOISE[name] * rng.normal())
                for name, mean in MEANS.items()
            }
            cells.append(
                make_cell(method, regularizer, seed, values, tasks=TASKS, version=2, **_origin(index, changes))
            )
    failed = make_cell(
        *rows[-1], seeds - 1, tasks=TASKS, version=2, data={}, error="ran out of <b>memory</b> \u202e| =1+1"
    )
    return board_of(make_plan(rows, range(seeds), primary=(("three_d_aware", "none"),)), [*cells, failed])


def _origin(index: int, changes: dict[str, Any]) -> dict[str, Any]:
    return {
        "data": {"id": "d", "fingerprint": "f", "notes": ["Depth has 8 bits."]},
        "cost": {"parameters_training": 3e6, "gmacs": 0.5 + 0.1 * index, "step_memory_mb": 800.0 + 30 * index},
        "provenance": {
            "command": "python tools/train.py --spec '{\"seed\": 0}'",
            "hardware": {"cpu": "A CPU", "cores": 2},
            "cost": {"size": [120, 160], "hardware": {"cpu": "A CPU"}},
        },
        **changes,
    }


def block(page: str, name: str) -> Any:
    """The JSON of a block of a page, unpacked without the project's code."""
    (text,) = re.findall(rf'<script type="text/plain" id="{name}">([^<]*)</script>', page)
    return json.loads(gzip.decompress(b64decode(text)))


def values_of(table: dict[str, Any], field: str) -> list[Any]:
    """The values of a field of the table's block, row by row."""
    column = table["fields"][field]
    return column["numbers"] if "numbers" in column else [column["texts"][index] for index in column["index"]]
