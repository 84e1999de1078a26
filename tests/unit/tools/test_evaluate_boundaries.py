"""`tools/evaluate_boundaries.py` from folders to numbers."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmark.boundaries.counting import count_boundaries
from benchmark.boundaries.ground_truth import annotation_of, true_boundaries
from benchmark.boundaries.protocols import SEISM
from benchmark.boundaries.summary import summarise
from tools.evaluate_boundaries import main

NAMES = ("a", "b", "c", "d")


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Arguments that name two folders of four small images."""
    for folder in ("pred", "gt"):
        (tmp_path / folder).mkdir()
    for seed, name in enumerate(NAMES):
        random = np.random.default_rng(seed)
        drawn = np.zeros((60, 80), np.uint8)
        drawn[random.integers(10, 50)] = drawn[:, random.integers(10, 70)] = 255
        noise = gaussian_filter(random.standard_normal(drawn.shape), 2)
        soft = np.clip(1.5 * gaussian_filter(drawn.astype(float), 2) + 400 * noise, 0, 255)
        cv2.imwrite(str(tmp_path / "gt" / f"{name}.png"), drawn)
        cv2.imwrite(str(tmp_path / "pred" / f"{name}.png"), soft.astype(np.uint8))
    return ["--pred", str(tmp_path / "pred"), "--gt", str(tmp_path / "gt")]


def expected_counts(folder: Path) -> np.ndarray:
    """Counts of the four images by the functions themselves."""
    images = []
    for name in NAMES:
        strength = cv2.imread(str(folder / "pred" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        drawn = cv2.imread(str(folder / "gt" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        images.append(count_boundaries(strength, [true_boundaries(annotation_of(drawn), "seism")], SEISM))
    return np.stack(images)


def test_folders_are_scored_and_everything_is_written(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts, numbers, plot = (tmp_path / name for name in ("counts.npz", "numbers.json", "plot.png"))
    assert (
        main(
            [
                *folders,
                "--protocol",
                "seism",
                "--workers",
                "1",
                "--counts",
                str(counts),
                "--json",
                str(numbers),
                "--plot",
                str(plot),
            ]
        )
        == 0
    )
    expected = expected_counts(tmp_path)
    stored = np.load(counts)
    assert stored["names"].tolist() == list(NAMES)
    assert stored["thresholds"].tolist() == list(SEISM.thresholds)
    for column, name in enumerate(("cntR", "sumR", "cntP", "sumP")):
        assert np.array_equal(stored[name], expected[..., column])
    summary, told = summarise(expected, SEISM), json.loads(numbers.read_text())
    values = {name: entry["value"] for name, entry in told["metrics"].items()}
    assert values == {
        "odsF@seism": 100 * summary.ods.f,
        "oisF@seism": 100 * summary.ois.f,
        "ap@seism": 100 * summary.ap,
    }
    assert told["images"] == 4
    assert told["protocol"]["max_distance"] == 0.011
    assert told["ods"]["threshold"] == summary.ods.threshold
    assert len(told["curve"]["precision"]) == 101
    assert cv2.imread(str(plot)).shape[0] > 300
    printed = capsys.readouterr().out
    assert f"odsF@seism           {100 * summary.ods.f:7.3f} %" in printed
    assert summary.ois.f >= summary.ods.f


def test_options_change_the_protocol_and_the_name_of_the_numbers(folders: list[str], tmp_path: Path) -> None:
    told = {}
    for options in (
        ["seism"],
        ["seism", "--gt-variant", "direct"],
        ["seism", "--max-dist", "0.03"],
        ["bsds"],
        ["bsds", "--thresholds", "5"],
        ["seism", "--no-nms"],
    ):
        path = tmp_path / "numbers.json"
        assert main([*folders, "--workers", "1", "--json", str(path), "--protocol", *options]) == 0
        told[tuple(options)] = json.loads(path.read_text())
    assert "odsF@seism-direct" in told["seism", "--gt-variant", "direct"]["metrics"]
    assert "odsF@bsds" in told["bsds",]["metrics"]
    near, wide = (told[key]["metrics"]["odsF@seism"]["value"] for key in (("seism",), ("seism", "--max-dist", "0.03")))
    assert wide > near
    assert len(told["bsds", "--thresholds", "5"]["curve"]["thresholds"]) == 5
    assert told["seism", "--no-nms"]["protocol"]["suppressed"] is False
    assert len({json.dumps(numbers["metrics"]) for numbers in told.values()}) == len(told)


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_number_of_processes(folders: list[str], tmp_path: Path) -> None:
    stored = []
    for workers in ("1", "3"):
        path = tmp_path / f"{workers}.npz"
        assert main([*folders, "--protocol", "seism", "--workers", workers, "--counts", str(path)]) == 0
        stored.append(dict(np.load(path)))
    assert stored[0].keys() == stored[1].keys()
    assert all(np.array_equal(values, stored[1][name]) for name, values in stored[0].items())


@pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_damaged_map_is_reported_in_one_line(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], workers: str
) -> None:
    broken = tmp_path / "pred" / "c.png"
    broken.write_bytes(broken.read_bytes()[:100])
    assert main([*folders, "--protocol", "seism", "--workers", workers]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "evaluate_boundaries.py" in line]
    assert lines == [f"evaluate_boundaries.py: {broken}: truncated, the PNG image ends after 100 bytes"]


def test_an_unwritable_output_is_reported_before_the_work(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*folders, "--protocol", "seism", "--json", str(tmp_path / "nowhere" / "a.json")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--protocol", "coco"], "invalid choice: 'coco'"),
        (["--protocol", "seism", "--max-dist", "7"], "share of the image diagonal"),
        (["--protocol", "seism", "--workers", "0"], "expected an integer of 1 or more, found '0'"),
        ([], "required: --protocol"),
    ],
)
def test_wrong_options_are_refused_in_one_line(
    folders: list[str], options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main([*folders, *options])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_inverted_predictions_are_scored_with_a_warning(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "pred").iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    numbers = tmp_path / "numbers.json"
    assert main([*folders, "--protocol", "seism", "--workers", "1", "--json", str(numbers)]) == 0
    warning = "4 of 4 images: the prediction is above half its range in most pixels; is it inverted?"
    assert f"warning: {warning}" in capsys.readouterr().err
    assert json.loads(numbers.read_text())["warnings"][0].startswith(warning)


def test_a_plot_of_an_unknown_kind_is_refused_before_the_work(
    folders: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*folders, "--protocol", "seism", "--workers", "1", "--plot", str(tmp_path / "a.xyz")]) == 2
    message = capsys.readouterr().err
    assert "a.xyz: cannot draw this kind of file; end it in one of " in message
    assert " png, " in message


def test_files_that_a_mac_adds_are_left_out(folders: list[str], tmp_path: Path) -> None:
    for folder in ("pred", "gt"):
        (tmp_path / folder / "._a.png").write_bytes(b"\0\5\x16\7" + bytes(100))
    assert main([*folders, "--protocol", "seism", "--workers", "1"]) == 0
