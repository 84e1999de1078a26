#!/usr/bin/env python
"""Write the file of a new method: a working stub that passes the contract tests unchanged.

    python tools/new_method.py my_method --title MyMethod --paper https://arxiv.org/abs/... --year 2026

writes mtl_methods/my_method.py and prints the next steps. With --folder, the file may be outside the checkout; give
it to the other tools and the tests by --import.
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

from torch import Tensor

from benchmark.contracts import Method, MultiTaskOutput
from benchmark.heads import task_heads, upsample_to
from benchmark.registry import METHODS
from benchmark.tasks import TaskSet
from mtl_methods._shared.backbones import make_stages


@METHODS.register("$name", title="$title", paper="$paper", year=$year)
class $class_name(Method):
    """Parts that are shared, parts that are per task, and the features that regularizers read.

    Args:
        tasks: tasks to predict.
        backbone: name known to `make_stages`.
    """

    def __init__(self, tasks: TaskSet, backbone: str) -> None:
        super().__init__(tasks, backbone)
        self.stages, specs = make_stages(backbone)
        self.feature_specs = (specs[-1],)
        self.heads = task_heads(specs[-1].channels, tasks)

    def forward(self, images: Tensor) -> MultiTaskOutput:
        """Predict every task."""
        features = images
        for stage in self.stages:
            features = stage(features)
        (features,) = self.share(features)
        size = images.shape[-2:]
        predictions = {name: upsample_to(head(features), size) for name, head in self.heads.items()}
        return MultiTaskOutput(predictions, (features,))
''')


def next_steps(path: Path, outside: str) -> str:
    """The next steps, as commands."""
    return (
        "  1. fill in its header, then make it the method\n"
        f"  2. pytest tests/contract -k {path.stem}{outside}\n"
        f"  3. python tools/run_grid.py --recipe smoke --methods {path.stem}{outside}"
    )


METHOD_STUB = Stub(
    tool="new_method.py",
    kind="method",
    example="pad_net",
    folder=CHECKOUT / "mtl_methods",
    template=STUB,
    imported=("Tensor", "Method", "MultiTaskOutput", "TaskSet"),
    next_steps=next_steps,
)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    return parse_stub_arguments(METHOD_STUB, __doc__, arguments)


def main(arguments: list[str] | None = None) -> int:
    """Write the file. Exit code 0, or 2 for wrong arguments."""
    return write_stub(METHOD_STUB, parse_arguments(arguments))


if __name__ == "__main__":
    sys.exit(main())
