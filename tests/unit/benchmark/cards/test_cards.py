"""Cards from docstrings: reading, missing fields, Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark.cards.reading import (
    METRIC_FIELDS,
    CardError,
    MetricCards,
    fields,
    incomplete,
    incomplete_data,
    metric_cards,
    section,
)
from benchmark.cards.text import DataSet, data_text, metrics_text

MODULE = '''\
"""Depth: two errors.

Prose that is no part of the card.

Metric card
-----------
* **Valid pixels**: where depth is known,
  that is everywhere.
* **Resolution**: stored.
* **Pooling**: pixels.
* **Source**: a paper.
* **Deviations**: none known.

`rmse@pixel`
* **Formula**: `sqrt(sum |p - g|^2 / n)`

`rmse@image`, `rmse@batch`
* **Formula**: `mean of roots`
* **Pooling**: images.
{more}
Another heading
---------------
* **Formula**: not ours
"""
'''


@pytest.fixture
def write(tmp_path: Path):
    """Write a module whose card has some more lines, and read the cards of its folder."""

    def write_module(more: str = "") -> list[MetricCards]:
        (tmp_path / "depth.py").write_text(MODULE.replace("{more}", more))
        (tmp_path / "none.py").write_text("x = 1\n")
        return metric_cards([tmp_path])

    return write_module


def test_common_fields_hold_for_every_name_and_own_ones_replace_them(write):
    (cards,) = write()
    assert cards.title == "Depth: two errors"
    assert list(cards.own) == ["rmse@pixel", "rmse@image", "rmse@batch"]
    assert cards.field("rmse@pixel", "Valid pixels") == "where depth is known, that is everywhere."
    assert cards.field("rmse@pixel", "Pooling") == "pixels."
    assert cards.field("rmse@image", "Pooling") == cards.field("rmse@batch", "Pooling") == "images."
    assert cards.field("rmse@batch", "Formula") == "`mean of roots`"


def test_a_complete_card_is_no_problem(write):
    assert incomplete(write(), ["rmse@pixel", "rmse@image"]) == []


def test_a_metric_without_a_card_is_named(write):
    assert incomplete(write(), ["rmse@pixel", "absRel"]) == [
        "no docstring of benchmark/metrics has a card of 'absRel'; write one below 'Metric card'"
    ]


@pytest.mark.parametrize("field", METRIC_FIELDS)
def test_a_missing_field_is_named_with_module_and_metric(tmp_path, field):
    text = "\n".join(line for line in MODULE.replace("{more}", "").splitlines() if f"**{field}**" not in line)
    (tmp_path / "depth.py").write_text(text + "\n")
    found = incomplete(metric_cards([tmp_path]), [])
    # The second name has a pooling of its own.
    assert f"{tmp_path / 'depth.py'}: the card of 'rmse@pixel' lacks {field!r}" in found


def test_two_cards_of_one_name_are_refused(write):
    with pytest.raises(CardError, match=r"depth\.py: the metric 'rmse@pixel' has two cards; keep one"):
        write("\n`rmse@pixel`\n* **Formula**: `another`\n")


def test_a_field_given_twice_is_refused(write):
    with pytest.raises(CardError, match=r"depth\.py: the field 'Pooling' occurs twice"):
        write("* **Pooling**: again.\n")


def test_a_section_ends_at_the_next_underlined_heading():
    assert section("a\n\nData card\n---------\nb\n\nc\nOther\n=====\nd", "Data card") == "b\n\nc"
    assert section("a\n\nData card\nb", "Data card") == ""


def test_bullets_may_hold_a_code_block():
    assert fields("* **What**: a folder\n\n      a/b.png\n\n* **Size**: any\nprose\n  more") == {
        "What": "a folder a/b.png",
        "Size": "any",
    }


def test_bars_in_a_formula_do_not_end_a_cell_of_the_table(write):
    text = metrics_text(write(), write()[0].module.parent)
    assert "| `rmse@pixel` | m | lower | depth | `sqrt(sum \\|p - g\\|^2 / n)` |" in text
    assert "* `rmse@image`, **Pooling**: images." in text
    assert "not ours" not in text


def test_missing_fields_of_a_data_card_are_named(tmp_path):
    path = tmp_path / "dataset.py"
    path.write_text('"""A data set.\n\nData card\n---------\n* **What**: frames\n* **semseg**: x\n* **Size**: 1\n"""\n')
    assert incomplete_data(path, ["depth"]) == [
        f"{path}: the data card lacks {field!r}" for field in ("Source", "Licence", "Images", "Deviations", "depth")
    ]
    path.write_text('"""A data set."""\n')
    assert incomplete_data(path, []) == [f"{path}: the docstring has no 'Data card'"]


def test_a_data_card_is_shown_as_it_is_written(tmp_path):
    path = tmp_path / "dataset.py"
    path.write_text('"""A data set.\n\nData card\n---------\n* **What**: frames\n\nAnd prose.\n"""\n')
    text = data_text([DataSet("mine", "My frames", "https://example.org/paper", path)], tmp_path)
    assert "## My frames (`mine`)" in text
    assert text.endswith("* **What**: frames\n\nAnd prose.\n")
