"""Sets of tasks, and the words that messages are made of."""

from __future__ import annotations

import pytest

from benchmark.tasks import DEPTH, NORMALS, SEMSEG, TaskSet, and_more, counted, suggest


def test_a_set_has_tasks_of_different_names_in_their_order() -> None:
    assert list(TaskSet([DEPTH, SEMSEG])) == ["depth", "semseg"]
    for tasks in ([], [DEPTH, NORMALS, DEPTH.adjusted(loss_weight=2.0)]):
        with pytest.raises(ValueError, match="a task set needs tasks of different names, found"):
            TaskSet(tasks)


def test_numbers_have_their_noun_in_singular_and_plural() -> None:
    assert [counted(number, "cell") for number in (0, 1, 2)] == ["0 cells", "1 cell", "2 cells"]
    assert [and_more(number, "file") for number in (1, 2, 3)] == ["", " (and 1 more file)", " (and 2 more files)"]


def test_a_near_name_is_suggested_and_a_far_one_is_not() -> None:
    assert suggest("semsg", ["depth", "semseg"]) == " Did you mean 'semseg'?"
    assert suggest("boundary", ["depth", "semseg"]) == ""
