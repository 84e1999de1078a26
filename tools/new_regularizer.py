#!/usr/bin/env python
"""Write the file of a new regularizer: a working stub that passes the contract tests unchanged.

    python tools/new_regularizer.py my_regularizer --title MyRegularizer --paper https://arxiv.org/abs/... --year 2026

writes regularizers/my_regularizer.py and prints the next steps. With --folder, the file may be outside the checkout;
give it to the other tools and the tests by --import.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from string import Template

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.stub_files import Stub, parse_stub_arguments, write_stub  # noqa: E402

STUB = Template('''\
"""$title: one sentence on the idea.

Source: Author et al., "Title", VENUE $year, $paper
Differs from the paper: nothing, or each point with its reason.
Consulted: released code at <link>, commit <hash>, licence <name>; nothing copied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmark.contracts import Batch, FeatureSpec, MultiTaskOutput, Regularizer
from benchmark.registry import REGULARIZERS
from benchmark.tasks import TaskSet


@REGULARIZERS.register("$name", title="$title", paper="$paper", year=$year)
class $class_name(Regularizer):
    """Mean square of the shared features.

    Args:
        tasks: tasks of the run.
        feature_specs: feature maps of the method.
        weight: factor of the term.
    """

    def __init__(self, tasks: TaskSet, feature_specs: tuple[FeatureSpec, ...], weight: float = 0.01) -> None:
        super().__init__(tasks, feature_specs, weight)

    def forward(self, batch: Batch, output: MultiTaskOutput) -> dict[str, Tensor]:
        """One term; `output.task_losses` has the loss of every task, with its graph."""
        squares = [level.square().mean() for level in output.features]
        return {"$name": self.weight * torch.stack(squares).mean()}
''')


def next_steps(path: Path, outside: str) -> str:
    """The next steps, as commands."""
    return (
        "  1. fill in its header, then make it the regularizer\n"
        f"  2. pytest tests/contract -k {path.stem}{outside}\n"
        f"  3. python tools/run_grid.py --recipe smoke --methods hard_sharing --regularizers none,{path.stem}{outside}"
    )


REGULARIZER_STUB = Stub(
    tool="new_regularizer.py",
    kind="regularizer",
    example="feature_dropout",
    folder=CHECKOUT / "regularizers",
    template=STUB,
    imported=("Tensor", "Batch", "FeatureSpec", "MultiTaskOutput", "Regularizer", "TaskSet"),
    next_steps=next_steps,
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    return parse_stub_arguments(REGULARIZER_STUB, __doc__, arguments)


def main(arguments: list[str] | None = None) -> int:
    """Write the file. Exit code 0, or 2 for wrong arguments."""
    return write_stub(REGULARIZER_STUB, parse_arguments(arguments))


if __name__ == "__main__":
    sys.exit(main())
