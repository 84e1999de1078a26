"""Weights of public code: imported whole or refused by name, never run, and scored under our protocol."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.contracts import MultiTaskOutput
from benchmark.inference.loading import load
from benchmark.records.validation import RecordError
from benchmark.registry import DATASETS
from benchmark.training.builders import build_split
from benchmark.training.imported import CARD_FILE, ImportedCard, read_card, spec_of, turn_axes
from benchmark.training.model_files import MODEL_FILE
from benchmark.training.recipe_keys import ConfigError
from mtl_methods.published.importing import import_state
from tools import evaluate, import_checkpoint

CHECKOUT = Path(__file__).resolve().parents[3]
CLASSES = DATASETS.entry("synthetic").factory.tasks["semseg"].channels
SIZE = ["--set", "test_dataloader.dataset.size=(64, 96)"]


def golden_models() -> ModuleType:
    """The module of the fill rule, in the folder of the golden tests."""
    path = CHECKOUT / "tests/unit/mtl_methods/published/golden_models.py"
    spec = importlib.util.spec_from_file_location("golden_models_of_tools", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def public_state() -> dict[str, Tensor]:
    """Hard sharing of MTL-PyTorch with HRNet-18, for as many classes as the embedded rooms have."""
    golden = golden_models()
    shapes = golden.published_shapes("mtl_hrnet18")
    return {
        name: golden.filled(name, tuple(CLASSES if length == 40 else length for length in shape))
        for name, shape in shapes.items()
    }


def saved(state: Any, folder: Path) -> str:
    """A file as public training code writes it."""
    torch.save(state, folder / "published.pth.tar")
    return str(folder / "published.pth.tar")


def test_a_public_checkpoint_becomes_a_model_with_a_card(public_state, tmp_path, capsys):
    weights = {f"module.{name}": tensor for name, tensor in public_state.items()}
    scores = {"semseg": np.float64(0.4), "classes": np.zeros(3), "options": Namespace(lr=np.float32(1e-4))}
    checkpoint = {"epoch": 99, "best_result": scores, "model": weights}
    out = tmp_path / "imported"
    assert import_checkpoint.main(["--format", "mtl_pytorch", saved(checkpoint, tmp_path), "--out", str(out)]) == 0
    assert "Hard sharing on hrnet_w18_small_v2:scratch" in capsys.readouterr().out
    card = read_card(out)
    assert (card.method, card.backbone) == ("hard_sharing", "hrnet_w18_small_v2:scratch")
    assert card.tasks == {"semseg": CLASSES, "normals": 3, "boundary": 1, "depth": 1}
    assert card.signs == {"normals": (1, -1, 1)}
    page = (out / "CARD.md").read_text()
    assert "published.pth.tar, format mtl_pytorch, sha256" in page
    learnt = sum(t.numel() for name, t in public_state.items() if "running" not in name and "num_batches" not in name)
    assert json.loads((out / CARD_FILE).read_text())["parameters"] == learnt


@torch.no_grad()
def test_the_folder_of_imported_weights_is_loaded_with_its_card(public_state, tmp_path):
    """A grey picture; the normals of the published network point up, ours down."""
    out = tmp_path / "imported"
    import_checkpoint.main(["--format", "mtl_pytorch", saved(public_state, tmp_path), "--out", str(out)])
    prediction = load(out).predict(np.full((64, 96, 3), 128, np.uint8), size=(64, 96))
    grey = (128 / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    method = import_state("mtl_pytorch", public_state, DATASETS.entry("synthetic").factory.tasks, {}).method
    published = method(grey.view(1, 3, 1, 1).expand(1, 3, 64, 96)).predictions
    np.testing.assert_allclose(prediction["depth"], published["depth"][0, 0], rtol=1e-3, atol=1e-4)
    turned = torch.nn.functional.normalize(published["normals"][0], dim=0) * torch.tensor([1, -1, 1]).view(3, 1, 1)
    np.testing.assert_allclose(np.moveaxis(prediction["normals"], -1, 0), turned, atol=1e-3)


@torch.no_grad()
def test_imported_weights_are_scored_under_a_recipe(public_state, tmp_path, small_rooms, monkeypatch, capsys):
    """The numbers follow from the imported network, the labels, and the definition of two metrics."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    out, report = tmp_path / "imported", tmp_path / "scores.json"
    import_checkpoint.main(["--format", "mtl_pytorch", saved(public_state, tmp_path), "--out", str(out)])
    arguments = ["--imported", str(out), "--recipe", "smoke", "--json", str(report), *SIZE]
    assert evaluate.main(arguments) == 0, capsys.readouterr().err
    metrics = json.loads(report.read_text())["metrics"]

    tasks = DATASETS.entry("synthetic").factory.tasks
    method = import_state("mtl_pytorch", public_state, tasks, {}).method
    squares, angles = [], []
    split = build_split("synthetic", str(small_rooms / "synthetic"), "test", tuple(tasks), 0, size=(64, 96))
    for frame in range(len(split)):
        item = split[frame]
        predictions = method(item["images"][None]).predictions
        depth = item["targets"]["depth"].numpy()
        valid = np.isfinite(depth) & (depth > 0)
        squares.append(((predictions["depth"][0].numpy() - depth)[valid]) ** 2)
        truth = item["targets"]["normals"].numpy()
        found = predictions["normals"][0].numpy() * np.array([1, -1, 1]).reshape(3, 1, 1)
        known = np.isfinite(truth).all(0) & (np.abs(truth).sum(0) > 0)
        cosine = (found * truth).sum(0) / np.linalg.norm(found, axis=0) / np.linalg.norm(truth, axis=0)
        angles.append(np.degrees(np.arccos(np.clip(cosine[known], -1, 1))))
    rmse = float(np.sqrt(np.concatenate(squares).mean()))
    assert metrics["depth"]["rmse@pixel"]["value"] == pytest.approx(rmse, rel=1e-4)
    assert metrics["normals"]["mean@pixel"]["value"] == pytest.approx(float(np.concatenate(angles).mean()), rel=1e-3)


