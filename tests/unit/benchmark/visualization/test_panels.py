"""Panels of predictions: what their tiles, titles and legends show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from benchmark.tasks import NYUV2_TASKS
from benchmark.visualization.colors import class_colors, colorize
from benchmark.visualization.panels import averaged, ball_of_normals, prediction_panel, tile_inches

ROWS, COLUMNS = 6, 8


def predictions() -> dict[str, Any]:
    """Arrays of each task with one value that differs from the others, in the second row and third column."""
    classes = np.full((ROWS, COLUMNS), 3)
    depth, boundary = np.full((ROWS, COLUMNS), 1.0, np.float32), np.full((ROWS, COLUMNS), 0.25, np.float32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (ROWS, COLUMNS, 1))
    classes[1, 2], depth[1, 2], boundary[1, 2], normals[1, 2] = 7, 5.0, 1.0, (1, 0, 0)
    return {"semseg": classes, "depth": depth, "normals": normals, "boundary": boundary}


@pytest.fixture
def tiles() -> list[Axes]:
    """The pictures, then the legends, of a picture and the predictions of four tasks."""
    image = np.zeros((ROWS, COLUMNS, 3), np.uint8)
    names = [f"class {number}" for number in range(40)]
    return prediction_panel(image, predictions(), NYUV2_TASKS, {"semseg": names}).axes[:10]


def test_each_tile_shows_the_colours_of_its_task(tiles: list[Axes]) -> None:
    """At the pixel that differs, and at another one."""
    shown = [np.asarray(axes.images[0].get_array()) for axes in tiles[:5]]
    assert all(picture.shape[:2] == (ROWS, COLUMNS) for picture in shown)
    _, classes, depth, normals, boundary = shown
    np.testing.assert_allclose(classes[1, 2], class_colors(40)[7])
    np.testing.assert_allclose(classes[0, 0], class_colors(40)[3])
    np.testing.assert_allclose(normals[1, 2], (1, 0.5, 0.5))
    np.testing.assert_allclose(normals[2, 1], (0.5, 0.5, 1))
    np.testing.assert_allclose([boundary[1, 2], boundary[0, 0]], [[1.0] * 3, [0.25] * 3])
    # The ends of the scale of matplotlib are a dark blue and a dark red.
    assert depth[0, 0].argmax() == 2
    assert depth[1, 2].argmax() == 0


def test_titles_name_size_task_and_unit(tiles: list[Axes]) -> None:
    assert [axes.get_title() for axes in tiles[:5]] == ["8x6", "semseg", "depth (m)", "normals", "boundary"]


def test_the_legend_of_classes_begins_with_the_most_frequent(tiles: list[Axes]) -> None:
    legend = tiles[6].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["class 3", "class 7"]
    np.testing.assert_allclose(legend.get_patches()[1].get_facecolor()[:3], class_colors(40)[7])


def test_scales_have_the_span_of_the_values_or_of_probabilities(tiles: list[Axes]) -> None:
    depth, boundary = (tiles[place].child_axes[0] for place in (7, 9))
    assert (depth.get_xlim(), depth.get_xlabel()) == ((1.0, 5.0), "m")
    assert (boundary.get_xlim(), boundary.get_xlabel()) == ((0.0, 1.0), "probability")


def test_values_beyond_their_range_get_the_colour_of_the_nearest_end() -> None:
    values = np.array([-2.0, 2.0, 1.5], np.float32)[:, None, None]
    assert colorize(NYUV2_TASKS["normals"], values).tolist() == [[[0.0, 1.0, 1.0]]]
    assert colorize(NYUV2_TASKS["boundary"], values[1:]).tolist() == [[[1.0, 1.0, 1.0]]]
    beyond = colorize(NYUV2_TASKS["semseg"], np.array([[[-1.0, 41.0]]], np.float32))
    np.testing.assert_allclose(beyond[0], class_colors(40)[[0, 39]])


def test_a_large_picture_is_reduced_to_means_of_blocks() -> None:
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert averaged(image, 1) is image
    assert averaged(image, 2).shape == (2, 2, 3)
    # The first channel holds 0, 3, 12, 15 in the first block.
    assert abs(int(averaged(image, 2)[0, 0, 0]) - 7.5) <= 0.5


@pytest.mark.parametrize("size", [(100, 100), (100, 200), (200, 100)])
def test_tiles_have_the_aspect_of_the_picture_and_one_area(size: tuple[int, int]) -> None:
    width, height = tile_inches(*size)
    assert width / height == pytest.approx(size[1] / size[0])
    assert width * height == pytest.approx(np.prod(tile_inches(100, 100)))


def test_tiles_of_a_strip_stay_within_the_limits() -> None:
    assert tile_inches(10, 1000)[0] == 6.0
    assert tile_inches(1000, 10) == (1.6, 6.0)


def test_the_ball_of_normals_faces_the_camera() -> None:
    """Its middle looks to the camera, its right end to the right, its lower end down; outside is white."""
    ball = ball_of_normals(65)
    np.testing.assert_allclose(ball[32, 32], (0.5, 0.5, 1.0), atol=1e-6)
    assert ball[32, 64, 0] > 0.99
    assert ball[64, 32, 1] > 0.99
    assert ball[0, 0].tolist() == [1.0, 1.0, 1.0]
