#!/usr/bin/env python
"""Score folders of predicted boundary maps: odsF, oisF, AP, and the curve of precision over recall.

    python tools/evaluate_boundaries.py --pred DIR --gt DIR --protocol seism

pairs .png, .npy and .mat files by name. A prediction is an 8-bit map 0..255, or floats 0..1. Ground truth is a map of
boundaries or of segments, or the groundTruth of BSDS500 with all its annotators. Maps are never resized.

    seism   reported by papers on multi-task learning: non-maximum suppression, 101 thresholds, the best F among them.
            Ground truth is read as segments, whose thinned outlines are the boundaries, also for a drawn map.
            --max-dist 0.011 for NYUD-v2 (default), 0.0075 for PASCAL-Context.
    bsds    reported by papers on boundary detection: 99 thresholds, the best F between them. Ground truth is the drawn
            boundaries. Apply non-maximum suppression to the predictions before.

The name of every number has its protocol, and its ground truth if changed by --gt-variant: odsF@seism-direct.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmark.boundaries.protocols import PROTOCOLS, Protocol, evenly_spaced
from tools.command_line import WRONG_USE, Parser, positive

if TYPE_CHECKING:
    from benchmark.boundaries.counting import Counts
    from benchmark.boundaries.folders import Counted, Pair
    from benchmark.boundaries.summary import Summary

STOPPED = 130


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = Parser(__doc__)
    parser.add_argument("--pred", type=Path, required=True, metavar="DIR", help="predicted maps")
    parser.add_argument("--gt", type=Path, required=True, metavar="DIR", help="ground truth with the same file names")
    parser.add_argument("--protocol", choices=PROTOCOLS, required=True, help="evaluation protocol")
    parser.add_argument(
        "--gt-variant",
        choices=("seism", "direct"),
        help="outlines of segments, thinned, or boundaries as drawn (default: the protocol's)",
    )
    parser.add_argument(
        "--max-dist",
        type=share,
        metavar="SHARE",
        help="largest distance of a match in image diagonals (default: 0.011 seism, 0.0075 bsds)",
    )
    parser.add_argument(
        "--thresholds", type=positive, metavar="N", help="N evenly spaced thresholds in place of the protocol's"
    )
    parser.add_argument("--no-nms", action="store_true", help="seism: the maps are already suppressed")
    parser.add_argument(
        "--workers",
        type=positive,
        default=cores(),
        metavar="N",
        help="processes; numbers do not depend on it (default: one per core, %(default)s)",
    )
    parser.add_argument(
        "--counts",
        type=Path,
        metavar="FILE.npz",
        help="write cntR, sumR, cntP, sumP per image and threshold, with names and thresholds",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers and the curve")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the curve")
    return parser.parse_args(arguments)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(text: str) -> float:
    """A number in 0..1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"is a share of the image diagonal, 0..1; found {text}")
    return number