def refusal(state: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The message of the tool for a refused file; nothing is written."""
    out = folder / "imported"
    assert import_checkpoint.main(["--format", "mtl_pytorch", saved(state, folder), "--out", str(out)]) == 2
    assert not out.exists()
    return capsys.readouterr().err


def test_a_missing_an_extra_and_a_transposed_tensor_are_refused_by_name(public_state, tmp_path, capsys):
    name = "backbone.stage2.0.branches.0.0.conv1.weight"
    name = name if name in public_state else next(key for key in public_state if public_state[key].ndim == 4)
    assert repr(name) in refusal({key: t for key, t in public_state.items() if key != name}, tmp_path, capsys)
    assert "'backbone.surplus.weight'" in refusal(
        {**public_state, "backbone.surplus.weight": torch.zeros(3)}, tmp_path, capsys
    )
    uneven = next(key for key, t in public_state.items() if t.ndim == 4 and t.shape[0] != t.shape[1])
    turned = {**public_state, uneven: public_state[uneven].transpose(0, 1).contiguous()}
    assert repr(uneven) in refusal(turned, tmp_path, capsys)


class Armed:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_a_pickle_with_code_is_refused_and_not_run(public_state, tmp_path, capsys):
    trap = tmp_path / "sprung"
    for content in ({**public_state, "extra": Armed(trap)}, Armed(trap)):
        assert "refused, since it holds more than tensors and plain values" in refusal(content, tmp_path, capsys)
        assert not trap.exists()
    torch.save(Armed(trap), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    arguments = ["--format", "mtl_pytorch", str(tmp_path / "old.pth"), "--out", str(tmp_path / "imported")]
    assert import_checkpoint.main(arguments) == 2
    assert not trap.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "card.json: no such file; tools/import_checkpoint.py makes it"),
        ("{", "not readable as JSON"),
        ('{"method": "mtan"}', "backbone: missing"),
        ('{"method": "mtan", "backbone": "resnet18", "tasks": {"depth": 0}}', "tasks.depth: found 0"),
        ('{"method": "a", "backbone": "b", "tasks": {"depth": 1}, "signs": {"depth": [1, 1]}}', "signs: found"),
    ],
)
def test_a_card_that_cannot_be_read_is_refused(content, message, tmp_path):
    if content is not None:
        (tmp_path / CARD_FILE).write_text(content)
    with pytest.raises(RecordError, match=message.replace(".", r"\.")):
        read_card(tmp_path)


def test_other_classes_than_those_of_the_data_are_refused(small_rooms, monkeypatch):
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    card = ImportedCard("hard_sharing", "resnet18:scratch", {"semseg": CLASSES + 1})
    with pytest.raises(ConfigError, match=f"predicts {CLASSES + 1} channels of semseg.*has {CLASSES}"):
        spec_of(card, "smoke", {})


def test_axes_are_turned_in_the_prediction_alone():
    class Constant(torch.nn.Module):
        def forward(self, images: Tensor) -> MultiTaskOutput:
            return MultiTaskOutput({"normals": torch.ones(1, 3, 2, 2), "depth": torch.ones(1, 1, 2, 2)})

    method = Constant()
    turn_axes(method, {"normals": (1, -1, 1)})
    predictions = method(torch.zeros(1)).predictions
    assert predictions["normals"][0, :, 0, 0].tolist() == [1, -1, 1]
    assert torch.equal(predictions["depth"], torch.ones(1, 1, 2, 2))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.json", "--imported", "b", "--recipe", "smoke"],
        ["--imported", "b"],
        ["a.json", "--set", "train_cfg.max_iters=1"],
        ["--imported", "b", "--recipe", "smoke", "--store"],
    ],
)
def test_a_result_and_imported_weights_are_not_mixed(arguments):
    with pytest.raises(SystemExit) as end:
        evaluate.parse_arguments(arguments)
    assert end.value.code == 2


def test_a_refused_import_leaves_no_partial_folder(tmp_path, capsys):
    arguments = ["--imported", str(tmp_path), "--recipe", "smoke"]
    assert evaluate.main(arguments) == 2
    assert MODEL_FILE not in os.listdir(tmp_path)
    assert capsys.readouterr().err.startswith("evaluate.py: ")


def lightning(monkeypatch: pytest.MonkeyPatch) -> tuple[type, type]:
    """Substitutes for classes of Lightning: a callback, and its mapping of options."""
    module = ModuleType("pytorch_lightning.callbacks")
    callback, options = (
        type(name, bases, {"__module__": module.__name__})
        for name, bases in (("ModelCheckpoint", ()), ("AttributeDict", (dict,)))
    )
    module.ModelCheckpoint, module.AttributeDict = callback, options  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pytorch_lightning", ModuleType("pytorch_lightning"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return callback, options


def test_classes_of_lightning_in_a_checkpoint_are_ignored_and_not_imported(public_state, tmp_path, monkeypatch):
    """Older versions keep the state of a callback under its class, and options in a mapping of their own."""
    with monkeypatch.context() as patch:
        callback, options = lightning(patch)
        file = saved(
            {
                "state_dict": public_state,
                "callbacks": {callback: {"best_model_score": torch.tensor(0.4)}},
                "hyper_parameters": options(lr=0.1),
                "callback": callback(),
            },
            tmp_path,
        )
    assert "pytorch_lightning" not in sys.modules
    arguments = ["--format", "mtl_pytorch", file, "--out", str(tmp_path / "imported")]
    assert import_checkpoint.main(arguments) == 0
    assert "pytorch_lightning" not in sys.modules


def test_code_next_to_classes_of_lightning_is_refused_and_not_run(public_state, tmp_path, monkeypatch, capsys):
    trap = tmp_path / "sprung"
    with monkeypatch.context() as patch:
        callback, _ = lightning(patch)
        content = {"state_dict": public_state, "callbacks": {callback: Armed(trap)}}
        file = saved(content, tmp_path)
    assert import_checkpoint.main(["--format", "mtl_pytorch", file, "--out", str(tmp_path / "imported")]) == 2
    assert "refused, since it holds more than tensors" in capsys.readouterr().err
    assert not trap.exists()
