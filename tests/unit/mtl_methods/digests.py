"""Digests of the outputs of the methods, whose tensors are filled with numbers drawn by their names.

    python tests/unit/mtl_methods/digests.py

writes tests/reference/digests.json again, after a change that is meant to change outputs. The digests hold the variants
of methods for which no public code gives numbers. The variants with public code are compared with it in
`tests/unit/mtl_methods/published`, through the same modules.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

CHECKOUT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(CHECKOUT), str(Path(__file__).resolve().parent / "published")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from golden_models import filled, golden_images  # noqa: E402

from benchmark.registry import METHODS  # noqa: E402
from benchmark.tasks import NYUV2_TASKS  # noqa: E402

DIGESTS = CHECKOUT / "tests" / "reference" / "digests.json"
HRNET, RESNET = "hrnet_w18_small_v2", "resnet18"


class Case(NamedTuple):
    """A method with options, in eval mode or, for methods that draw no random numbers, in training mode.

    Args:
        method: registered name.
        backbone: registered name.
        options: constructor arguments.
        training: True for training mode.
    """

    method: str
    backbone: str
    options: Mapping[str, Any] = MappingProxyType({})
    training: bool = False

    def __str__(self) -> str:
        options = "".join(f" {name}={value}" for name, value in self.options.items())
        return f"{self.method} {self.backbone}{options}{' training' if self.training else ''}"


CASES = [
    Case("atrc", RESNET),
    Case("atrc_search", RESNET),
    Case("constant", RESNET),
    Case("cross_stitch", RESNET),
    Case("hard_sharing", RESNET),
    Case("invpt", RESNET),
    Case("mtan", RESNET),
    Case("mti_net", RESNET),
    Case("pad_net", RESNET),
    Case("pap", RESNET),
    Case("psd", RESNET),
    Case("single_task", RESNET),
    *(
        Case(method, RESNET, options, training=True)
        for method, options in (
            ("atrc", {"dropout": 0.0}),
            ("cross_stitch", {}),
            ("hard_sharing", {}),
            ("invpt", {}),
            ("mtan", {}),
            ("mti_net", {}),
            ("pad_net", {}),
            ("pap", {}),
            ("psd", {}),
        )
    ),
    Case("atrc", HRNET),
    Case("atrc", HRNET, {"genotype": "local"}),
    Case("atrc", HRNET, {"genotype": "s_label"}),
    Case("cross_stitch", HRNET),
    Case("cross_stitch", HRNET, {"where": "heads"}),
    Case("cross_stitch", "vit_tiny"),
    Case("hard_sharing", "resnet18_dilated", {"head": "deeplab"}),
    Case("invpt", HRNET),
    Case("invpt", "vit_tiny"),
    Case("mtan", "efficientnet_lite0"),
    Case("mtan", HRNET),
    Case("mtan", "vit_tiny"),
    Case("mti_net", HRNET, {"softmax": "tasks", "final_tasks": ["semseg", "depth"]}),
    Case("pad_net", HRNET, {"gate": "target"}),
    Case("pad_net", HRNET, {"where": "heads", "gate": "target", "final_tasks": ["semseg"]}),
    Case("pap", HRNET, {"where": "heads"}),
    Case("psd", HRNET, {"where": "heads"}),
]


@torch.no_grad()
def digest(case: Case) -> dict[str, list[float]]:
    """Standard deviation and five values of every output of a method, by name.

    The five are the corners and the centre of the last channel of the last image.
    """
    method = METHODS.create(case.method, NYUV2_TASKS, case.backbone, **case.options).train(case.training)
    state = method.state_dict()
    drawn = {name: filled(name, tuple(own.shape)) for name, own in state.items() if own.is_floating_point()}
    method.load_state_dict({**state, **drawn})
    output = method(golden_images((2, 3, 64, 96) if case.training else (1, 3, 75, 101)))
    found = {f"prediction {name}": maps for name, maps in output.predictions.items()}
    found |= {f"feature {place}": maps for place, maps in enumerate(output.features)}
    found |= {f"{part.name} {part.task}": part.prediction for part in output.auxiliary}
    return {name: [float(maps.std()), *corners_and_centre(maps)] for name, maps in found.items()}


def corners_and_centre(maps: torch.Tensor) -> list[float]:
    """Five values of the last channel of the last image."""
    last = maps[-1, -1]
    rows, columns = last.shape
    places = [(0, 0), (0, -1), (rows // 2, columns // 2), (-1, 0), (-1, -1)]
    return [float(last[row, column]) for row, column in places]


def write() -> None:
    """Write the digests of all cases, to six digits."""
    rounded = {
        str(case): {
            name: [float(np.format_float_scientific(value, 6)) for value in values] for name, values in found.items()
        }
        for case, found in ((case, digest(case)) for case in CASES)
    }
    lines = [
        f"{json.dumps(case)}: {{\n"
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in found.items())
        + "\n}"
        for case, found in rounded.items()
    ]
    DIGESTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write()
