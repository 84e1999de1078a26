"""Exported graphs of trained models, ONNX and torch.export, each compared with the model before it is kept."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.inference.model import TrainedModel
from benchmark.records.atomic import replacing
from benchmark.records.validation import shortened

Size = tuple[int, int]
Predictions = Sequence[np.ndarray[Any, Any]]
Graph = Callable[[Tensor], Predictions]
TOLERANCE = 1e-4
"""Largest difference from the model, as a share of the standard deviation of a prediction."""
ANY_SIZE_SECONDS = 120.0
"""Longest time for a graph of torch.export that takes images of any size."""
OPSET = 18
ONNX_PACKAGES = "onnx onnxruntime onnxscript"


class ExportError(RuntimeError):
    """A model cannot be exported; the message is one line."""


class RawPredictions(nn.Module):
    """A network as a function of images alone.

    Args:
        model: the model; its raw predictions become a tuple in the order of its tasks.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, 3, H, W) normalised images -> (B, C_task, H, W) per task."""
        return tuple(self.model(images).predictions.values())


def export_onnx(model: TrainedModel, folder: Path, sizes: Sequence[Size], checked: Sequence[Size]) -> list[Path]:
    """Write model.onnx for images of any size; or one file per size, if the network allows one size only.

    Args:
        model: model on the CPU, loaded with `accelerate=False`.
        folder: folder of the files.
        sizes: (H, W) of the files, if the network allows one size only.
        checked: (H, W) of images that a graph for any size is compared with the model on.

    Returns:
        the written files.

    Raises:
        ExportError: if packages are missing, or a graph differs from the model; in one line.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise ExportError(f"ONNX needs further packages: pip install {ONNX_PACKAGES} ({error})") from error
    network = RawPredictions(model.model.method).eval()
    file, tasks = folder / "model.onnx", list(model.tasks)
    try:
        trace = partial(_trace, network, size=sizes[0], tasks=tasks, any_size=True)
        _checked(network, file, checked, trace, _load_onnx)
    except ExportError:
        # Shapes inside the network are numbers of the graph, so it holds for one size.
        files = [folder / f"model_{height}x{width}.onnx" for height, width in sizes]
        for path, size in zip(files, sizes, strict=True):
            _static(network, path, size, tasks)
        return files
    return [file]


def export_program(model: TrainedModel, folder: Path, sizes: Sequence[Size], checked: Sequence[Size]) -> list[Path]:
    """Write model.pt2 of torch.export for images of any size; or one file per size. Arguments as in `export_onnx`.

    A graph for any size has formulae in place of sizes, and torch.export may simplify those for a long time, for
    example after padding to multiples of 64. After `ANY_SIZE_SECONDS` it is stopped.
    """
    network = RawPredictions(model.model.method).eval()
    file = folder / "model.pt2"
    try:
        _checked(network, file, checked, partial(_program, network, size=sizes[0], any_size=True), _load_program)
    except ExportError:
        files = [folder / f"model_{height}x{width}.pt2" for height, width in sizes]
        for path, size in zip(files, sizes, strict=True):
            _checked(network, path, [size], partial(_program, network, size=size, any_size=False), _load_program)
        return files
    return [file]


def largest_difference(found: Predictions, expected: Predictions) -> float:
    """Largest difference of two predictions, in standard deviations of the expected one; infinite for other shapes."""
    if any(one.shape != other.shape for one, other in zip(found, expected, strict=True)):
        return math.inf
    return max(
        float(np.abs(one - other).max() / max(float(other.std()), 1e-12))
        for one, other in zip(found, expected, strict=True)
    )


def _static(network: nn.Module, path: Path, size: Size, tasks: list[str]) -> None:
    """Trace for one size; torch's newer exporter takes longer and serves networks that cannot be traced."""
    try:
        trace = partial(_trace, network, size=size, tasks=tasks, any_size=False)
        _checked(network, path, [size], trace, _load_onnx)
    except ExportError:
        _checked(network, path, [size], partial(_capture, network, size=size, tasks=tasks), _load_onnx)


def _checked(
    network: nn.Module, path: Path, sizes: Sequence[Size], write: Callable[[Path], None], load: Callable[[Path], Graph]
) -> None:
    """Write a graph, compare it with the network, and keep it if both agree.

    Raises:
        ExportError: if it cannot be written or run, or differs.
    """
    with replacing(path) as temporary:
        try:
            with _quiet():
                write(temporary)
                graph = load(temporary)
            for size in sizes:
                images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
                with torch.no_grad():
                    expected = [prediction.numpy() for prediction in network(images)]
                with _quiet():
                    difference = largest_difference(graph(images), expected)
                if not difference <= TOLERANCE:
                    raise ExportError(
                        f"{path.name} differs from the model at {size[0]}x{size[1]} by {difference:.2g} standard "
                        f"deviations, at most {TOLERANCE:g} are allowed"
                    )
        except ExportError:
            raise
        except Exception as error:
            # The exporters and the runtime raise errors of many types, for operations that they do not know.
            reason = f"{type(error).__name__}: {shortened(error)}"
            raise ExportError(f"{path.name} cannot be exported ({reason})") from error


def _trace(network: nn.Module, path: Path, size: Size, tasks: list[str], any_size: bool) -> None:
    axes = {name: {2: "height", 3: "width"} for name in ("images", *tasks)} if any_size else None
    torch.onnx.export(
        network,
        (torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1)),),
        str(path),
        dynamo=False,
        input_names=["images"],
        output_names=tasks,
        dynamic_axes=axes,
        opset_version=OPSET,
    )


def _capture(network: nn.Module, path: Path, size: Size, tasks: list[str]) -> None:
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    # onnxruntime simplifies a graph when it is loaded. The optimizer of torch.onnx takes many minutes for PSD.
    torch.onnx.export(
        network,
        (images,),
        str(path),
        dynamo=True,
        optimize=False,
        external_data=False,
        verbose=False,
        input_names=["images"],
        output_names=tasks,
    )


def _program(network: nn.Module, path: Path, size: Size, any_size: bool) -> None:
    shapes: Mapping[int, Any] = {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with _time_limit(ANY_SIZE_SECONDS) if any_size else nullcontext():
        program = torch.export.export(network, (images,), dynamic_shapes=(shapes,) if any_size else None)
    # torch.export refuses names without its ending.
    target = path.with_name(f"{path.name}.pt2")
    torch.export.save(program, str(target))
    target.replace(path)


def _load_onnx(path: Path) -> Graph:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda images: list(session.run(None, {"images": images.numpy()}))


def _load_program(path: Path) -> Graph:
    with open(path, "rb") as file:
        module = torch.export.load(file).module()

    @torch.no_grad()
    def run(images: Tensor) -> Predictions:
        return [prediction.numpy() for prediction in module(images)]

    return run


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in a block that takes longer; without effect on Windows and outside of the main thread."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(f"no graph after {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the progress, graphs and warnings that the exporters print."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
