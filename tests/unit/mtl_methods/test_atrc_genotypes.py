"""Genotypes: the published ones, the choice of one, and its file.

Expected values: the numbers in the folder genotypes of https://github.com/brdav/atrc, commit 76d8055.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtl_methods.atrc.genotypes import CONTEXTS, PUBLISHED, GenotypeError, label_tasks, read, resolve, to_text

NYUD = ["semseg", "depth", "normals", "boundary"]
PASCAL = ["semseg", "human_parts", "saliency", "normals", "boundary"]
NUMBERS = {
    "nyud_hrnet18": (NYUD, [[3, 3, 4, 4], [4, 3, 4, 4], [4, 3, 3, 4], [3, 3, 1, 3]]),
    "nyud_hrnet48": (NYUD, [[3, 0, 0, 4], [4, 1, 1, 4], [4, 1, 1, 4], [3, 3, 3, 3]]),
    "pascal_hrnet18": (PASCAL, [[3, 3, 4, 0, 4], [3, 3, 4, 3, 4], [3, 3, 3, 4, 3], [3, 3, 3, 3, 4], [3, 3, 3, 1, 3]]),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_published_genotype_has_the_published_numbers(name: str):
    tasks, rows = NUMBERS[name]
    expected = {
        target: {source: CONTEXTS[number] for source, number in zip(tasks, row, strict=True)}
        for target, row in zip(tasks, rows, strict=True)
    }
    assert PUBLISHED[name] == expected


def test_label_maps_are_needed_of_targets_with_t_label_and_sources_with_s_label():
    """HRNet-W48 has auxiliary heads of semseg and boundary only."""
    assert label_tasks(PUBLISHED["nyud_hrnet18"]) == NYUD
    assert label_tasks(PUBLISHED["nyud_hrnet48"]) == ["semseg", "boundary"]
    assert label_tasks(PUBLISHED["pascal_hrnet18"]) == PASCAL


@pytest.mark.parametrize(
    ("tasks", "channels", "name"),
    [
        (NYUD, 270, "nyud_hrnet18"),
        (NYUD, 720, "nyud_hrnet48"),
        (NYUD, 64, "nyud_hrnet18"),
        (NYUD[::-1], 270, "nyud_hrnet18"),
        (PASCAL, 270, "pascal_hrnet18"),
        (PASCAL, 720, "pascal_hrnet18"),
    ],
)
def test_the_default_is_the_published_genotype_of_tasks_and_width(tasks: list[str], channels: int, name: str):
    assert resolve(None, tasks, channels) == PUBLISHED[name]


def test_tasks_left_out_take_their_edges_with_them():
    assert resolve(None, ["boundary", "semseg"], 270) == {
        "boundary": {"boundary": "t_label", "semseg": "t_label"},
        "semseg": {"boundary": "s_label", "semseg": "t_label"},
    }


def test_edges_of_a_task_without_a_published_genotype_are_global():
    found = resolve(None, ["depth", "flow"], 270)
    assert found == {"depth": {"depth": "t_label", "flow": "global"}, "flow": {"depth": "global", "flow": "global"}}


def test_a_context_stands_for_all_edges():
    assert resolve("local", ["depth", "flow"], 64) == {
        "depth": {"depth": "local", "flow": "local"},
        "flow": {"depth": "local", "flow": "local"},
    }


def test_a_file_is_read_as_it_was_written(tmp_path: Path):
    file = tmp_path / "found.json"
    file.write_text(to_text(PUBLISHED["nyud_hrnet48"], {"run_id": "x"}))
    assert resolve(str(file), NYUD, 270) == PUBLISHED["nyud_hrnet48"]


def test_a_file_of_the_public_search_is_read_with_our_names(tmp_path: Path):
    file = tmp_path / "atrc_genotype.json"
    table = {"semseg": {"semseg": 3, "edge": 4}, "edge": {"semseg": 0, "edge": 1}}
    file.write_text(json.dumps({"data": table, "step": 40000}))
    assert read(file) == {
        "semseg": {"semseg": "t_label", "boundary": "s_label"},
        "boundary": {"semseg": "none", "boundary": "global"},
    }


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("nyud_hrnet19", "no genotype 'nyud_hrnet19'. Did you mean 'nyud_hrnet18'"),
        ("missing.json", "no such genotype file"),
        ({"depth": {"depth": "global"}}, "no context for target 'depth' and source 'flow'"),
        ({"depth": {"depth": "t-label", "flow": "none"}}, "'t-label' for target 'depth' and source 'depth'"),
        ("nyud_hrnet18", "no context for target 'depth' and source 'flow'"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(choice: object, message: str):
    with pytest.raises(GenotypeError, match=message):
        resolve(choice, ["depth", "flow"], 64)


@pytest.mark.parametrize("content", ["{", "[1]", '{"genotype": {"depth": 3}}', '{"step": 1}'])
def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path, content: str):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(GenotypeError, match="other.json"):
        read(file)
