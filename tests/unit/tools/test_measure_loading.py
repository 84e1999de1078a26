"""The loading measurement: a number for a prepared data set, an error of one line without data."""

from __future__ import annotations

import re

import numpy as np

from datasets.layout.layout import CanonicalWriter, FrameRecord
from tools.measure_loading import main

TASKS = ("semseg", "depth", "normals", "boundary")


def test_it_prints_images_per_second_with_the_data_set_and_settings(tmp_path, capsys):
    size = (24, 32)
    arrays = {
        "images": np.zeros((*size, 3), np.uint8),
        "semseg": np.ones(size, np.uint8),
        "depth": np.ones(size, np.float32),
        "normals": np.zeros((*size, 3), np.float16),
        "boundary": np.zeros(size, np.uint8),
    }
    with CanonicalWriter(tmp_path / "d", name="d", size=size, tasks=TASKS, classes=("a",), sources={}) as writer:
        writer.write(FrameRecord("0001", "train", (1.0, 1.0, 0.0, 0.0)), arrays)
    assert main(["--root", str(tmp_path / "d"), "--images", "3", "--rounds", "1"]) == 0
    assert re.match(r"d-24x32-[0-9a-f]{8}: \d+ images/s on one thread at 24x32, full", capsys.readouterr().out)


def test_a_missing_data_set_is_one_line(tmp_path, capsys):
    assert main(["--root", str(tmp_path / "none")]) == 2
    assert re.fullmatch(r"measure_loading: .*none/dataset.json: no prepared data set.*\n", capsys.readouterr().err)
