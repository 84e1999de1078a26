"""Preparation of PASCAL-Context from its two releases: published conventions, a one-line message for wrong files."""

from __future__ import annotations

import numpy as np
import pytest
from pascal_files import NOBODY, SIZES, annotation, archive, label_map, write_release
from PIL import Image
from scipy.io import loadmat, savemat
from skimage.morphology import thin
from skimage.segmentation import find_boundaries

from benchmark.boundaries.formats.content import DataError
from benchmark.boundaries.formats.matlab import read_variable
from benchmark.registry import DATASETS
from benchmark.tasks import PASCAL_TASKS
from datasets.layout.layout import read_frames, read_info, read_label
from datasets.pascal_context import labels
from tools.prepare_pascal_context import main

FIRST, LAST = "2008_000001", "2008_000003"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The release of ASTMT, from its archive."""
    folder = tmp_path_factory.mktemp("pascal")
    source = archive(write_release(folder), folder / "PASCAL_MT.tgz")
    assert main([str(source), "--out", str(folder / "out"), "--workers", "1"]) == 0
    return folder / "out"


@pytest.fixture
def release(tmp_path):
    return write_release(tmp_path)


def read(root, name, modality):
    info = read_info(root)
    frame = next(frame for frame in read_frames(root) if frame.name == name)
    return read_label(root, info, frame, modality)


def test_the_data_set_matches_its_class(prepared):
    info = read_info(prepared)
    assert info.id.startswith("pascal_context-21c-varied-")
    assert dict(info.counts) == {"train": 2, "test": 1}
    assert {frame.name: frame.size for frame in read_frames(prepared)} == SIZES
    data = DATASETS.create("pascal_context", prepared, "test", augmentation={"pad": (512, 512)})
    assert list(data.tasks) == list(PASCAL_TASKS)
    assert {name: task.channels for name, task in data.tasks.items()} == {
        "semseg": 21,
        "human_parts": 7,
        "saliency": 2,
        "normals": 3,
        "boundary": 1,
    }
    assert data[0]["window"].tolist() == [(512 - 40) // 2, (512 - 56) // 2, 40, 56]


def test_the_release_of_atrc_gives_the_same_data(prepared, tmp_path):
    other = write_release(tmp_path, top="PASCALContext")
    assert main([str(other.parent), "--out", str(tmp_path / "out"), "--workers", "2"]) == 0
    assert read_info(tmp_path / "out") == read_info(prepared)


def test_semseg_is_read_from_palettes_and_from_grey_pictures(prepared):
    for name in SIZES:
        codes, expected = read(prepared, name, "semseg"), np.ones(SIZES[name], np.uint8)
        expected[label_map(SIZES[name]) == 284] = 16
        expected[0, 0] = 0
        np.testing.assert_array_equal(codes, expected)


def test_parts_unite_to_six_and_later_ones_cover_earlier_ones(prepared):
    codes = read(prepared, FIRST, "human_parts")
    top = SIZES[FIRST][0] // 2
    column = [1] * top + [2] * 3 + [6] * 5 + [7] * 4
    assert codes[: top + 12, 12].tolist() == column
    assert (read(prepared, NOBODY, "human_parts") == 1).all()


def test_a_frame_without_people_counts_nothing(prepared):
    data = DATASETS.create("pascal_context", prepared, "train", size=(48, 64))
    assert [bool((data[index]["targets"]["human_parts"] == 255).all()) for index in range(2)] == [False, True]


def test_saliency_is_cut_at_one_half(prepared):
    codes = read(prepared, FIRST, "saliency")
    assert codes[0, :3].tolist() == [0, 255, 0]
    assert (codes[label_map(SIZES[FIRST]) == 284] == 255).all()


def test_normals_count_where_nyu_has_the_class(prepared):
    found, classes = read(prepared, FIRST, "normals"), label_map(SIZES[FIRST])
    vector = 2 * np.array([128, 51, 230]) / 255 - 1
    assert not found[classes == 360].any(), "sky"
    np.testing.assert_allclose(
        found[classes != 360], np.broadcast_to(vector / np.linalg.norm(vector), (48 * 32, 3)), atol=1e-3
    )
    assert len(labels.classes_with_normals()) == 170


def test_boundaries_are_made_for_training_and_for_evaluation(prepared):
    """Against scikit-image: its thinning, and pixels that differ from a lower or right neighbour."""
    training, classes = read(prepared, FIRST, "boundary"), label_map(SIZES[FIRST]).astype(int)
    around = np.pad(classes, 1, mode="reflect")
    laplacian = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:] - 4 * classes
    np.testing.assert_array_equal(training == 255, thin(laplacian != 0))
    evaluation, classes = read(prepared, LAST, "boundary"), label_map(SIZES[LAST])
    padded = np.pad(classes, ((0, 1), (0, 1)), mode="edge")
    differs = (padded[1:, :-1] != classes) | (padded[:-1, 1:] != classes) | (padded[1:, 1:] != classes)
    np.testing.assert_array_equal(evaluation == 255, thin(differs))
    assert find_boundaries(classes)[evaluation == 255].all()


def test_structures_are_read_as_scipy_reads_them(tmp_path):
    savemat(tmp_path / "a.mat", annotation((9, 30), people=True))
    ours = read_variable(tmp_path / "a.mat", "anno")
    objects = loadmat(tmp_path / "a.mat")["anno"][0][0][1][0]
    assert [thing["class"] for thing in ours[0]["objects"]] == [str(thing[0][0]) for thing in objects]
    for part, reference in zip(ours[0]["objects"][1]["parts"], objects[1][3][0], strict=True):
        assert part["part_name"] == str(reference[0][0])
        np.testing.assert_array_equal(part["mask"], reference[1])


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def swap(path):
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)


def spoil(root, kind):
    """Damage one file of the first frame."""
    mat, parts = root / "pascal-context" / "trainval" / f"{FIRST}.mat", root / "human_parts" / f"{FIRST}.mat"
    changes = {
        "missing": (root / "sal_distill" / f"{FIRST}.png").unlink,
        "truncated image": lambda: cut(root / "JPEGImages" / f"{FIRST}.jpg"),
        "truncated labels": lambda: cut(mat),
        "truncated normals": lambda: cut(root / "normals_distill" / f"{FIRST}.png"),
        "swapped axes": lambda: swap(root / "sal_distill" / f"{FIRST}.png"),
        "no LabelMap": lambda: savemat(mat, {"Labels": np.zeros((48, 64))}),
        "no parts": lambda: savemat(parts, {"anno": np.zeros((3, 3))}),
        "label 21": lambda: Image.fromarray(np.full((48, 64), 21, np.uint8)).save(root / f"semseg/VOC12/{FIRST}.png"),
        "small masks": lambda: savemat(parts, annotation((30, 30), people=True)),
        "both splits": lambda: (root / "ImageSets/Context/val.txt").write_text(f"{FIRST}\n"),
        "no folder": lambda: (
            [path.unlink() for path in (root / "sal_distill").iterdir()] and (root / "sal_distill").rmdir()
        ),
    }
    changes[kind]()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", f"sal_distill/{FIRST}.png: the file is missing"),
        ("truncated image", f"JPEGImages/{FIRST}.jpg: truncated or damaged JPEG image"),
        ("truncated labels", f"trainval/{FIRST}.mat: truncated"),
        ("truncated normals", f"normals_distill/{FIRST}.png: truncated"),
        ("swapped axes", f"sal_distill/{FIRST}.png: found 64x48, expected 48x64: the axes are swapped"),
        ("no LabelMap", f"trainval/{FIRST}.mat: no variable 'LabelMap', it has Labels"),
        ("no parts", f"human_parts/{FIRST}.mat: anno is not the annotation of PASCAL-Part"),
        ("label 21", f"VOC12/{FIRST}.png: label 21 at row 0, column 0 (3072 such pixels), allowed are 0 to 20 and 255"),
        ("small masks", f"human_parts/{FIRST}.mat: the mask of head is 30x30, the image 48x64"),
        ("both splits", f"frame '{FIRST}' is listed twice, or in both splits"),
        ("no folder", "not a release of PASCAL-Context, which has JPEGImages"),
    ],
)
def test_a_fault_is_named_in_one_line_and_nothing_is_left(release, tmp_path, capsys, kind, message):
    spoil(release, kind)
    assert main([str(release), "--out", str(tmp_path / "out"), "--workers", "1"]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("prepare_pascal_context:")]
    assert len(lines) == 1
    assert message in lines[0]
    assert not (tmp_path / "out").exists()


def test_an_archive_that_leads_out_of_its_folder_is_refused(release, tmp_path, capsys):
    import tarfile

    with tarfile.open(tmp_path / "evil.tgz", "w:gz") as tar:
        tar.add(release / "ImageSets", "../outside")
    assert main([str(tmp_path / "evil.tgz"), "--out", str(tmp_path / "out")]) == 2
    assert "path traversal" in capsys.readouterr().err


def test_the_command_that_prepares_it_is_named(tmp_path):
    with pytest.raises(DataError, match=r"here; .*: python tools/prepare_pascal_context\.py PASCAL_MT\.tgz --out"):
        DATASETS.create("pascal_context", tmp_path / "none", "train")
