"""tools/predict.py on pictures of every kind, a video, and files that are no pictures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tools import predict

CHECKOUT = Path(__file__).resolve().parents[3]


def textured(width: int, height: int) -> Image.Image:
    """A picture of random blocks."""
    blocks = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.BILINEAR)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of odd pictures, and a text file with the name of a picture."""
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    textured(57, 31).save(folder / "small.png")
    textured(90, 70).convert("L").save(folder / "grey.png")
    textured(90, 70).convert("CMYK").save(folder / "print.jpg")
    textured(90, 70).save(folder / "sub" / "small.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    textured(90, 70).save(folder / "turned.jpg", exif=exif)
    (folder / "text.jpg").write_text("no picture")
    return folder


def run(*arguments: object) -> int:
    """Exit code of the tool."""
    return predict.main([str(argument) for argument in arguments])


def test_pictures_of_every_kind_are_predicted_and_a_text_file_is_named(trained_cell, folder, tmp_path, capsys):
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    assert run("--run", trained_cell, folder, empty, tmp_path / "gone.jpg", "--out", out) == 1
    captured = capsys.readouterr()
    named = [line for line in captured.err.splitlines() if line.startswith("predict.py: ")]
    assert len(named) == 3
    assert "empty: the folder is empty" in captured.err
    assert "gone.jpg: no such file or folder" in captured.err
    assert "text.jpg: not a PNG or JPEG image" in captured.err
    assert "5 pictures predicted, 3 not readable" in captured.out
    assert sorted(path.name for path in out.iterdir()) == sorted(
        f"{name}.{ending}" for name in ("grey", "print", "small", "small_jpg", "turned") for ending in ("npz", "png")
    )
    with np.load(out / "turned.npz") as arrays:
        assert arrays["depth"].shape == (90, 70)
        assert arrays["normals"].shape == (90, 70, 3)
    with np.load(out / "small.npz") as arrays:
        assert arrays["semseg"].shape == (31, 57)


def test_panels_of_another_size_are_kept_in_the_video(tmp_path):
    video = predict.PanelVideo(tmp_path / "panels.mp4", 10.0)
    for width in (64, 66, 64):
        video.write(np.zeros((48, width, 3), np.uint8))
    video.close()
    assert int(cv2.VideoCapture(str(tmp_path / "panels.mp4")).get(cv2.CAP_PROP_FRAME_COUNT)) == 3


def test_a_video_that_cannot_be_written_is_named(tmp_path):
    video = predict.PanelVideo(tmp_path / "missing" / "panels.mp4", 10.0)
    with pytest.raises(ValueError, match=r"panels\.mp4: OpenCV cannot write an mp4v video here; use --no-panels"):
        video.write(np.zeros((48, 64, 3), np.uint8))
    video.close()


def test_a_video_becomes_a_video_of_panels(trained_cell, tmp_path, capsys):
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    for shade in range(5):
        writer.write(np.full((48, 64, 3), 40 * shade, np.uint8))
    writer.release()
    (tmp_path / "broken.mp4").write_text("no video")
    out = tmp_path / "out"
    assert run("--run", trained_cell, tmp_path / "clip.mp4", tmp_path / "broken.mp4", "--every", 2, "--out", out) == 1
    assert "broken.mp4: not a video that OpenCV can decode" in capsys.readouterr().err
    panels = cv2.VideoCapture(str(out / "clip.mp4"))
    assert int(panels.get(cv2.CAP_PROP_FRAME_COUNT)) == 3
    assert sorted(path.name for path in out.glob("*.npz")) == [f"clip_{number:06d}.npz" for number in (0, 2, 4)]


@pytest.mark.parametrize(
    ("source", "message"),
    [("gone.json", "no such file or folder"), ("text.json", "not readable as JSON"), ("text.safetensors", "readable")],
)
def test_a_run_that_cannot_be_loaded_is_named_in_one_line(source, message, tmp_path, capsys):
    if source.startswith("text"):
        (tmp_path / source).write_text("no model")
    textured(40, 40).save(tmp_path / "picture.png")
    assert run("--run", tmp_path / source, tmp_path / "picture.png", "--out", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_picture_of_12_megapixels_takes_less_than_4_gb(trained_cell, tmp_path):
    textured(4000, 3000).save(tmp_path / "large.jpg")
    probe = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: assert not end.code\n"
        "from benchmark.records.resident_memory import peak_resident_bytes; print(peak_resident_bytes())"
    )
    tool = [str(CHECKOUT / "tools" / "predict.py"), "--run", trained_cell, tmp_path / "large.jpg", "--out", tmp_path]
    done = subprocess.run([sys.executable, "-c", probe, *tool], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < 4 << 30, "bytes of peak memory"
    with np.load(tmp_path / "large.npz") as arrays:
        assert arrays["depth"].shape == (3000, 4000)
