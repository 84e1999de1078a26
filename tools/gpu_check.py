#!/usr/bin/env python
"""Check the suite on one GPU in under ten minutes, and print a table.

    python tools/gpu_check.py --store results

Every published recipe trains for a few steps in fp32 and bf16 at full size; then `compile=True`, equality with the CPU,
exact resuming, NCCL with one device, steps without synchronisation, and the speed of loading. Networks have random
weights and nothing is downloaded. `--device cpu` checks the same at a tiny size. The exit code is 0 if every check
passed, 1 if not, 2 for a wrong request.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser, check_writable, positive, refuse, shown  # noqa: E402

if TYPE_CHECKING:
    from benchmark.cost.device_check.findings import Check, Finding

WIDTHS = (30, 34, 8)


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="device (default: cuda)")
    parser.add_argument("--recipes", metavar="A,B", help="published recipes (default: all)")
    parser.add_argument("--steps", type=positive, default=10, metavar="N", help="steps of each recipe (default: 10)")
    parser.add_argument(
        "--minutes", type=positive, default=10, metavar="N", help="no check begins after this time (default: 10)"
    )
    parser.add_argument("--store", type=Path, metavar="DIR", help="also write the table to DIR/gpu_check/DEVICE.md")
    return parser.parse_args(arguments)


def chosen_recipes(text: str | None) -> list[str]:
    """Names of published recipes.

    Raises:
        ValueError: for a name that is not a published recipe.
    """
    from benchmark.cost.device_check.steps import PUBLISHED
    from benchmark.tasks import suggest
    from benchmark.training.recipe_files import recipe_names

    known = [name for name in recipe_names() if name.startswith(PUBLISHED) and not name.endswith("_lite")]
    names = [name.strip() for name in text.split(",")] if text else known
    for name in names:
        if name not in known:
            raise ValueError(f"no published recipe named {name!r}.{suggest(name, known)} Recipes: {', '.join(known)}")
    return names


def all_checks(options: argparse.Namespace, recipes: list[str], rooms: Path) -> list[tuple[str, Check]]:
    """Name and function of every check. The long list of recipes comes last."""
    from functools import partial

    from benchmark.cost.device_check.steps import Size, compiles, does_not_wait, equals_cpu, recipe_checks
    from benchmark.cost.device_check.trainings import training_checks

    size = Size(options.device, options.device == "cpu", options.steps)
    short: list[tuple[str, Check]] = [
        ("equal to the CPU", partial(equals_cpu, size)),
        ("no synchronisation in a step", partial(does_not_wait, size)),
        *training_checks(size, rooms),
        ("compile=True", partial(compiles, size)),
    ]
    return [*short, *recipe_checks(size, recipes)]


def run_checks(options: argparse.Namespace, recipes: list[str]) -> list[Finding]:
    """Print every finding as it is made."""
    from benchmark.cost.device_check.findings import COLUMNS, findings_of
    from datasets.synthetic.generate import RoomPlan, ensure

    found = []
    print_row(*COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        rooms = Path(folder, "synthetic")
        ensure(rooms, RoomPlan(train_rooms=3, test_rooms=1), workers=1)
        for row in findings_of(all_checks(options, recipes, rooms), 60.0 * options.minutes):
            found.append(row)
            print_row(row.check, row.subject, row.verdict, row.found)
    return found


def print_row(*texts: str) -> None:
    """Print texts in columns."""
    *columns, last = texts
    print("  ".join([*(text.ljust(width) for text, width in zip(columns, WIDTHS, strict=True)), last]), flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the checks. The module's docstring lists the exit codes."""
    options = parse_arguments(arguments)
    import torch

    from benchmark.cost.device_check.findings import PASSED, markdown
    from benchmark.records.atomic import write_text
    from benchmark.records.provenance import command_line

    started = time.monotonic()
    try:
        if options.store:
            check_writable(options.store)
        if options.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("torch finds no GPU; --device cpu checks the same at a tiny size")
        found = run_checks(options, chosen_recipes(options.recipes))
    except (ValueError, OSError, ImportError) as error:
        return refuse("gpu_check.py", error)
    passed = sum(row.verdict == PASSED for row in found)
    seconds = time.monotonic() - started
    print(f"{passed} of {len(found)} checks passed in {seconds / 60:.1f} minutes")
    if options.store:
        name = torch.cuda.get_device_name() if options.device == "cuda" else "cpu"
        path = options.store / "gpu_check" / f"{re.sub('[^A-Za-z0-9]+', '-', name).strip('-')}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        command = command_line(sys.argv if arguments is None else [__file__, *arguments])
        write_text(path, markdown(found, options.device, command, seconds))
        print(f"written: {shown(path)}")
    return 0 if passed == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
