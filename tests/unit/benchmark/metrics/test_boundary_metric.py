"""The boundary metric is the published protocol, applied to data samples."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmark.boundaries.counting import count_boundaries
from benchmark.boundaries.ground_truth import annotation_of, true_boundaries
from benchmark.boundaries.protocols import SEISM
from benchmark.boundaries.summary import summarise
from benchmark.metrics import boundary, metric_of
from benchmark.tasks import BOUNDARY

SHAPE = (60, 80)


def scene(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Predicted probabilities and drawn boundaries."""
    random = np.random.default_rng(seed)
    drawn = np.zeros(SHAPE, np.float32)
    drawn[random.integers(10, 50)] = drawn[:, random.integers(10, 70)] = 1
    soft = 3 * gaussian_filter(drawn, 1.5) + 0.2 * random.random(SHAPE)
    return np.clip(soft, 0, 1).astype(np.float32), drawn


def evaluate(pairs: list[tuple[NDArray[np.float32], NDArray[np.float32]]], **options: float) -> dict[str, float]:
    """The metric over images, without the name of the task."""
    metric = metric_of(BOUNDARY, **options)
    samples = [
        {"pred_boundary": {"data": torch.tensor(predicted)[None]}, "gt_boundary": {"data": torch.tensor(drawn)[None]}}
        for predicted, drawn in pairs
    ]
    metric.process(None, samples)
    return {name.removeprefix("boundary/"): value for name, value in metric.evaluate(len(pairs)).items()}


def test_fully_labelled_images_are_scored_by_the_published_protocol() -> None:
    """Expected: each map saved as a PNG, with 255 p truncated, and scored by the functions of the tool."""
    pairs = [scene(seed) for seed in range(3)]
    expected = {}
    for variant, names in (("seism", ("odsF", "oisF")), ("direct", ("odsF",))):
        protocol = replace(SEISM, ground_truth=variant)
        counts = np.stack(
            [
                count_boundaries(
                    np.floor(255 * predicted).astype(np.uint8),
                    [true_boundaries(annotation_of(drawn.astype(np.uint8) * 255), variant)],
                    protocol,
                )
                for predicted, drawn in pairs
            ]
        )
        summary = summarise(counts, protocol)
        expected |= {f"{name}@{protocol.label}": 100 * getattr(summary, name[:3]).f for name in names}
    found = evaluate(pairs)
    assert {name: found[name] for name in expected} == expected
    assert found.keys() - expected.keys() == {"ap@pixel"}
    assert found["oisF@seism"] >= found["odsF@seism"] > 50


def test_unlabelled_pixels_are_no_boundaries_on_either_side() -> None:
    predicted, drawn = scene(0)
    hidden = np.zeros(SHAPE, bool)
    hidden[20:40, 30:50] = True
    emptied = [(np.where(hidden, 0, predicted), np.where(hidden, 0, drawn))]
    marked = evaluate([(predicted, np.where(hidden, 255, drawn).astype(np.float32))])
    expected = evaluate(emptied)
    for name in ("odsF@seism", "oisF@seism", "odsF@seism-direct"):
        assert marked[name] == expected[name]


def test_half_a_boundary_is_one() -> None:
    counts = boundary.boundary_counts(np.array([0.9, 0.9]), np.array([0.5, 0.49]))
    assert (counts.positive.sum(), counts.negative.sum()) == (1, 1)


def test_a_split_that_is_labelled_but_has_no_boundary_scores_zero() -> None:
    predicted, drawn = scene(0)
    found = evaluate([(predicted, np.zeros_like(drawn)), (np.zeros_like(predicted), np.zeros_like(drawn))])
    assert found == {"odsF@seism": 0, "oisF@seism": 0, "odsF@seism-direct": 0}


def test_images_without_a_boundary_add_wrong_pixels_only() -> None:
    predicted, drawn = scene(0)
    with_empty = evaluate([(predicted, drawn), (predicted, np.zeros_like(drawn))])
    assert with_empty["odsF@seism"] < evaluate([(predicted, drawn)])["odsF@seism"]
    with_nothing = evaluate([(predicted, drawn), (np.zeros_like(predicted), np.zeros_like(drawn))])
    assert with_nothing["odsF@seism"] == evaluate([(predicted, drawn)])["odsF@seism"]


def test_a_prediction_that_is_not_a_number_shows_in_every_number() -> None:
    predicted, drawn = scene(0)
    spoilt = predicted.copy()
    spoilt[3, 4] = np.nan
    assert all(np.isnan(value) for value in evaluate([(spoilt, drawn), (predicted, drawn)]).values())


def test_the_distance_of_a_match_is_an_option() -> None:
    """A line 2 px from the true line: the diagonal is 100, so the distance is above 0.011 and below 0.03 of it."""
    _, drawn = scene(1)
    shifted = gaussian_filter(np.roll(drawn, (2, 2), (0, 1)), 1.0)
    pairs = [(shifted, drawn)]
    assert evaluate(pairs, max_distance=0.03)["odsF@seism"] > evaluate(pairs)["odsF@seism"] + 20
    assert evaluate(pairs, max_distance=0.011) == evaluate(pairs)


def test_half_precision_predictions_are_scored() -> None:
    predicted, drawn = scene(2)
    metric = metric_of(BOUNDARY)
    half = torch.from_numpy(predicted).to(torch.bfloat16)
    metric.process(None, [{"pred_boundary": {"data": half[None]}, "gt_boundary": {"data": torch.tensor(drawn)[None]}}])
    assert metric.evaluate(1) == {
        f"boundary/{name}": value for name, value in evaluate([(half.float().numpy(), drawn)]).items()
    }


def test_the_counts_of_an_image_take_a_few_kilobytes() -> None:
    metric = metric_of(BOUNDARY)
    predicted, drawn = scene(0)
    counts = metric.measure(torch.from_numpy(predicted)[None], torch.from_numpy(drawn)[None])
    kept = [counts.positive, counts.negative, *counts.matched]
    assert sum(values.nbytes for values in kept) < 12_000
    assert [values.shape for values in counts.matched] == [(101, 4)] * 2


def test_the_compiler_is_imported_when_a_boundary_is_scored_and_not_before() -> None:
    tree = ast.parse(Path(str(boundary.__file__)).read_text())
    imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name for name in imported if name and name.startswith("benchmark.boundaries")} == {
        "benchmark.boundaries.protocols"
    }


def test_outlines_that_were_thinned_before_are_not_outlined_again() -> None:
    """The tool outlines and thins the label map of PASCAL-Context once; its prepared copy holds the outcome."""
    labels = np.zeros(SHAPE, np.int64)
    labels[20:45, 15:60] = 1
    stored = true_boundaries(annotation_of(labels), "seism")
    predicted = scene(0)[0]
    counts = count_boundaries(np.floor(255 * predicted).astype(np.uint8), [stored], SEISM)
    found = evaluate([(predicted, stored.astype(np.float32))], outlined=True)
    assert found["odsF@seism"] == found["odsF@seism-direct"] == 100 * summarise(counts[None], SEISM).ods.f
    assert found["odsF@seism"] != evaluate([(predicted, stored.astype(np.float32))])["odsF@seism"]
