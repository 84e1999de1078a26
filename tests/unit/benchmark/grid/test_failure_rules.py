"""Consequences of the classes of failures, with cells that run in this process."""

from __future__ import annotations

import errno
import io
import time
from collections import Counter
from itertools import pairwise

import pytest

from benchmark.grid.cells import cells, run
from benchmark.grid.executors.in_process import InProcessExecutor
from benchmark.grid.failures import FailureRules
from benchmark.grid.progress import LineProgress, Outcome
from benchmark.records.failures import CODE, DATA, INFRASTRUCTURE, OUT_OF_MEMORY, class_of_exit, class_of_os_error
from benchmark.records.result import RunResult, RunSpec, failure
from benchmark.records.store import ResultStore

METRICS = {"semseg": {"mIoU": {"value": 1.0, "unit": "%", "higher_is_better": True}}}
DONE_RESULT = ("done", "", None)


class Grid:
    """A grid whose cells have scripted outcomes: (status, error, class) of each attempt; the last one repeats."""

    def __init__(self, folder, script):
        self.store, self.script, self.starts = ResultStore(folder), script, Counter()
        self.times: list[float] = []
        self.text = io.StringIO()

    def run_cell(self, spec: RunSpec, folder) -> RunResult:
        outcomes = self.script.get((spec.method, spec.regularizer), [DONE_RESULT])
        status, error, error_class = outcomes[min(self.starts[spec], len(outcomes) - 1)]
        self.starts[spec] += 1
        self.times.append(time.monotonic())
        if status == "done":
            return RunResult(spec, "done", METRICS)
        return failure(spec, status, error.format(seed=spec.seed), {}, error_class)

    def run(self, methods, regularizers=("none",), seeds=1, first_delay=0.01, **options):
        grid = cells("smoke", methods, regularizers, range(seeds), "b", ["semseg"])
        executor = InProcessExecutor(self.store, self.run_cell)
        rules = FailureRules(first_delay=first_delay)
        return run(grid, self.store, executor, LineProgress(self.text), rules=rules, **options)


def counts(report) -> Counter:
    return Counter(outcome.status for outcome in report.outcomes.values())


def test_a_failure_of_the_infrastructure_is_tried_again_with_back_off(tmp_path):
    lost = ("failed", "the disk is gone", INFRASTRUCTURE)
    grid = Grid(tmp_path, {("a", "none"): [lost, lost, DONE_RESULT]})
    assert counts(grid.run(["a"])) == {"done": 1}
    assert list(grid.starts.values()) == [3]
    assert grid.text.getvalue().count("again in") == 2


def test_an_attempt_waits_for_its_delay(tmp_path):
    grid = Grid(tmp_path, {("a", "none"): [("failed", "the disk is gone", INFRASTRUCTURE)]})
    grid.run(["a"], first_delay=0.2)
    waits = [after - before for before, after in pairwise(grid.times)]
    assert len(waits) == 2
    assert waits[0] >= 0.2
    assert waits[1] >= 0.4


def test_retries_end_and_the_class_is_stored(tmp_path):
    grid = Grid(tmp_path, {("a", "none"): [("failed", "the disk is gone", INFRASTRUCTURE)]})
    (spec, outcome), *_ = grid.run(["a"]).outcomes.items()
    assert outcome == Outcome("failed", "the disk is gone", INFRASTRUCTURE)
    assert grid.starts[spec] == 3, "one start and two retries"
    assert grid.store.read(spec).error_class == INFRASTRUCTURE
    assert '"error_class": "infrastructure"' in grid.store.path(spec).read_text()


def test_the_delay_doubles():
    rules, lost = FailureRules(retries=3, first_delay=10), Outcome("failed", "", INFRASTRUCTURE)
    spec = RunSpec("r", "m", "none", "b", ("semseg",), 0)
    assert [rules.delay(spec, lost) for _ in range(4)] == [10, 20, 40, None]


def test_by_default_two_retries_after_10_and_20_seconds():
    rules, lost = FailureRules(), Outcome("failed", "", INFRASTRUCTURE)
    spec = RunSpec("r", "m", "none", "b", ("semseg",), 0)
    assert [rules.delay(spec, lost) for _ in range(3)] == [10, 20, None]


def test_the_stop_of_a_method_is_told_once():
    """A third cell may run already when the second fails."""
    rules, wrong = FailureRules(), Outcome("failed", "wrong", CODE)
    specs = cells("smoke", ["a"], ["r"], range(3), "b", ["semseg"])
    lines = [rules.record(spec, wrong) for spec in specs]
    assert lines == [None, "two cells failed alike; the other cells of a+r are not started", None]


