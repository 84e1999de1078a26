"""Counts of single images."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from boundary_cases import scattered, soft_scene

from benchmark.boundaries import compiled
from benchmark.boundaries.counting import count_boundaries
from benchmark.boundaries.protocols import BSDS, MAX_DISTANCE, SEISM, Protocol, evenly_spaced
from benchmark.boundaries.summary import summarise

PLAIN = replace(BSDS, thinned=False, max_distance=0.02)
"""Protocol without thinning, so that predicted pixels can be written by hand."""


def test_with_a_single_annotator_both_counts_of_matches_are_the_same() -> None:
    strength, truth = soft_scene(0)
    counts = count_boundaries(strength, [truth], SEISM)
    assert counts.shape == (101, 4)
    assert np.array_equal(counts[:, 0], counts[:, 2])
    assert counts[:, 0].any()


def test_seism_compares_above_the_threshold_in_single_precision_and_bsds_at_least() -> None:
    """51 / 255 is 0.2 in both precisions."""
    strength, truth = np.full((1, 1), 51, np.uint8), np.ones((1, 1), bool)
    for protocol, predicted in ((replace(SEISM, suppressed=False), 0), (BSDS, 1)):
        counts = count_boundaries(strength, [truth], replace(protocol, thresholds=(0.2,)))
        assert counts[0, 3] == predicted, protocol.name


def test_a_pixel_without_strength_is_predicted_at_no_threshold() -> None:
    counts = count_boundaries(np.zeros((4, 5)), [np.ones((4, 5), bool)], replace(PLAIN, thresholds=(0.0, 0.5)))
    assert counts[:, 3].tolist() == [0, 0]


def test_a_predicted_pixel_counts_once_however_many_annotators_drew_it() -> None:
    """Two predicted pixels; annotator A drew the first one, B both, C none: cntR 3 of sumR 3, cntP 2 of sumP 2."""
    strength, first = np.zeros((60, 80)), np.zeros((60, 80), bool)
    strength[10, 10] = strength[40, 40] = 1
    first[10, 10] = True
    counts = count_boundaries(strength, [first, strength == 1, np.zeros((60, 80), bool)], PLAIN)
    assert (counts == [3, 3, 2, 2]).all()


def test_a_perfect_prediction_scores_one() -> None:
    truth = scattered(0, (40, 50), 0.05)
    summary = summarise(count_boundaries(truth, [truth], PLAIN)[None], PLAIN)
    assert (summary.ods.f, summary.ois.f) == (1, 1)


def test_8_bit_maps_and_the_floats_they_stand_for_score_the_same() -> None:
    strength, truth = soft_scene(1)
    for protocol, precision in ((SEISM, np.float32), (BSDS, np.float64)):
        stored = count_boundaries(strength, [truth], protocol)
        assert np.array_equal(stored, count_boundaries(strength.astype(precision) / precision(255), [truth], protocol))


def test_a_threshold_scores_the_same_alone_and_among_others() -> None:
    strength, truth = soft_scene(2)
    truths = [truth, np.roll(truth, 2, 0), np.roll(truth, 2, 1)]
    together = count_boundaries(strength, truths, SEISM)
    for place in (0, 20, 50, 90):
        alone = count_boundaries(strength, truths, replace(SEISM, thresholds=(SEISM.thresholds[place],)))
        assert np.array_equal(alone[0], together[place])


@pytest.mark.parametrize("value", [0, 255])
@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize("protocol", [SEISM, BSDS], ids=["seism", "bsds"])
def test_uniform_maps_are_scored(value: int, truth: bool, protocol: Protocol) -> None:
    counts = count_boundaries(np.full((31, 42), value, np.uint8), [np.full((31, 42), truth)], protocol)
    assert (counts[:, 1] == truth * 31 * 42).all()
    assert (counts[:, 0] <= counts[:, 3]).all()
    assert np.isfinite(summarise(counts[None], protocol).ods.f)


@pytest.mark.parametrize(
    ("strength", "truths", "message"),
    [
        (np.full((4, 5), 1.5), [np.zeros((4, 5), bool)], r"boundary strength must lie in 0\.\.1, found 1\.5\.\.1\.5"),
        (np.full((4, 5), np.nan), [np.zeros((4, 5), bool)], r"must lie in 0\.\.1, found nan"),
        (np.full((4, 5), 300), [np.zeros((4, 5), bool)], r"must lie in 0\.\.255, found 300\.\.300"),
        (np.zeros((4, 5)), [np.zeros((5, 4), bool)], r"prediction \(4, 5\) and ground truth \(5, 4\) differ in size"),
        (np.zeros((4, 5)), [], "no ground truth"),
    ],
)
def test_wrong_inputs_are_refused(strength: Any, truths: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        count_boundaries(strength, truths, SEISM)


def test_bsds_spaces_thresholds_like_numpy() -> None:
    assert evenly_spaced(99) == tuple(np.linspace(0.01, 0.99, 99)) == BSDS.thresholds
    assert evenly_spaced(5) == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert evenly_spaced(1) == (0.5,)


def test_a_metric_name_has_the_ground_truth_if_it_is_not_the_default() -> None:
    labels = [replace(SEISM, ground_truth="direct").label, SEISM.label, BSDS.label]
    assert labels == ["seism-direct", "seism", "bsds"]
    assert replace(BSDS, ground_truth="seism").label == "bsds-seism"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"thresholds": (0.5, 0.2)}, "must ascend"),
        ({"thresholds": (0.5, 1.2)}, r"must lie in 0\.\.1, found 0\.5\.\.1\.2"),
        ({"thresholds": ()}, "must ascend"),
        ({"max_distance": 1.5}, "share of the image diagonal"),
    ],
)
def test_an_invalid_protocol_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SEISM, **changes)


@pytest.fixture
def plain_python(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The counting module without numba."""
    loaded = {name: module for name, module in sys.modules.items() if name.startswith("benchmark.boundaries")}
    for name in loaded.keys() - {"benchmark.boundaries"}:
        # Both import caches are restored after the test.
        parent, _, child = name.rpartition(".")
        monkeypatch.delattr(loaded[parent], child)
        monkeypatch.delitem(sys.modules, name)
    with monkeypatch.context() as blocked:
        blocked.setitem(sys.modules, "numba", None)
        with pytest.warns(UserWarning, match="runs in plain Python, which is slow: .*numba"):
            return import_module("benchmark.boundaries.counting")


