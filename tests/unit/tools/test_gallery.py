"""tools/gallery.py on two results of a cell, and the choice of images."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.contracts import MultiTaskOutput
from benchmark.inference import gallery as gallery_pages
from benchmark.inference.gallery import Cell, choose, read_image_metrics
from benchmark.records.validation import RecordError
from benchmark.tasks import BOUNDARY, DEPTH, NORMALS, SEMSEG, TaskSet
from benchmark.visualization.error_maps import NO_LABEL, error_map
from tools import gallery


@pytest.fixture
def cell(trained_cell: Path, small_rooms: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trained cell with its details, and its data."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))
    details = trained_cell.parents[2] / "work" / "smoke" / trained_cell.stem / "details.jsonl.gz"
    shutil.copy(details, trained_cell.with_suffix(".details.jsonl.gz"))
    return trained_cell


def run(*arguments: object) -> int:
    """Exit code of the tool."""
    return gallery.main([str(argument) for argument in arguments])


def test_a_page_shows_best_and_worst_images_with_truth_predictions_and_errors(cell, tmp_path, capsys):
    out = tmp_path / "page"
    assert run(cell, "--metric", "depth/rmse@pixel", "--count", 1, "--out", out) == 0, capsys.readouterr().err
    page = (out / "index.html").read_text()
    assert "best 1 by depth/rmse@pixel" in page
    files = re.findall(r'src="([^"]+)"', page)
    assert len(files) == len(set(files)) == 2 * (1 + 4 + 8)
    assert all((out / file).is_file() for file in files)
    assert page.count("hard_sharing</th>") == 2
    assert "wall</li>" in page


def test_text_of_results_is_escaped(cell, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmark.inference.gallery.label_of", lambda found, seeds: "<script>alert(1)</script>")
    assert run(cell, "--count", 1, "--out", tmp_path) == 0
    assert "<script>" not in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metric", "depth/absrel"], "the images have no 'depth/absrel'. Did you mean 'depth/absRel'"),
        (["gone.json"], "No such file"),
    ],
)
def test_a_wrong_request_is_one_line(arguments, message, cell, tmp_path, capsys):
    assert run(cell, *arguments, "--out", tmp_path / "page") == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_the_same_row_twice_is_refused(cell, tmp_path, capsys):
    assert run(cell, cell, "--out", tmp_path) == 2
    assert "two of the results are the same row: hard_sharing, hard_sharing" in capsys.readouterr().err


def of_values(*values: float | None) -> Cell:
    """A cell whose images have these errors."""
    unused: Any = None
    return Cell("cell", unused, unused, [{"depth/rmse@pixel": value} for value in values])


def test_images_are_ordered_by_the_mean_over_cells():
    """Means 2, 1, 3 metres; the last image has no label. A lower error is better."""
    cells = [of_values(1.0, 1.0, 4.0, None), of_values(3.0, 1.0, 2.0, None)]
    assert choose(cells, "depth/rmse@pixel", 1) == [
        (1, "best 1 by depth/rmse@pixel: 1 m"),
        (2, "worst 1 by depth/rmse@pixel: 3 m"),
    ]
    assert [number for number, _ in choose(cells, "depth/rmse@pixel", 2)] == [1, 0, 2]


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"no json"), gzip.compress(b"[]\n")], ids=["no gzip", "no JSON", "no details"]
)
def test_damaged_details_are_named(content, tmp_path):
    (tmp_path / "run.details.jsonl.gz").write_bytes(content)
    with pytest.raises(RecordError, match=r"run\.details\.jsonl\.gz: not readable") as error:
        read_image_metrics(tmp_path / "run.json")
    assert "\n" not in str(error.value)


def test_images_are_read_in_their_order(tmp_path):
    lines = [{"step": 1, "loss": 2.0}, {"image": 1, "a/b": 5.0}, {"image": 0, "a/b": None}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "run.details.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert read_image_metrics(tmp_path / "run.json") == [{"a/b": None}, {"a/b": 5.0}]


def test_the_padding_around_an_image_is_not_shown():
    """A picture of 4x5 pixels, 2 rows and 3 columns from the corner of a padded one of 10x12."""
    depth = torch.zeros(1, 10, 12)
    depth[:, 2:6, 3:8] = torch.arange(1.0, 21.0).view(1, 4, 5)
    item = {"images": torch.zeros(3, 10, 12), "targets": {"depth": depth}, "window": (2, 3, 4, 5), "name": "padded"}
    network = SimpleNamespace(
        model=lambda images: MultiTaskOutput({"depth": depth[None]}), device="cpu", tasks=TaskSet([DEPTH])
    )
    cell = Cell("m", None, network, [{"depth/rmse": 0.5}])
    (shown,) = gallery_pages.shown_images([cell], [item], [(0, "best")])
    prediction, error = shown.rows["m"]["depth"]
    assert shown.image.picture.shape == (4, 5, 3)
    np.testing.assert_array_equal(prediction.picture, shown.truth["depth"].picture)
    assert error.picture.shape == (4, 5, 3)


def test_errors_have_one_scale_per_kind_of_task():
    """Right, wrong, no label; the brightest colour is half the depth, 45 degrees, a probability of 1."""
    valid = np.array([[True, True, False]])
    half = 0.70711
    cases = [
        (SEMSEG, [[[3, 4, 5]]], [[[3, 5, 255]]]),
        (DEPTH, [[[2.0, 3.0, 1.0]]], [[[2.0, 2.0, 0.0]]]),
        (BOUNDARY, [[[0.0, 1.0, 1.0]]], [[[0.0, 0.0, 255.0]]]),
        (NORMALS, [[[0, half, 0]], [[0, 0, 0]], [[1, half, 1]]], [[[0, 0, 0]], [[0, 0, 0]], [[1, 1, 0]]]),
    ]
    for task, values, target in cases:
        picture = error_map(task, np.array(values, np.float32), np.array(target, np.float32), valid)
        assert picture[0, 0].max() < 0.02, task.name
        assert picture[0, 1].sum() > 2.4, task.name
        np.testing.assert_allclose(picture[0, 2], NO_LABEL)
