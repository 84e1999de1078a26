"""Names, near matches, duplicates, wildcards, and a user's own file."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from itertools import count
from pathlib import Path

import mmseg.registry
import pytest
import torch
from mmengine.registry import MODELS
from registrations import forget

from benchmark.registry import (
    BACKBONES,
    DATASETS,
    ENTRY_POINT_GROUP,
    METHODS,
    REGULARIZERS,
    DuplicateNameError,
    Registry,
    UnknownNameError,
    import_file,
)

NUMBERS = count()
OWN_METHOD = '''
"""Source: a test. Differs: nothing."""
from benchmark.contracts import Method, MultiTaskOutput
from benchmark.registry import METHODS

@METHODS.register("{name}", title="Own", paper="https://example.org", year=2026)
class Own(Method):
    def __init__(self, tasks, backbone):
        super().__init__(tasks, backbone)

    def forward(self, images):
        return MultiTaskOutput({{}})
'''


@pytest.fixture
def registry() -> Registry:
    """A separate registry with three entries."""
    # mmengine wants a scope that no other registry below the same parent has; it follows from the package.
    made = Registry("method", f"package_{next(NUMBERS)}", parent=mmseg.registry.VISUALIZERS)
    made._discovered = True
    for name in ("pad_net", "mti_net", "mtan"):
        made.register(name, title=name, paper="https://example.org", year=2020)(type(name, (), {}))
    return made


def test_the_built_in_entries_are_found_without_a_list() -> None:
    assert {"single_task", "hard_sharing", "constant"} <= set(METHODS.names())
    assert {"none", "aux_heads"} <= set(REGULARIZERS.names())
    assert {"nyuv2", "synthetic"} <= set(DATASETS.names())
    assert {"resnet18", "hrnet_w18_small_v2", "efficientnet_lite0", "vit_tiny"} <= set(BACKBONES.names())


def test_wildcards_select_in_the_order_they_are_given(registry: Registry) -> None:
    assert registry.names("*net") == ["mti_net", "pad_net"]
    assert registry.names("mtan", "*net") == ["mtan", "mti_net", "pad_net"]
    assert registry.names("all") == ["mtan", "mti_net", "pad_net"]


def test_all_leaves_out_what_makes_no_row(registry: Registry) -> None:
    registry.register("atrc_search", title="", paper="", year=2021, in_all=False)(type("Search", (), {}))
    assert "atrc_search" not in registry.names("all")
    assert "atrc_search" in registry.names()
    assert registry.names("atrc*") == ["atrc_search"]


def test_an_unknown_name_is_answered_with_near_matches_and_the_list(registry: Registry) -> None:
    message = r"no method named 'padnet'. Did you mean 'pad_net'.*mtan, mti_net, pad_net"
    with pytest.raises(UnknownNameError, match=message):
        registry.entry("padnet")


def test_a_pattern_that_matches_nothing_is_an_error(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match=r"xyz\*"):
        registry.names("xyz*")


def test_an_entry_has_a_version(registry: Registry) -> None:
    registry.register("atrc", title="", paper="", year=2021, version=2)(type("ATRC", (), {}))
    assert registry.entry("atrc").version == 2
    assert registry.entry("mtan").version == 1


@pytest.mark.parametrize("version", [0, -1, 1.0, True, "2"])
def test_a_version_that_is_no_positive_whole_number_is_refused(registry: Registry, version: object) -> None:
    with pytest.raises(ValueError, match=f"version of 'atrc' must be a whole number of at least 1, found {version!r}"):
        registry.register("atrc", title="", paper="", year=2021, version=version)(type("ATRC", (), {}))


def test_a_name_is_given_once(registry: Registry) -> None:
    with pytest.raises(DuplicateNameError, match="'mtan' is already registered"):
        registry.register("mtan", title="again", paper="https://example.org", year=2021)(type("Other", (), {}))


def test_configs_resolve_our_names_and_mmengines(registry: Registry) -> None:
    assert METHODS.get("hard_sharing") is METHODS.entry("hard_sharing").factory
    assert METHODS.get("BaseDataPreprocessor") is MODELS.get("BaseDataPreprocessor")


def test_a_users_file_joins(tmp_path: Path) -> None:
    file = tmp_path / "my_method.py"
    file.write_text(OWN_METHOD.format(name="own_from_a_file"))
    import_file(file)
    try:
        assert METHODS.entry("own_from_a_file").title == "Own"
        assert import_file(file) is import_file(file)
    finally:
        forget(METHODS, "own_from_a_file")


def test_a_users_file_may_not_take_a_name_that_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "my_method.py"
    file.write_text(OWN_METHOD.format(name="hard_sharing"))
    with pytest.raises(DuplicateNameError, match="hard_sharing"):
        import_file(file)


@pytest.mark.parametrize(
    ("text", "message"), [("import not_there_at_all\n", "line 1"), ("x = 1\n1 / 0\n", "ZeroDivisionError.*line 2")]
)
def test_a_users_file_that_cannot_be_run_is_named_with_the_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(ImportError, match=f"broken.py.*{message}"):
        import_file(file)


def test_a_users_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py: no such file"):
        import_file(tmp_path / "nowhere.py")


def test_entries_are_built_by_name() -> None:
    tasks = DATASETS.entry("synthetic").factory.tasks
    method = METHODS.create("hard_sharing", tasks, "resnet18")
    assert isinstance(method, torch.nn.Module)


def test_an_installed_package_joins_through_its_entry_point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "package_with_a_method.py").write_text(OWN_METHOD.format(name="own_from_a_package"))
    monkeypatch.syspath_prepend(str(tmp_path))
    point = EntryPoint("own", "package_with_a_method", ENTRY_POINT_GROUP)
    monkeypatch.setattr("benchmark.registry.entry_points", lambda group: [point] if group == ENTRY_POINT_GROUP else [])
    monkeypatch.setattr(METHODS, "_discovered", False)
    try:
        assert "own_from_a_package" in METHODS.names()
    finally:
        forget(METHODS, "own_from_a_package")
