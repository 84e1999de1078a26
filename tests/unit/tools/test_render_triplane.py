"""tools/render_triplane.py on a cell of four steps, and its figures of artificial renderings."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from matplotlib import colormaps
from numpy.testing import assert_allclose
from safetensors.torch import load_file

from benchmark.records.result import RunSpec
from benchmark.records.store import ResultStore
from benchmark.tasks import BOUNDARY, DEPTH, NORMALS, NYUV2_TASKS, SEMSEG
from benchmark.training.cell import run_cell
from benchmark.training.dependencies import build_cell_model
from benchmark.training.model_files import MODEL_FILE, REGULARIZER_FILE
from benchmark.training.restore import trained_module
from benchmark.visualization.colors import class_colors, colorize, label_values, span_of
from benchmark.visualization.triplane_figures import (
    Density,
    NovelView,
    RenderedImage,
    names_in_pairs,
    panel,
    slices,
    write_orbit,
)
from regularizers.three_d_aware.inspection import camera_arc, densities_of
from tools.render_triplane import main

SMALL = {"regularizer.samples": 4, "regularizer.channels": 4, "regularizer.plane_depth": 4, "regularizer.hidden": 4}
TURBO = colormaps["turbo"]


class Store:
    """Trained cells of the smoke recipe in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.store = ResultStore(folder / "results")

    def train(self, regularizer: str, method: str = "hard_sharing", **overrides: Any) -> tuple[RunSpec, Path]:
        """A cell's spec and result file."""
        tasks = ("semseg", "depth", "normals", "boundary")
        spec = RunSpec("smoke", method, regularizer, "timm:test_resnet", tasks, 0, overrides)
        with self.store.hold(spec) as lease:
            result = run_cell(spec, self.store.work_folder(spec))
            assert result.status == "done", result.error
            return spec, self.store.publish(result, lease)


