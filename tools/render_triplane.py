#!/usr/bin/env python
"""Draw the renderings of the 3D-aware regularizer of a trained cell.

    python tools/render_triplane.py results/runs/nyuv2_lite/RUN_ID.json --frames 0 5 9

The tool reads the cell from its result file and its weights from results/work. For each frame it writes NAME.png
(image, labels, predictions of the heads, rendered predictions), NAME_slices.png (ray weights at several depths, mean
depth and entropy) and NAME_orbit.gif (depth and classes in views of a moving camera).
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, refuse, shown

if TYPE_CHECKING:
    from benchmark.records.result import RunResult
    from benchmark.training.model import TrainingModule


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("result", type=Path, help="result file of the cell, results/runs/RECIPE/RUN_ID.json")
    parser.add_argument("--recipe", metavar="FILE", help="your own recipe, if the result names it; it is run as code")
    parser.add_argument("--split", default="test", help="split of the data set (default: test)")
    parser.add_argument("--frames", type=int, nargs="+", default=[0], metavar="N", help="frames, counted from 0")
    parser.add_argument("--out", type=Path, metavar="DIR", help="output folder (default: triplane, below WORK)")
    parser.add_argument("--work", type=Path, help="folder of logs and checkpoints (default: work, next to runs)")
    parser.add_argument(
        "--swing",
        type=float,
        default=0.3,
        metavar="METRES",
        help="largest offset of the moving camera to either side (default: 0.3)",
    )
    parser.add_argument(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="your own Python file with methods, regularizers, data sets or backbones",
    )
    options = parser.parse_args(arguments)
    if not 0 < options.swing < math.inf:
        parser.error(f"--swing takes metres above 0, found {options.swing:g}")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Draw the frames. Exit code 0, or 2 for wrong arguments."""
    options = parse_arguments(arguments)
    from benchmark.registry import import_files
    from benchmark.training.model_files import CheckpointError
    from benchmark.training.recipe_keys import ConfigError

    try:
        import_files(options.imports)
        draw_cell(options)
    except (CheckpointError, ConfigError, ValueError, OSError, ImportError, KeyError) as error:
        return refuse("render_triplane.py", error)
    return 0


def draw_cell(options: argparse.Namespace) -> None:
    """Draw the frames of a cell.

    Raises:
        ValueError: if the regularizer of the cell has no triplane, or the split has no frame of a given number.
    """
    from benchmark.records.store import stored_cell
    from benchmark.training.restore import trained_module, unaugmented_split
    from benchmark.training.trust import trusted_spec

    stored, folder = stored_cell(options.result, options.work)
    check_regularizer(stored)
    spec = trusted_spec(stored, options.recipe)
    module = trained_module(spec, folder)
    split: Any = unaugmented_split(spec, folder, options.split)
    for frame in options.frames:
        if not 0 <= frame < len(split):
            raise ValueError(f"--frames {frame}: the {options.split} split has frames 0 to {len(split) - 1}")
    out = options.out or folder / "triplane"
    out.mkdir(parents=True, exist_ok=True)
    if no_novel_views(module, split[options.frames[0]]):
        print(
            "render_triplane.py: no orbit: novel views need metric rays and the intrinsics of the camera",
            file=sys.stderr,
        )
    for frame in options.frames:
        draw_frame(module, split[frame], out, options.swing)


def check_regularizer(stored: RunResult) -> None:
    """Refuse a cell without a triplane.

    Raises:
        ValueError: if its regularizer is not derived from `three_d_aware`.
    """
    from benchmark.registry import REGULARIZERS
    from regularizers.three_d_aware.regularizer import ThreeDAware

    def has_triplane(name: str) -> bool:
        factory = REGULARIZERS.entry(name).factory
        return isinstance(factory, type) and issubclass(factory, ThreeDAware)

    if not has_triplane(stored.spec.regularizer):
        known = ", ".join(name for name in REGULARIZERS.names() if has_triplane(name))
        raise ValueError(f"{stored.run_id}: {stored.spec.regularizer} has no triplane; cells of {known} do")


def no_novel_views(module: TrainingModule, item: dict[str, Any]) -> bool:
    """True if other views cannot be rendered: lengths are not metres, or the intrinsics are unknown."""
    regularizer: Any = module.regularizer
    return regularizer.sampler.metric is False or "intrinsics" not in item


def draw_frame(module: TrainingModule, item: dict[str, Any], out: Path, swing: float) -> None:
    """Write the pictures of one frame and print their paths."""
    import torch
    from torch.utils.data import default_collate

    from benchmark.contracts import IMAGENET_MEAN, IMAGENET_STD
    from benchmark.records.result import safe_name
    from benchmark.visualization.triplane_figures import panel, slices, write_orbit
    from regularizers.three_d_aware.inspection import camera_arc, novel_views, render_image
    from regularizers.three_d_aware.regularizer import source_camera

    batch = default_collate([item])
    regularizer: Any = module.regularizer
    image = (
        (item["images"].permute(1, 2, 0) * torch.tensor(IMAGENET_STD) + torch.tensor(IMAGENET_MEAN)).clamp(0, 1).numpy()
    )
    path = out / safe_name(str(item["name"]))
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        # `shuffled_depth` has a random order of samples, which must be equal in all pictures.
        torch.manual_seed(0)
        output = module.model.method(batch["images"])
        planes = regularizer.triplanes(batch, output.features)
        view = render_image(image, batch, output, planes, regularizer)
        camera = None if no_novel_views(module, item) else source_camera(batch, view.depth)
        poses = [] if camera is None else camera_arc(swing, float(view.depth.median()))
        for suffix, figure in {".png": panel(view), "_slices.png": slices(view)}.items():
            figure.savefig(f"{path}{suffix}")
            print(f"written: {shown(Path(f'{path}{suffix}'))}")
        if camera is not None:
            orbit = Path(f"{path}_orbit.gif")
            write_orbit(view, novel_views(regularizer, planes, camera, poses), orbit)
            print(f"written: {shown(orbit)}")


if __name__ == "__main__":
    sys.exit(main())
