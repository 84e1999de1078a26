#!/usr/bin/env python
"""Write the genotype of a trained atrc_search cell, for atrc.

    python tools/export_genotype.py results/runs/nyuv2_lite/RUN_ID.json --out genotype.json
    python tools/train.py --recipe nyuv2_lite --method atrc --set method.genotype=genotype.json

The cell is read from its result file, its weights from results/work.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import WRONG_USE, Parser, shown

TENSORS = ("method.architecture", "method.decided", "method.step")


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("result", type=Path, help="result file of the cell, results/runs/RECIPE/RUN_ID.json")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="genotype to write, ending in .json")
    parser.add_argument("--weights", type=Path, help="model.safetensors (default: the cell's, below WORK)")
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: work, next to runs)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Write the genotype. Exit code 0, or 2 for wrong arguments."""
    options = parse_arguments(arguments)
    from safetensors import SafetensorError, safe_open

    from benchmark.records.atomic import write_text
    from benchmark.records.store import stored_cell
    from benchmark.training.model_files import MODEL_FILE
    from mtl_methods.atrc.genotypes import to_text
    from mtl_methods.atrc.search import genotype_of

    try:
        if options.out.suffix != ".json":
            raise ValueError(f"{options.out}: a genotype file must end in .json, so that atrc reads it as a file")
        stored, folder = stored_cell(options.result, options.work)
        weights = options.weights or folder / MODEL_FILE
        with safe_open(str(weights), framework="pt") as tensors:
            if not set(TENSORS) <= set(tensors.keys()):
                raise ValueError(f"{weights}: {stored.spec.method} learns no genotype; use a cell of atrc_search")
            architecture, decided, step = (tensors.get_tensor(name) for name in TENSORS)
        genotype = genotype_of(stored.spec.tasks, architecture, decided)
        write_text(options.out, to_text(genotype, {"run_id": stored.run_id, "steps": int(step)}))
    except (ValueError, OSError, SafetensorError) as error:
        print(f"export_genotype.py: {error}", file=sys.stderr)
        return WRONG_USE
    for target, row in genotype.items():
        print(f"{target + ' from':24s}", ", ".join(f"{source} {context}" for source, context in row.items()))
    print(f"written: {shown(options.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
