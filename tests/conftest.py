"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of third-party data and golden numbers beside the checkout; skips where it is absent."""
    folder = CHECKOUT.parent / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip(f"needs the folder of golden numbers and NYU-v2 frames at {folder}")
    return folder


@pytest.fixture(scope="session", params=["reduced", "whole"])
def golden_folder(request: pytest.FixtureRequest) -> Path:
    """The reduced golden numbers of the checkout, and the whole ones; skips the whole ones where they are absent."""
    if request.param == "reduced":
        return CHECKOUT / "tests" / "reference" / "golden"
    shared: Path = request.getfixturevalue("shared")
    return shared / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--import FILE`: let a user's own file take part in the contract tests."""
    parser.addoption(
        "--import",
        action="append",
        default=[],
        metavar="FILE",
        dest="imports",
        help="a Python file that registers methods or regularizers; may be given several times",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Import what the processes of the tests must find ready, then the user's files, before the tests are collected."""
    # mmengine imports yapf, whose first import on a machine caches its grammar where another process may read half of
    # it. This process comes before pytest-xdist's, so that only one ever writes.
    import yapf.yapflib.yapf_api  # noqa: F401

    files = config.getoption("imports")
    if files:
        from benchmark.registry import import_files

        import_files(files)


@pytest.fixture(scope="session", autouse=True)
def texts_formatted_once() -> Iterator[None]:
    """Keep the recipes that yapf has formatted for `recipe_sha256`: half of the time of a cell of four steps."""
    from mmengine.config import config

    kept: dict[str, Any] = {}

    def format_code(text: str, style_config: Any) -> Any:
        if text not in kept:
            kept[text] = original(text, style_config=style_config)
        return kept[text]

    original = config.FormatCode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "FormatCode", format_code)
        yield


@pytest.fixture(scope="session")
def small_rooms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared data sets that holds the embedded one, small: 3 rooms for training, 1 for testing."""
    from datasets.synthetic.generate import RoomPlan, ensure

    # Below the folder that the test processes share: the first one renders, the others wait and use it.
    data = tmp_path_factory.getbasetemp().parent / "small_data"
    ensure(data / "synthetic", RoomPlan(train_rooms=3, test_rooms=1), workers=1)
    return data


@pytest.fixture(scope="session")
def trained_cell(small_rooms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Result file of an identified cell of the smoke recipe: four steps; its weights lie in its work folder."""
    from benchmark.records.result import RunSpec
    from benchmark.records.store import ResultStore
    from benchmark.training.cell import run_cell
    from benchmark.training.dependencies import identify

    store = ResultStore(tmp_path_factory.mktemp("trained") / "results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTL_DATA", str(small_rooms))
        tasks = ("semseg", "depth", "normals", "boundary")
        spec = identify(RunSpec("smoke", "hard_sharing", "none", "timm:test_resnet", tasks, 0))
        with store.hold(spec) as lease:
            result = run_cell(spec, store.work_folder(spec))
            assert result.status == "done", result.error
            return store.publish(result, lease)