def chosen_protocol(options: argparse.Namespace) -> Protocol:
    """The protocol with the changes of the command line."""
    from dataclasses import replace

    changes: dict[str, Any] = {
        "ground_truth": options.gt_variant,
        "max_distance": options.max_dist,
        "thresholds": evenly_spaced(options.thresholds) if options.thresholds else None,
        "suppressed": False if options.no_nms else None,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(PROTOCOLS[options.protocol], **given)


def main(arguments: list[str] | None = None) -> int:
    """Score the folders. Exit code 0, 2 if a file cannot be scored, 130 after Ctrl-C."""
    options = parse_arguments(arguments)
    protocol = chosen_protocol(options)
    from benchmark.boundaries.formats.content import DataError

    try:
        check_outputs(options)
        names, counts, doubts = count(options, protocol)
        from benchmark.boundaries.summary import summarise

        summary = summarise(counts, protocol)
        write(options, protocol, names, counts, summary, doubts)
    except (DataError, OSError) as error:
        print(f"evaluate_boundaries.py: {error}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("evaluate_boundaries.py: stopped", file=sys.stderr)
        return STOPPED
    for doubt in doubts:
        print(f"evaluate_boundaries.py: warning: {doubt}", file=sys.stderr)
    print("\n".join(report(summary, protocol, len(names))))
    return 0


def check_outputs(options: argparse.Namespace) -> None:
    """Check before the evaluation that the output files can be written.

    Raises:
        OSError: if a folder is missing.
        DataError: if matplotlib has no format for the ending of the plot.
    """
    for path in (options.counts, options.json, options.plot):
        if path and not path.absolute().parent.is_dir():
            raise FileNotFoundError(f"{path}: no such folder: {path.absolute().parent}")
    if options.plot:
        from matplotlib.figure import Figure

        known = Figure().canvas.get_supported_filetypes()
        if options.plot.suffix[1:].lower() not in known:
            from benchmark.boundaries.formats.content import DataError

            raise DataError(
                f"{options.plot}: cannot draw this kind of file; end it in one of {', '.join(sorted(known))}"
            )


def count(options: argparse.Namespace, protocol: Protocol) -> tuple[list[str], Counts, list[str]]:
    """Names and counts of all images, and the warnings that hold for more than half of the images."""
    import numpy as np

    from benchmark.boundaries.folders import pairs_of
    from benchmark.boundaries.plausibility import common_doubts

    pairs = pairs_of(options.pred, options.gt)
    counted = list(track(pairs, protocol, options.workers))
    doubts = common_doubts(image.doubts for image in counted)
    return [pair.name for pair in pairs], np.stack([image.counts for image in counted]), doubts


def track(pairs: list[Pair], protocol: Protocol, workers: int) -> Iterator[Counted]:
    """Count with a progress bar."""
    from rich.console import Console
    from rich.progress import track as progress

    from benchmark.boundaries.folders import count_pairs

    console = Console(stderr=True)
    counted = count_pairs(pairs, protocol, workers)
    yield from progress(counted, description="matching boundaries", total=len(pairs), console=console)


def write(
    options: argparse.Namespace,
    protocol: Protocol,
    names: list[str],
    counts: Counts,
    summary: Summary,
    doubts: list[str],
) -> None:
    """Write the requested files."""
    if options.counts:
        import numpy as np

        with options.counts.open("wb") as file:
            columns = dict(zip(("cntR", "sumR", "cntP", "sumP"), np.moveaxis(counts, -1, 0), strict=True))
            np.savez_compressed(file, names=np.array(names), thresholds=np.array(protocol.thresholds), **columns)
    if options.json:
        import json

        options.json.write_text(
            json.dumps(described(summary, protocol, len(names)) | {"warnings": doubts}, indent=2) + "\n"
        )
    if options.plot:
        from benchmark.boundaries.plot import plot_curve

        plot_curve(summary, f"{protocol.label}, {len(names)} images", options.plot)


def described(summary: Summary, protocol: Protocol, images: int) -> dict[str, Any]:
    """Numbers, not rounded, and settings as JSON values."""
    from dataclasses import asdict

    ods, ois = summary.ods, summary.ois
    recall, precision, f = (column.tolist() for column in summary.curve.T)
    return {
        "protocol": asdict(protocol) | {"label": protocol.label},
        "images": images,
        "metrics": {
            name: {"value": value, "unit": "%", "higher_is_better": True}
            for name, value in metrics(summary, protocol).items()
        },
        "ods": asdict(ods),
        "ois": {"recall": ois.recall, "precision": ois.precision, "f": ois.f},
        "curve": {"thresholds": list(protocol.thresholds), "recall": recall, "precision": precision, "f": f},
    }


def metrics(summary: Summary, protocol: Protocol) -> dict[str, float]:
    """odsF, oisF and AP in percent, by name with the protocol."""
    values = {"odsF": summary.ods.f, "oisF": summary.ois.f, "ap": summary.ap}
    return {f"{name}@{protocol.label}": 100 * value for name, value in values.items()}


def report(summary: Summary, protocol: Protocol, images: int) -> Iterator[str]:
    """Lines of the printed report."""
    yield f"{images} images, {protocol.label}, max. distance {protocol.max_distance:g} of the diagonal"
    details = {
        "odsF": f"threshold {summary.ods.threshold:.3f}  recall {summary.ods.recall:.4f}"
        f"  precision {summary.ods.precision:.4f}",
        "oisF": f"a threshold per image  recall {summary.ois.recall:.4f}  precision {summary.ois.precision:.4f}",
    }
    for name, value in metrics(summary, protocol).items():
        yield f"{name:20s} {value:7.3f} %  {details.get(name.partition('@')[0], '')}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
