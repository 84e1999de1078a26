#!/usr/bin/env python
"""Predict all tasks for your own pictures and videos with a trained model.

    python tools/predict.py --run results/runs/nyuv2_lite/RUN_ID.json photo.jpg folder/ clip.mp4 --out predictions

A run is a result file, a folder that tools/export.py or tools/import_checkpoint.py wrote, a model.safetensors, or
hf://owner/name. Each picture (PNG or JPEG, of any size) becomes NAME.png, a panel of the picture and its predictions,
and NAME.npz with the arrays at the size of the picture. A video becomes NAME.mp4 of panels. A file that cannot be read
is named, and the others are done. The exit code is 0, 1 if a file could not be read, 2 for a wrong request.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.command_line import Parser, add_model_options, image_size, positive, refuse, shown

if TYPE_CHECKING:
    from benchmark.inference.model import Prediction, TrainedModel


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("inputs", type=Path, nargs="+", metavar="INPUT", help="picture, video, or folder of them")
    add_model_options(parser)
    parser.add_argument(
        "--out", type=Path, default=Path("predictions"), metavar="DIR", help="output folder (default: predictions)"
    )
    parser.add_argument("--batch-size", type=positive, default=4, metavar="N", help="pictures at a time (default: 4)")
    parser.add_argument(
        "--size",
        type=image_size,
        metavar="HxW",
        help="size whose area pictures are scaled to for the network (default: the size that it was evaluated at)",
    )
    parser.add_argument(
        "--every", type=positive, default=1, metavar="N", help="every n-th frame of a video (default: 1)"
    )
    parser.add_argument("--no-panels", action="store_true", help="write the arrays alone")
    parser.add_argument("--no-arrays", action="store_true", help="write the panels alone")
    options = parser.parse_args(arguments)
    if options.no_panels and options.no_arrays:
        parser.error("--no-panels and --no-arrays leave nothing to write")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Predict. Exit code 0, 1 if a file could not be read, or 2 for a wrong request."""
    options = parse_arguments(arguments)
    from benchmark.inference.pictures import files_of, is_video
    from tools.command_line import check_writable, load_model_of

    unread: list[str] = []
    files: list[Path] = []
    for path in options.inputs:
        try:
            files += files_of(path)
        except ValueError as error:
            unread.append(complain(error))
    try:
        check_writable(options.out)
        model = load_model_of(options)
    except (ValueError, OSError, ImportError, KeyError, RuntimeError) as error:
        return refuse("predict.py", error)
    options.out.mkdir(parents=True, exist_ok=True)
    names = Names()
    count = predict_pictures(model, [file for file in files if not is_video(file)], names, options, unread)
    for file in filter(is_video, files):
        try:
            count += predict_video(model, file, options.out / names.of(file), options)
        except ValueError as error:
            unread.append(complain(error))
    print(f"{count} pictures predicted, {len(unread)} not readable; written below {shown(options.out)}")
    return 1 if unread else 0


class Names:
    """Output names of input files, all different."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def of(self, file: Path) -> str:
        """The stem of the file, with its ending or a number added where it is taken."""
        from benchmark.records.result import safe_name

        candidates = [safe_name(file.stem), safe_name(file.name.replace(".", "_"))]
        candidates += [f"{candidates[0]}_{number}" for number in range(2, len(self.taken) + 3)]
        name = next(name for name in candidates if name not in self.taken)
        self.taken.add(name)
        return name


def complain(error: Exception) -> str:
    """Print an error as one line on standard error, and return it."""
    refuse("predict.py", error)
    return str(error)


def predict_pictures(
    model: TrainedModel, files: list[Path], names: Names, options: argparse.Namespace, unread: list[str]
) -> int:
    """Predict pictures and write their files; returns the number of predicted pictures."""
    read: deque[str] = deque()
    count = 0
    with progress(len(files)) as advance:

        def readable() -> Iterator[Any]:
            from benchmark.inference.pictures import read_picture

            for file in files:
                try:
                    pixels = read_picture(file)
                except ValueError as error:
                    unread.append(complain(error))
                    advance()
                    continue
                read.append(names.of(file))
                yield pixels

        for prediction in model.predictions(readable(), options.size, options.batch_size):
            write(prediction, options.out / read.popleft(), options)
            count += 1
            advance()
    return count


def write(prediction: Prediction, path: Path, options: argparse.Namespace) -> None:
    """Write the panel and the arrays of a picture; `path` has no ending."""
    if not options.no_panels:
        prediction.panel().savefig(f"{path}.png")
    if not options.no_arrays:
        prediction.save(f"{path}.npz")


def predict_video(model: TrainedModel, file: Path, path: Path, options: argparse.Namespace) -> int:
    """Predict the frames of a video; write panels as a video, and the arrays of each frame. Returns their number."""
    import cv2

    from benchmark.inference.pictures import video_frames

    numbers: deque[int] = deque()

    def frames() -> Iterator[Any]:
        for number, pixels in video_frames(file, options.every):
            numbers.append(number)
            yield pixels

    count = 0
    rate = max(1.0, (cv2.VideoCapture(str(file)).get(cv2.CAP_PROP_FPS) or 25.0) / options.every)
    with closing(PanelVideo(Path(f"{path}.mp4"), rate)) as video:
        for prediction in model.predictions(frames(), options.size, options.batch_size):
            if not options.no_panels:
                video.write(pixels_of(prediction.panel()))
            if not options.no_arrays:
                prediction.save(f"{path}_{numbers[0]:06d}.npz")
            numbers.popleft()
            count += 1
    return count


class PanelVideo:
    """A video file of panels, all resized to the size of the first one. Without a panel, no file is written.

    Args:
        path: the file, which ends with .mp4.
        rate: frames per second.
    """

    def __init__(self, path: Path, rate: float) -> None:
        self.path, self.rate = path, rate
        self.size = (0, 0)
        self.writer: Any = None

    def write(self, panel: Any) -> None:
        """Add a panel, (H, W, 3) uint8 RGB.

        Raises:
            ValueError: if OpenCV cannot write the file.
        """
        import cv2

        if self.writer is None:
            self.size = (panel.shape[1], panel.shape[0])
            self.writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter.fourcc(*"mp4v"), self.rate, self.size)
            if not self.writer.isOpened():
                raise ValueError(f"{self.path}: OpenCV cannot write an mp4v video here; use --no-panels")
        # The layout of a panel may differ by a pixel from frame to frame, and a frame of another size would be dropped.
        self.writer.write(cv2.cvtColor(cv2.resize(panel, self.size), cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self.writer is not None:
            self.writer.release()


def pixels_of(figure: Any) -> Any:
    """(H, W, 3) uint8 RGB of a figure, with even sides, as video coders need them."""
    import numpy as np

    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    return np.ascontiguousarray(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2])


@contextmanager
def progress(total: int) -> Iterator[Callable[[], None]]:
    """Progress bar on standard error; yields a function that advances it by one."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        job = bar.add_task("pictures", total=total)
        yield lambda: bar.advance(job)


if __name__ == "__main__":
    sys.exit(main())
