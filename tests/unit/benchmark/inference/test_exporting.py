"""Exported models: bit-identical weights, cards, graphs equal to the model, upload to a stub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import benchmark
from benchmark.contracts import Method, MultiTaskOutput
from benchmark.inference import exporting
from benchmark.inference.exporting import TOLERANCE, ExportError, export_onnx, export_program, largest_difference
from benchmark.inference.loading import find_model
from benchmark.inference.model import TrainedModel
from benchmark.inference.model_card import card_text
from benchmark.registry import METHODS
from benchmark.tasks import NYUV2_TASKS, TaskSet
from benchmark.training.model import MultiTaskModel
from tools import export

SIZES = [(64, 96), (96, 160), (75, 101)]
ONE_SIZE = {"invpt", "mtan", "mti_net", "psd"}
"""Methods whose traced graph holds for one image size."""


@pytest.fixture
def onnxruntime() -> Any:
    """The package that runs ONNX graphs."""
    pytest.importorskip("onnx", reason="needs the packages of ONNX: pip install onnx onnxruntime onnxscript")
    return pytest.importorskip("onnxruntime")


def run(*arguments: object) -> int:
    """Exit code of the tool."""
    return export.main([str(argument) for argument in arguments])


def test_an_exported_model_loads_back_bit_identical(trained_cell: Path, tmp_path: Path) -> None:
    assert run("--run", trained_cell, "--out", tmp_path / "shared") == 0
    first, second = benchmark.load(trained_cell), benchmark.load(tmp_path / "shared")
    assert second.description == first.description
    ours, theirs = first.model.state_dict(), second.model.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    one, other = first.predict(picture), second.predict(picture)
    assert all(np.array_equal(one[task], other[task]) for task in first.tasks)
    assert run("--run", tmp_path / "shared", "--out", tmp_path / "again") == 0
    weights = [load_file(tmp_path / name / "model.safetensors") for name in ("shared", "again")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_the_card_has_a_model_index_with_every_number(trained_cell: Path, tmp_path: Path) -> None:
    run("--run", trained_cell, "--out", tmp_path)
    card = huggingface_hub.ModelCard.load(tmp_path / "README.md")
    found = find_model(trained_cell)
    assert found.result is not None
    numbers = {
        f"{task}/{name}": entry["value"] for task, part in found.result.metrics.items() for name, entry in part.items()
    }
    listed = {f"{entry.task_name}/{entry.metric_type}": entry.metric_value for entry in card.data.eval_results}
    assert listed == numbers
    assert "hard_sharing" in card.text
    assert "# Metric cards" in (tmp_path / "METRICS.md").read_text()
    assert "(`synthetic`)" in (tmp_path / "DATA.md").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["method"] == "hard_sharing"


def test_a_card_of_imported_weights_needs_no_result(trained_cell: Path) -> None:
    text = card_text(find_model(trained_cell).description, None)
    assert "model-index" not in text
    assert text.startswith("---\n")


def model_of(method: Method, tasks: TaskSet) -> TrainedModel:
    """A model in memory, without the description of a file."""
    found: Any = None
    return TrainedModel(MultiTaskModel(method, tasks), found)


def trained(name: str, backbone: str = "resnet18") -> TrainedModel:
    """A method with random weights, with running statistics of random images."""
    torch.manual_seed(0)
    method = METHODS.create(name, NYUV2_TASKS, backbone)
    with torch.no_grad():
        method.train()(torch.randn(4, 3, 64, 96))
    return model_of(method, NYUV2_TASKS)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name == "hard_sharing" else [pytest.mark.slow]) for name in METHODS.names()]
)
def test_onnx_equals_the_model_at_several_image_sizes(name: str, tmp_path: Path, onnxruntime: Any) -> None:
    """The graph is run by onnxruntime, on other images than in tracing."""
    model = trained(name)
    files = export_onnx(model, tmp_path, SIZES[:2], SIZES)
    assert [file.name for file in files] == (
        ["model_64x96.onnx", "model_96x160.onnx"] if name in ONE_SIZE else ["model.onnx"]
    )
    for position, size in enumerate(SIZES[:2]):
        images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(9))
        session = onnxruntime.InferenceSession(str(files[position % len(files)]), providers=["CPUExecutionProvider"])
        assert (session.get_inputs()[0].shape[2:] == list(size)) == (name in ONE_SIZE)
        with torch.no_grad():
            expected = [values.numpy() for values in model.model(images).predictions.values()]
        found = dict(
            zip(
                (part.name for part in session.get_outputs()),
                session.run(None, {"images": images.numpy()}),
                strict=True,
            )
        )
        assert list(found) == list(NYUV2_TASKS)
        assert largest_difference(list(found.values()), expected) <= TOLERANCE


class Ramp(Method):
    """Brightness times a ramp from left to right, which a traced graph holds for one width."""

    def __init__(self, tasks: TaskSet) -> None:
        super().__init__(tasks, "none")
        self.factor = torch.nn.Parameter(torch.ones(1))

    def forward(self, images: torch.Tensor) -> MultiTaskOutput:
        ramp = torch.linspace(0, 1, int(images.shape[-1]))
        return MultiTaskOutput({"depth": self.factor * images[:, :1] * ramp}, ())


def test_a_graph_for_one_image_size_refuses_others(tmp_path: Path, onnxruntime: Any) -> None:
    tasks = NYUV2_TASKS.select(["depth"])
    file, _ = export_onnx(model_of(Ramp(tasks), tasks), tmp_path, SIZES[:2], SIZES)
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    images = np.ones((1, 3, 64, 96), np.float32)
    np.testing.assert_allclose(session.run(None, {"images": images})[0][0, 0, 5], np.linspace(0, 1, 96), atol=1e-6)
    with pytest.raises(Exception, match="Got: 80 Expected: 64"):
        session.run(None, {"images": images.repeat(2, axis=2)[:, :, :80]})


SEARCH = pytest.mark.xfail(
    reason="a search chooses its layers by the values of its weights; export the network of its genotype", strict=True
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[SEARCH] if name == "atrc_search" else []) for name in METHODS.names()]
)
def test_a_program_of_torch_export_equals_the_model(name: str, tmp_path: Path) -> None:
    model = trained(name, "timm:test_resnet")
    for file, size in zip(export_program(model, tmp_path, SIZES[:1], SIZES), SIZES, strict=False):
        images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(9))
        with torch.no_grad():
            expected = [values.numpy() for values in model.model(images).predictions.values()]
            found = [values.numpy() for values in torch.export.load(file).module()(images)]
        assert largest_difference(found, expected) <= TOLERANCE


def test_a_program_for_any_size_that_takes_too_long_becomes_one_for_each_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, started = torch.export.export, []

    def endless(network: torch.nn.Module, images: Any, dynamic_shapes: Any) -> Any:
        while dynamic_shapes:
            started.append(1)
        return export(network, images)

    monkeypatch.setattr(torch.export, "export", endless)
    monkeypatch.setattr(exporting, "ANY_SIZE_SECONDS", 0.2)
    files = export_program(trained("constant"), tmp_path, SIZES[:1], SIZES)
    assert started
    assert [file.name for file in files] == ["model_64x96.pt2"]


@pytest.mark.usefixtures("onnxruntime")
def test_a_graph_that_differs_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "_load_onnx", lambda path: lambda images: [np.zeros((1, 1, 64, 96))] * 4)
    with pytest.raises(ExportError, match=r"model_64x96\.onnx differs from the model at 64x96 by"):
        export_onnx(trained("constant"), tmp_path, SIZES[:1], SIZES)
    assert not list(tmp_path.iterdir())


def test_nothing_is_uploaded_without_push_and_a_failure_is_one_line(
    trained_cell: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[tuple[str, Any]] = []

    class Stub:
        """In place of the client of the hub."""

        def create_repo(self, repository: str, **options: Any) -> None:
            calls.append(("create", (repository, options["private"])))

        def upload_folder(self, **options: Any) -> str:
            names = sorted(path.name for path in Path(options["folder_path"]).iterdir())
            calls.append((options["repo_id"], names))
            return "https://example.org/owner/name"

    monkeypatch.setattr(huggingface_hub, "HfApi", Stub)
    assert run("--run", trained_cell, "--out", tmp_path) == 0
    assert calls == []
    assert run("--run", trained_cell, "--out", tmp_path, "--push", "owner/name", "--private") == 0
    names = ["DATA.md", "METRICS.md", "README.md", "config.json", "model.safetensors"]
    assert calls == [("create", ("owner/name", True)), ("owner/name", names)]
    assert "uploaded: https://example.org/owner/name" in capsys.readouterr().out

    def refused(*_arguments: Any, **_options: Any) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(Stub, "create_repo", refused)
    assert run("--run", trained_cell, "--out", tmp_path, "--push", "owner/name") == 2
    assert capsys.readouterr().err == "export.py: --push owner/name: ConnectionError: no route to host\n"
