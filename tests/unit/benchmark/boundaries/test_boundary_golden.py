"""Boundary evaluation against the original C++ and MATLAB code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boundary_cases import NATURAL, GoldenCase, golden_case, unpacked
from numpy.typing import NDArray

from benchmark.boundaries.counting import count_boundaries, in_unit_range, predicted_sets
from benchmark.boundaries.matching import match_sets, tolerance_of
from benchmark.boundaries.protocols import BSDS, SEISM, evenly_spaced
from benchmark.boundaries.summary import best_between, points, summarise
from benchmark.boundaries.suppression import suppress

WORST = ("nyud_seism_full", "shift_3_0", "shift_5_5", "multi_gt_shift")


@pytest.fixture(scope="module")
def cases(golden_folder: Path) -> dict[str, GoldenCase]:
    """All cases of a file of golden numbers, by name; the reduced file has the synthetic ones only."""
    return all_cases(np.load(golden_folder / "boundary.npz"))


@pytest.fixture(scope="module")
def golden(shared: Path) -> Any:
    """The whole file of golden numbers, with photographs."""
    return np.load(shared / "golden" / "boundary.npz")


@pytest.fixture(scope="module")
def photographs(golden: Any) -> dict[str, GoldenCase]:
    """All cases of the whole file by name."""
    return all_cases(golden)


def all_cases(golden: Any) -> dict[str, GoldenCase]:
    return {str(name): golden_case(golden, str(name)) for name in golden["names"]}


@pytest.fixture(scope="module")
def counted(cases: dict[str, GoldenCase]) -> dict[str, NDArray[np.int64]]:
    """Counts of each case."""
    return {name: count_boundaries(case.strength, list(case.truths), case.protocol) for name, case in cases.items()}


def test_thresholded_and_thinned_maps_are_exact(cases: dict[str, GoldenCase]) -> None:
    for case in cases.values():
        sets, position = predicted_sets(in_unit_range(case.strength, case.protocol), case.protocol)
        for threshold, expected in enumerate(case.binary):
            found = np.zeros(expected.shape, bool)
            found.flat[sets[position[threshold]]] = True
            assert np.array_equal(found, expected), f"{case.name} at threshold {case.protocol.thresholds[threshold]}"


def test_cardinality_and_cost_of_every_matching_are_exact(cases: dict[str, GoldenCase]) -> None:
    for case in cases.values():
        shape = case.truths.shape[1:]
        tolerance = tolerance_of((shape[0], shape[1]), case.protocol.max_distance)
        predicted = [np.flatnonzero(binary) for binary in case.binary]
        for annotator, truth in enumerate(case.truths):
            number = annotator if len(case.truths) > 1 else None
            true = np.flatnonzero(truth)
            for threshold, mates in enumerate(match_sets(predicted, true, tolerance, number)):
                hit = mates >= 0
                predicted_pixels, true_pixels = predicted[threshold][hit], true[mates[hit]]
                offsets = np.array(np.divmod(predicted_pixels, shape[1])) - np.divmod(true_pixels, shape[1])
                cost = np.rint(100 * np.hypot(*offsets)).sum()
                where = f"{case.name}, threshold {threshold}, annotator {annotator}"
                assert len(set(true_pixels.tolist())) == hit.sum() == case.card[threshold, annotator], where
                assert cost == case.cost[threshold, annotator], where


def test_counts_agree_with_the_original_within_its_own_seed_noise(
    cases: dict[str, GoldenCase], counted: dict[str, NDArray[np.int64]]
) -> None:
    """cntR, sumR and sumP exactly as the optimum; F as the mean of five seeds of the original, which loses matches."""
    for case in cases.values():
        counts = counted[case.name]
        assert np.array_equal(counts[:, 0], case.card.sum(1)), case.name
        assert np.array_equal(counts[:, [1, 3]], case.reference[0][:, [1, 3]]), case.name
        found, seeds = points(counts, BSDS)[:, 2], points(case.reference, BSDS)[..., 2]
        limit = 3e-3 if case.name in WORST or len(case.truths) > 1 else 1e-3
        assert np.abs(found - seeds.mean(0)).max() <= limit, case.name


def test_matched_predicted_pixels_of_several_annotators_agree_with_the_seeds(
    cases: dict[str, GoldenCase], counted: dict[str, NDArray[np.int64]]
) -> None:
    """In the original, ties decide which pixels are matched: the union varies by some pixels with the seed."""
    for case in cases.values():
        if len(case.truths) > 1:
            difference = counted[case.name][:, 2] - case.reference[..., 2].mean(0)
            assert np.abs(difference).max() <= 5, case.name


@pytest.mark.parametrize("name", [*NATURAL, "nyud_seism_full", "nyud_edgepng"])
def test_suppression_is_bit_identical_to_the_original(photographs: dict[str, GoldenCase], name: str) -> None:
    raw = photographs[name].raw
    assert raw is not None
    assert np.array_equal(suppress(raw.astype(np.float32) / np.float32(255)), photographs[name].strength)


def test_counts_from_the_stored_map_are_those_from_the_suppressed_one(photographs: dict[str, GoldenCase]) -> None:
    case = photographs[NATURAL[0]]
    assert case.raw is not None
    whole = count_boundaries(case.raw, list(case.truths), replace(case.protocol, suppressed=True))
    assert np.array_equal(whole, count_boundaries(case.strength, list(case.truths), case.protocol))


@pytest.mark.parametrize("method", ["HED", "SE"])
def test_published_seism_summaries_are_reproduced_to_every_printed_digit(golden: Any, method: str) -> None:
    counts = golden[f"seism_matlab/{method}_counts"].astype(np.int64)
    ods, ois, ap, precision, recall = golden[f"seism_matlab/{method}_ods_ois_ap_P_R"].tolist()
    found = summarise(counts, SEISM)
    assert [round(value, 3) for value in (found.ods.f, found.ois.f, found.ap)] == [ods, ois, ap]
    assert [round(value, 6) for value in (found.ods.precision, found.ods.recall)] == [precision, recall]
    assert found.ois.f >= found.ods.f
    of_images = points(counts, SEISM)[..., 2]
    assert np.abs(of_images - golden[f"seism_matlab/{method}_F"]).max() < 6e-7


def test_thresholds_are_those_of_the_published_list(golden: Any) -> None:
    assert SEISM.thresholds == tuple(map(float, golden["seism_matlab/params"]))


def test_matlab_results_on_five_bsds_images_are_met(golden: Any) -> None:
    """R and F within 4e-4 everywhere; P too, but for the threshold at which the original has 3 more of 5533 pixels."""
    protocol = replace(BSDS, thresholds=evenly_spaced(5))
    stored = [
        (golden[f"matlab_bsds5/{name}/png"], unpacked(golden, f"matlab_bsds5/{name}/gt"))
        for name in golden["matlab_bsds5/ids"]
    ]
    counts = np.stack([count_boundaries(strength, list(truths), protocol) for strength, truths in stored])
    found = summarise(counts, protocol)
    difference = np.abs(found.curve - golden["matlab_bsds5/eval_bdry_thr"][:, 1:])
    assert (difference[:, [0, 2]] < 4e-4).all()
    assert (difference[:, 1] < 6e-4).all()
    threshold, *ods, ois_recall, ois_precision, ois_f, ap = golden["matlab_bsds5/eval_bdry"].tolist()
    assert found.ods.threshold == pytest.approx(threshold, abs=1e-6)
    assert [found.ods.recall, found.ods.precision, found.ods.f] == pytest.approx(ods, abs=4e-4)
    assert [found.ois.recall, found.ois.precision, found.ois.f] == pytest.approx(
        [ois_recall, ois_precision, ois_f], abs=5e-4
    )
    assert found.ap == pytest.approx(ap, abs=4e-4)
    assert found.ois.f >= found.ods.f
    for image, expected in zip(counts, golden["matlab_bsds5/eval_bdry_img"], strict=True):
        best = best_between(points(image, protocol), protocol)
        assert best.threshold == pytest.approx(expected[1], abs=1e-6)
        assert best.f == pytest.approx(expected[4], abs=5e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", NATURAL)
def test_an_image_takes_less_than_a_second_at_all_thresholds(photographs: dict[str, GoldenCase], name: str) -> None:
    from time import process_time

    case = photographs[name]
    assert case.raw is not None
    count_boundaries(case.raw, list(case.truths), SEISM)
    start = process_time()
    count_boundaries(case.raw, list(case.truths), SEISM)
    assert process_time() - start < 1.0
