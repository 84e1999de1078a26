"""Loading of trained models from every source, and prediction."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import benchmark
from benchmark.inference.loading import describe_weights
from benchmark.records.validation import RecordError
from benchmark.training.description import METADATA_KEY, ModelDescription
from benchmark.training.model_files import MODEL_FILE, CheckpointError

TASKS = ["semseg", "depth", "normals", "boundary"]


def weights_of(trained_cell: Path) -> Path:
    """Weights of the trained cell."""
    return trained_cell.parents[2] / "work" / "smoke" / trained_cell.stem / MODEL_FILE


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (90, 61, 3), np.uint8)


def test_two_lines_give_predictions_at_the_size_of_the_picture(trained_cell: Path, picture: np.ndarray) -> None:
    model = benchmark.load(trained_cell)
    prediction = model.predict(picture)
    assert list(prediction.values) == TASKS
    assert {name: values.shape for name, values in prediction.values.items()} == {
        "semseg": (90, 61),
        "depth": (90, 61),
        "normals": (90, 61, 3),
        "boundary": (90, 61),
    }
    assert prediction["semseg"].max() < 40
    np.testing.assert_allclose(np.linalg.norm(prediction["normals"], axis=-1), 1, atol=1e-4)
    assert 0 <= prediction["boundary"].min() <= prediction["boundary"].max() <= 1
    with pytest.raises(KeyError, match="Did you mean 'depth'"):
        prediction["dept"]


def test_result_folder_and_weights_give_the_same_model(trained_cell: Path, picture: np.ndarray) -> None:
    sources = [trained_cell, weights_of(trained_cell), weights_of(trained_cell).parent, str(trained_cell)]
    found = [benchmark.load(source).predict(picture) for source in sources]
    for other in found[1:]:
        for task in TASKS:
            np.testing.assert_array_equal(other[task], found[0][task])


def test_a_batch_predicts_what_single_pictures_do(trained_cell: Path, picture: np.ndarray) -> None:
    model = benchmark.load(trained_cell)
    pictures = [picture, picture[::-1], picture[:, :50], picture]
    together = model.predict(pictures, batch_size=2)
    assert [found.image.shape[1] for found in together] == [61, 61, 50, 61]
    for one, found in zip(pictures, together, strict=True):
        np.testing.assert_allclose(model.predict(one)["depth"], found["depth"], atol=1e-4)


def test_a_picture_of_the_trained_size_is_predicted_as_in_the_evaluation(trained_cell: Path) -> None:
    model = benchmark.load(trained_cell)
    image = np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    batch = torch.from_numpy(((image / 255 - mean) / std).transpose(2, 0, 1)[None]).float()
    with torch.no_grad():
        raw = model.model(batch).predictions["depth"][0, 0].numpy()
    np.testing.assert_allclose(model.predict(image)["depth"], raw, atol=1e-4)


def test_weights_describe_their_network(trained_cell: Path) -> None:
    found = describe_weights(weights_of(trained_cell))
    assert found is not None
    assert (found.method, found.backbone, found.input_size) == ("hard_sharing", "timm:test_resnet", (64, 96))
    assert found.run_id == trained_cell.stem
    assert found.data.startswith("synthetic-")
    assert found.tasks["semseg"].classes[:2] == ("wall", "floor")
    assert ModelDescription.from_text(found.to_text(), "text") == found
    for wrong in ("{", '{"method": 3}'):
        with pytest.raises(RecordError, match=r"^mine\.json: "):
            ModelDescription.from_text(wrong, "mine.json")


def test_weights_without_a_description_are_described_by_their_result(trained_cell: Path, tmp_path: Path) -> None:
    """Weights of earlier versions have no description."""
    old = tmp_path / "old.safetensors"
    save_file(load_file(weights_of(trained_cell)), old, metadata={"run_id": trained_cell.stem})
    model = benchmark.load(trained_cell, weights=old)
    assert model.description.input_size == (64, 96)
    assert len(model.description.tasks["semseg"].classes) == 40
    with pytest.raises(CheckpointError, match="holds no description of its network"):
        benchmark.load(old)


def test_published_half_precision_weights_are_found(trained_cell: Path, tmp_path: Path, picture: np.ndarray) -> None:
    results = tmp_path / "results"
    (results / "runs" / "smoke").mkdir(parents=True)
    result = shutil.copy(trained_cell, results / "runs" / "smoke")
    with pytest.raises(CheckpointError, match=r"no weights of .*: neither .* exists; train the cell here, or put"):
        benchmark.load(result)
    half = {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in load_file(weights_of(trained_cell)).items()
    }
    (results / "models").mkdir()
    save_file(half, results / "models" / f"{trained_cell.stem}.safetensors")
    whole, found = benchmark.load(trained_cell).predict(picture), benchmark.load(result).predict(picture)
    np.testing.assert_allclose(found["depth"], whole["depth"], atol=0.05)
    assert next(benchmark.load(result).model.parameters()).dtype == torch.float32


def test_a_model_of_the_hub_is_downloaded_without_its_code(
    trained_cell: Path, tmp_path: Path, picture: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(weights_of(trained_cell), tmp_path / "model.safetensors")
    asked: list[tuple[str, list[str]]] = []

    def snapshot_download(repository: str, allow_patterns: list[str]) -> str:
        asked.append((repository, allow_patterns))
        return str(tmp_path)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot_download))
    found = benchmark.load("hf://someone/rooms").predict(picture)
    assert asked == [("someone/rooms", ["config.json", "model.safetensors"])]
    np.testing.assert_array_equal(found["depth"], benchmark.load(trained_cell).predict(picture)["depth"])


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}", b"text in place of weights"])
def test_damaged_weights_are_named_in_one_line(content: bytes, trained_cell: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors") as error:
        benchmark.load(trained_cell, weights=tmp_path / "model.safetensors")
    assert "\n" not in str(error.value)


def test_a_hostile_description_runs_nothing(trained_cell: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    for text in ("[]", '{"method": "os.system", "backbone": "resnet18", "tasks": {}}', "{" * 300):
        save_file(load_file(weights_of(trained_cell)), file, metadata={METADATA_KEY: text})
        with pytest.raises((ValueError, KeyError)) as error:
            benchmark.load(file)
        assert "\n" not in str(error.value)


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file or folder; name a result file"):
        benchmark.load(tmp_path / "nothing")


def test_arrays_and_panel_are_written(trained_cell: Path, tmp_path: Path, picture: np.ndarray) -> None:
    prediction = benchmark.load(trained_cell).predict(Image.fromarray(picture))
    prediction.save(tmp_path / "arrays.npz")
    with np.load(tmp_path / "arrays.npz") as arrays:
        assert sorted(arrays) == sorted(TASKS)
        np.testing.assert_array_equal(arrays["depth"], prediction["depth"])
    figure = prediction.panel()
    titles = [axes.get_title() for axes in figure.axes[:5]]
    assert titles == ["61x90", "semseg", "depth (m)", "normals", "boundary"]
    legend = figure.axes[6].get_legend()
    shown = {text.get_text() for text in legend.get_texts()}
    assert shown <= set(prediction.classes["semseg"])
    assert shown
