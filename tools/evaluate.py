#!/usr/bin/env python
"""Score the trained weights of one cell again, on the test split of its data set.

    python tools/evaluate.py results/runs/nyuv2_lite/RUN_ID.json

reads the cell from its result file and its weights from results/work, and prints every metric beside the stored one.
With --store the new numbers replace the stored ones, as when a metric was added since.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.command_line import Parser


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("result", type=Path, help="result file of the cell, results/runs/RECIPE/RUN_ID.json")
    parser.add_argument("--weights", type=Path, help="model.safetensors (default: the cell's, below WORK)")
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: work beside runs)")
    parser.add_argument("--json", type=Path, help="write the metrics to this file too")
    parser.add_argument("--store", action="store_true", help="write the metrics into the result file")
    parser.add_argument("--import", action="append", default=[], metavar="FILE", dest="imports",
                        help="your own Python file with methods, regularizers, data sets or backbones")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Score the cell; 0 when done, 2 when it was asked for wrongly."""
    options = parse_arguments(arguments)
    from benchmark.atomic import write_text
    from benchmark.checkpoints import MODEL_FILE, CheckpointError
    from benchmark.compose import ConfigError
    from benchmark.records import RunResult
    from benchmark.registry import import_files
    from benchmark.runs import evaluate_cell, scored_again
    from benchmark.store import ResultStore

    started = time.time()
    try:
        import_files(options.imports)
        stored = RunResult.from_text(options.result.read_text(), str(options.result))
        folder = ResultStore(options.result.resolve().parents[2], options.work).work_folder(stored.spec)
        weights = options.weights or folder / MODEL_FILE
        metrics, data = evaluate_cell(stored.spec, weights, folder)
        if options.store:
            write_text(options.result, scored_again(stored, started, options.imports, metrics, data).to_text())
    except (CheckpointError, ConfigError, ValueError, OSError, ImportError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    print(f"{stored.run_id} on {data['id']}, {data['frames']} frames")
    for task, entries in metrics.items():
        for name, entry in entries.items():
            before = stored.metrics.get(task, {}).get(name, {}).get("value")
            print(f"{task + '/' + name:24s} {entry['value']:12.5f} {entry['unit']:6s} stored: {before}")
    if options.json:
        scored = {"run_id": stored.run_id, "data": data, "metrics": metrics}
        options.json.write_text(json.dumps(scored, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