def test_without_numba_the_numbers_are_the_same(plain_python: Any) -> None:
    assert plain_python.count_boundaries is not count_boundaries
    assert not hasattr(sys.modules["benchmark.boundaries.thinning"].thin_in_turn, "signatures")
    for seed in range(2):
        strength, truth = soft_scene(seed)
        for truths in ([truth], [truth, np.roll(truth, 1, 0), scattered(seed, truth.shape, 0.05)]):
            expected = count_boundaries(strength, truths, SEISM)
            assert np.array_equal(plain_python.count_boundaries(strength, truths, SEISM), expected)


def test_loops_are_compiled_where_no_folder_for_the_cache_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(loop: Any = None, cache: bool = False) -> Any:
        if not cache:
            return ("compiled", loop)

        def refuse(loop: Any) -> Any:
            raise RuntimeError("cannot cache function: no locator available")

        return refuse

    monkeypatch.setattr(compiled, "compiler", lambda: njit)
    assert compiled.compiled(len) == ("compiled", len)


def test_each_loop_is_compiled_once() -> None:
    """Another type of an argument would cost each process some seconds."""
    from benchmark.boundaries import matching_loops, thinning

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        strength, truth = soft_scene(3)
        for protocol in (SEISM, BSDS, PLAIN):
            for kind in (np.uint8, np.float32, np.float64):
                values = strength if kind == np.uint8 else strength.astype(kind) / 255
                count_boundaries(values, [truth, truth.T.copy().T], protocol)
                count_boundaries(values, [truth], protocol)
    for loop in (matching_loops.match_in_turn, thinning.thin_in_turn):
        assert len(getattr(loop, "signatures", [0])) == 1


def test_distances_of_a_match_are_those_of_the_papers() -> None:
    """SEISM's readme and the BSDS benchmark: 0.011 on NYUD-v2, 0.0075 on PASCAL-Context and BSDS500."""
    assert MAX_DISTANCE == {"nyud": 0.011, "pascal": 0.0075, "bsds": 0.0075}
    assert (SEISM.max_distance, BSDS.max_distance) == (0.011, 0.0075)
    assert evenly_spaced(1) == (0.5,)
    assert evenly_spaced(3) == pytest.approx((0.25, 0.5, 0.75))