@pytest.fixture(scope="module")
def store(small_rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTL_DATA", str(small_rooms))
        yield Store(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def cell(store: Store) -> tuple[RunSpec, Path]:
    """A trained cell of the regularizer, small."""
    return store.train("three_d_aware", **SMALL)


@pytest.fixture(scope="module")
def flat(store: Store) -> tuple[RunSpec, Path]:
    """A trained cell without a density, with a triplane for each task."""
    return store.train("uniform_weights", method="single_task", **SMALL, **{"train_cfg.max_iters": 1})


def pixels(path: Path) -> np.ndarray:
    """(H, W, 3) RGB of a PNG file."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def tiles(figure: Any) -> dict[str, np.ndarray]:
    """The pictures of a figure by their titles."""
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images}


def titled(figure: Any, start: str) -> np.ndarray:
    """The picture whose title begins with `start`."""
    (found,) = [picture for title, picture in tiles(figure).items() if title.startswith(start)]
    return found


def test_the_state_of_the_regularizer_comes_back_as_it_was_saved(store: Store, cell: tuple[RunSpec, Path]) -> None:
    spec, _ = cell
    folder = store.store.work_folder(spec)
    saved, loaded = load_file(folder / REGULARIZER_FILE), trained_module(spec, folder).regularizer
    assert loaded is not None
    own = loaded.state_dict()
    assert set(saved) == set(own)
    assert all(torch.equal(saved[name], own[name]) and saved[name].dtype == own[name].dtype for name in own)
    assert saved["steps"].dtype == torch.int64


def test_the_model_file_holds_the_model_alone(store: Store, cell: tuple[RunSpec, Path]) -> None:
    spec, _ = cell
    saved = load_file(store.store.work_folder(spec) / MODEL_FILE)
    assert set(saved) == set(build_cell_model(spec).state_dict())


def test_a_regularizer_without_state_leaves_no_file(store: Store) -> None:
    spec, result = store.train("none", **{"train_cfg.max_iters": 1})
    assert not (store.store.work_folder(spec) / REGULARIZER_FILE).exists()
    assert (store.store.work_folder(spec) / MODEL_FILE).exists()
    assert result.exists()


def test_each_frame_has_three_pictures(store: Store, cell: tuple[RunSpec, Path], capsys: Any) -> None:
    spec, result = cell
    assert main([str(result), "--frames", "0", "2", "--swing", "0.1"]) == 0
    written = sorted((store.store.work_folder(spec) / "triplane").iterdir())
    assert len(written) == 6
    names = {path.stem.removesuffix("_slices").removesuffix("_orbit") for path in written}
    assert len(names) == 2
    for name in names:
        assert {path.name for path in written} >= {f"{name}.png", f"{name}_slices.png", f"{name}_orbit.gif"}
    answer = capsys.readouterr()
    assert answer.out.count("written: ") == 6
    assert answer.err == ""
    read, frames = cv2.imreadmulti(str(next(path for path in written if path.suffix == ".gif")))
    assert read
    assert len(frames) == 16
    assert any((frame != frames[0]).any() for frame in frames)


def test_flat_weights_of_a_triplane_per_task_are_drawn_without_other_views(
    flat: tuple[RunSpec, Path], tmp_path: Path, capsys: Any
) -> None:
    assert main([str(flat[1]), "--split", "train", "--out", str(tmp_path / "out")]) == 0
    assert sorted(path.suffix for path in (tmp_path / "out").iterdir()) == [".png", ".png"]
    error = capsys.readouterr().err
    assert "metric rays" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("another regularizer", "none has no triplane; cells of"),
        ("no weights", "regularizer.safetensors: no such file"),
        ("no such frame", "--frames 99: the test split has frames 0 to"),
        ("no such split", "no frame in split 'holdout'"),
        ("no result", "No such file"),
        ("too wide a swing", "the swing must lie between 0 and the median depth"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(
    case: str, message: str, store: Store, cell: tuple[RunSpec, Path], tmp_path: Path, capsys: Any
) -> None:
    spec, result = cell
    arguments = {
        "no such frame": ["--frames", "99"],
        "no such split": ["--split", "holdout"],
        "too wide a swing": ["--swing", "50"],
    }.get(case, [])
    if case == "another regularizer":
        text = result.read_text().replace("three_d_aware", "none").replace(spec.run_id, "other")
        result = tmp_path / "runs" / spec.folder / "other.json"
        result.parent.mkdir(parents=True)
        result.write_text(text)
    elif case == "no weights":
        work = tmp_path / "work" / spec.folder / spec.run_id
        work.mkdir(parents=True)
        (work / MODEL_FILE).symlink_to(store.store.work_folder(spec) / MODEL_FILE)
        arguments = ["--work", str(tmp_path / "work")]
    elif case == "no result":
        result = tmp_path / "nothing.json"
    assert main([str(result), "--out", str(tmp_path / "out"), *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_swing_of_nothing_is_wrong_use() -> None:
    with pytest.raises(SystemExit) as end:
        main(["x.json", "--swing", "0"])
    assert end.value.code == 2


DEPTHS = torch.tensor([[1.0, 2.0, 3.0, 4.0]])


def made_up() -> RenderedImage:
    """A wall at 2 m on the left, one at 4 m on the right of a 16x32 image rendered at 4x8; depth is labelled 1 and 4 m.

    Class 3 on the left and 7 on the right; the head says 5 everywhere.
    """
    weights = torch.zeros(1, 4, 8, 4)
    weights[:, :, :4, 1] = 1.0
    weights[:, :, 4:, 3] = 1.0
    classes = torch.zeros(1, 40, 4, 8)
    classes[:, 3, :, :4] = classes[:, 7, :, 4:] = 9.0
    depth = (weights * DEPTHS).sum(-1)[:, None]
    label = torch.full((1, 16, 32), 4.0)
    label[:, :, :16] = 1.0
    label[:, 0] = 0.0
    head = torch.zeros(40, 16, 32)
    head[5] = 1.0
    density = Density(list(NYUV2_TASKS), weights[0], depth[0, 0], torch.zeros(4, 8))
    return RenderedImage(
        np.full((16, 32, 3), 0.5, np.float32),
        NYUV2_TASKS,
        {"semseg": torch.full((16, 32), 255), "depth": label},
        {"semseg": head, "depth": torch.full((1, 16, 32), 4.0)},
        {"semseg": classes[0], "depth": depth[0]},
        DEPTHS[0],
        [density],
        depth[0, 0],
        "depth",
    )


def test_a_known_plane_is_drawn_where_it_is() -> None:
    """All three pictures of depth have the scale of the label, 1 to 4 m. Missing labels are black."""
    figure = panel(made_up())
    near, far, between = (np.array(TURBO(share)[:3]) for share in (0.0, 1.0, 1 / 3))
    label, head, rendered = (titled(figure, f"depth, {part}") for part in ("label", "head", "rendered"))
    assert_allclose(label[8, [2, 29]], [near, far], atol=1e-6)
    assert (label[0] == 0).all()
    assert_allclose(head, np.broadcast_to(far, head.shape), atol=1e-6)
    # Outside of the middle, where the upsampling mixes the two walls.
    assert_allclose(rendered[:, [0, 10]], np.broadcast_to(between, (16, 2, 3)), atol=1e-6)
    assert_allclose(rendered[:, [21, 31]], np.broadcast_to(far, (16, 2, 3)), atol=1e-6)


def test_classes_have_the_same_colours_in_all_pictures() -> None:
    figure, colours = panel(made_up()), class_colors(40)
    label, head, rendered = (titled(figure, f"semseg, {part}") for part in ("label", "head", "rendered"))
    assert (label == 0).all()
    assert_allclose(head, np.broadcast_to(colours[5], head.shape))
    assert_allclose(rendered[8, [4, 27]], colours[[3, 7]])


def test_the_file_shows_what_the_figure_holds(tmp_path: Path) -> None:
    """Colours at the middle of the left half of the tile of rendered depth, found by its place in the figure."""
    figure = panel(made_up())
    figure.savefig(tmp_path / "made_up.png")
    picture = pixels(tmp_path / "made_up.png")
    (axes,) = [axes for axes in figure.axes if axes.get_title().startswith("depth, rendered")]
    column, row = axes.transData.transform((5, 8))
    assert_allclose(picture[int(picture.shape[0] - row), int(column)], 255 * np.array(TURBO(1 / 3)[:3]), atol=1.5)


def test_slices_show_the_weights_at_their_depths() -> None:
    """All weight is at 2 m on the left and at 4 m on the right; a ray with one non-zero weight has no entropy."""
    viridis, magma = colormaps["viridis"], colormaps["magma"]
    figure = slices(made_up())
    # Four depths, expected depth and entropy in two rows, since five tiles fit into one.
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 3)
    full, none = np.array(viridis(1.0)[:3]), np.array(viridis(0.0)[:3])
    for metres, left, right in (("1.00", none, none), ("2.00", full, none), ("3.00", none, none), ("4.00", none, full)):
        shown = titled(figure, f"{metres} m")
        assert_allclose(shown[:, :4], np.broadcast_to(left, (4, 4, 3)), atol=1e-6)
        assert_allclose(shown[:, 4:], np.broadcast_to(right, (4, 4, 3)), atol=1e-6)
    depth = titled(figure, "expected depth, 1.0 to 4.0 m")
    assert_allclose(depth[0, [0, 7]], [TURBO(1 / 3)[:3], TURBO(1.0)[:3]], atol=1e-6)
    assert_allclose(titled(figure, "entropy, mean 0.00 of 1.39")[0, 0], magma(0.0)[:3], atol=1e-6)


def test_slices_name_the_tasks_of_each_density(flat: tuple[RunSpec, Path], store: Store) -> None:
    """Four triplanes of one density each; and one density that all four tasks share."""
    module = trained_module(flat[0], store.store.work_folder(flat[0]))
    assert [densities_of(scene) for scene in module.regularizer.scenes] == [
        {name: "density"} for name in ("semseg", "depth", "normals", "boundary")
    ]
    assert names_in_pairs(list(NYUV2_TASKS)) == "semseg, depth,\nnormals, boundary"


def test_other_views_are_black_where_the_image_shows_nothing(tmp_path: Path) -> None:
    visible = torch.ones(4, 8, dtype=torch.bool)
    visible[:, 6:] = False
    classes = torch.zeros(40, 4, 8)
    classes[3] = 1.0
    view = NovelView(0.1, torch.full((4, 8), 4.0), visible, {"semseg": classes})
    write_orbit(made_up(), [view, view], tmp_path / "walk.gif")
    _, (frame, *_) = cv2.imreadmulti(str(tmp_path / "walk.gif"))
    found = {tuple(colour) for colour in frame[..., 2::-1].reshape(-1, 3).tolist()}
    # A GIF has 256 colours, so that they come back nearly.
    for colour in (TURBO(1.0)[:3], class_colors(40)[3], (0, 0, 0)):
        assert min(np.abs(np.array(other) / 255 - np.array(colour)).max() for other in found) < 0.03


def test_the_arc_looks_at_one_point_from_one_distance() -> None:
    """Every camera sees the point at 2 m on the first optical axis at 2 m on its own."""
    poses = camera_arc(swing=0.5, distance=2.0, num_poses=16)
    point = torch.tensor([0.0, 0.0, 2.0, 1.0])
    for pose in poses:
        assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-6)
        assert math.isclose(float(torch.linalg.det(pose)), 1.0, rel_tol=1e-5)
        assert_allclose(torch.linalg.inv(pose) @ point, [0, 0, 2, 1], atol=1e-5)
    assert_allclose(poses[0], np.eye(4))
    offsets = [float(pose[0, 3]) for pose in poses]
    assert_allclose([max(offsets), min(offsets), offsets[4]], [0.5, -0.5, 0.5], atol=1e-6)


def test_each_kind_of_label_has_its_colours() -> None:
    """A wall that faces the camera is (0, 0, 1); the first of two boundary pixels is unlabelled."""
    normals = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 1.0]])[:, None]
    values, valid = label_values(NORMALS, normals)
    assert_allclose(colorize(NORMALS, values, valid=valid)[0], [[0, 0, 0], [0.5, 0.5, 1.0]])
    values, valid = label_values(BOUNDARY, torch.tensor([[[255.0, 0.5]]]))
    assert_allclose(colorize(BOUNDARY, values, valid=valid)[0], [[0, 0, 0], [0.5, 0.5, 0.5]])
    values, valid = label_values(SEMSEG, torch.tensor([[255, 39]]))
    assert_allclose(colorize(SEMSEG, values, valid=valid)[0], [[0, 0, 0], class_colors(40)[39]])
    values, valid = label_values(DEPTH, torch.tensor([[[0.0, 3.0]]]))
    assert_allclose(colorize(DEPTH, values, (1.0, 3.0), valid)[0], [[0, 0, 0], TURBO(1.0)[:3]], atol=1e-6)


def test_a_scale_is_never_empty() -> None:
    assert span_of([np.zeros(0, np.float32), np.full(2, 3.0, np.float32)]) == (3.0, 4.0)
    assert span_of([np.array([2.0, 5.0], np.float32), np.array([0.0], np.float32)]) == (2.0, 5.0)


@pytest.mark.parametrize(("count", "least"), [(13, 0.06), (41, 0.06), (40, 0.03)])
def test_no_two_classes_look_alike(count: int, least: float) -> None:
    """The 40 classes have the colours of ScanNet's tools: bookshelf and night stand are 10 of 255 apart."""
    colours = class_colors(count)
    gaps = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + np.eye(count)
    assert gaps.min() > least
    assert colours.max(axis=1).min() > 0.5