@pytest.mark.parametrize("error_class", [CODE, DATA, OUT_OF_MEMORY, None])
def test_no_other_class_is_tried_again(tmp_path, error_class):
    grid = Grid(tmp_path, {("a", "none"): [("failed", "wrong", error_class)]})
    assert counts(grid.run(["a"])) == {"failed": 1}
    assert list(grid.starts.values()) == [1]


def test_two_like_code_errors_stop_the_cells_of_the_method_alone(tmp_path):
    grid = Grid(tmp_path, {("a", "none"): [("failed", "shape 3 at seed {seed}", CODE)]})
    report = grid.run(["a", "b"], seeds=5)
    assert counts(report) == {"done": 5, "failed": 2, "left": 3}
    assert {spec.method for spec, outcome in report.outcomes.items() if outcome.status == "left"} == {"a"}
    assert grid.text.getvalue().count("two cells failed alike; the other cells of a are not started") == 1


def test_code_errors_of_a_regularizer_leave_the_cells_without_it_alone(tmp_path):
    grid = Grid(tmp_path, {("a", "r"): [("failed", "wrong", CODE)]})
    report = grid.run(["a"], ["r", "none"], seeds=4)
    assert counts(report) == {"done": 4, "failed": 2, "left": 2}


def test_code_errors_under_two_regularizers_stop_the_method(tmp_path):
    wrong = [("failed", "wrong", CODE)]
    grid = Grid(tmp_path, {("a", "none"): wrong, ("a", "r"): wrong})
    assert counts(grid.run(["a"], ["none", "r", "s"], seeds=2)) == {"failed": 2, "left": 4}


def test_different_code_errors_stop_nothing(tmp_path):
    grid = Grid(tmp_path, {("a", "none"): [("failed", "no {seed}".replace("no", "n" * 3), CODE)]})
    script = grid.script
    script[("b", "none")] = [("failed", "another", CODE)]
    assert counts(grid.run(["a", "b"])) == {"failed": 2}


def test_a_data_error_stops_the_grid(tmp_path):
    grid = Grid(tmp_path, {("a", "none"): [("failed", "frame 3 is damaged", DATA)]})
    report = grid.run(["a", "b"], seeds=3)
    assert counts(report) == {"failed": 1, "left": 5}
    assert grid.text.getvalue().count("a data error stops the grid") == 1


def test_a_diverged_cell_is_a_result(tmp_path):
    grid = Grid(tmp_path, {("a", "none"): [("diverged", "the loss is NaN", None)]})
    report = grid.run(["a", "b"], seeds=3)
    assert counts(report) == {"diverged": 3, "done": 3}
    assert grid.store.read(next(iter(report.not_done))).error_class == "diverged"


def test_a_limit_leaves_the_other_cells(tmp_path):
    grid = Grid(tmp_path, {})
    assert counts(grid.run(["a"], seeds=5, limit=2)) == {"done": 2, "left": 3}
    assert counts(grid.run(["a"], seeds=5, limit=2)) == {"done": 4, "left": 1}


@pytest.mark.parametrize(
    ("returncode", "expected"),
    [
        *((code, INFRASTRUCTURE) for code in (-9, -15, -2, -1, -10, -12, -13, 75, 85)),
        *((code, CODE) for code in (-11, -6, 0, 1, 9)),
    ],
)
def test_the_end_of_a_process_has_a_class(returncode, expected):
    assert class_of_exit(returncode) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOMEM, "no memory"), OUT_OF_MEMORY),
        *(
            (OSError(getattr(errno, name), "gone"), INFRASTRUCTURE)
            for name in (
                "ENOSPC",
                "EDQUOT",
                "EIO",
                "EROFS",
                "ESTALE",
                "ENFILE",
                "EMFILE",
                "EAGAIN",
                "ENETDOWN",
                "EPIPE",
            )
        ),
        (ConnectionError("without a number"), INFRASTRUCTURE),
        (TimeoutError("without a number"), INFRASTRUCTURE),
        (FileNotFoundError(errno.ENOENT, "a wrong path"), CODE),
        (PermissionError(errno.EACCES, "not allowed"), CODE),
    ],
)
def test_an_error_of_the_operating_system_has_a_class(error, expected):
    assert class_of_os_error(error) == expected
