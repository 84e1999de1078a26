"""Identity of cells by content: changes of a request, a recipe or a user's file that make another cell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from registrations import forget

from benchmark.records.identity import source_digest
from benchmark.records.provenance import CHECKOUT
from benchmark.records.result import RunSpec
from benchmark.registry import METHODS, import_file
from benchmark.training import identity
from benchmark.training.dependencies import identify, identify_all, needs_of
from benchmark.training.recipe_files import RECIPES

FILM = '''
"""A method of a user."""

from benchmark.registry import METHODS
from mtl_methods.hard_sharing import HardSharing


@METHODS.register("film", title="FiLM", paper="https://example.org", year=2026)
class Film(HardSharing):
    """Adds nothing."""

    def sign(self):
        # A comment.
        return +1.0
'''


@pytest.fixture(autouse=True)
def data(small_rooms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded data set, small."""
    monkeypatch.setenv("MTL_DATA", str(small_rooms))


@pytest.fixture
def film(tmp_path: Path) -> Iterator[Any]:
    """`film(text)`: import a user's file with this text as if in a new process."""
    file = tmp_path / "film.py"

    def load(text: str) -> None:
        forget(METHODS, "film")
        for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(file)]:
            del sys.modules[name]
        file.write_text(text)
        import_file(file)

    yield load
    forget(METHODS, "film")


def spec(**changes: Any) -> RunSpec:
    """A cell of the smoke recipe."""
    values: dict[str, Any] = dict(
        recipe="smoke",
        method="hard_sharing",
        regularizer="none",
        backbone="resnet18",
        tasks=("semseg", "depth"),
        seed=3,
    )
    return RunSpec(**{**values, **changes})


def run_id(**changes: Any) -> str:
    return identify(spec(**changes)).run_id


def own_recipe(folder: Path, text: str, name: str = "mine") -> str:
    """A user's recipe on top of the smoke recipe."""
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.py"
    file.write_text(f"_base_ = [{str(RECIPES / 'smoke.py')!r}]\n{text}\n")
    return str(file)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"optim_wrapper.optimizer.lr": 1}, {"optim_wrapper.optimizer.lr": 1.0}),
        ({}, {"train_dataloader.num_workers": 2}),
        ({}, {"vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]}),
        ({}, {"default_hooks.logger.interval": 10, "log_level": "WARNING", "checkpoint_interval": 7}),
        ({}, {"train_dataloader.dataset.cache": False}),
        ({}, {"optim_wrapper.optimizer.betas": (0.9, 0.999)}),
        ({}, {"train_cfg.max_iters": 4}),
        ({}, {"train_dataloader.dataset.size": (64, 96)}),
        ({}, {"tasks.depth.loss": "l1"}),
        ({}, {"tasks.depth.loss_options": {"divisor": "pixels"}}),
        ({}, {"method.head": "fcn"}),
        ({}, {"compile": False}),
    ],
)
def test_requests_of_the_same_numbers_are_one_cell(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert run_id(overrides=first) == run_id(overrides=second)


@pytest.mark.parametrize(
    "overrides",
    [
        {"train_cfg.max_iters": 400},
        {"optim_wrapper.optimizer.lr": 2.5e-4},
        {"optim_wrapper.optimizer.betas": (0.8, 0.999)},
        {"tasks.depth.loss_weight": 2},
        {"train_dataloader.dataset.share": 0.5},
        {"train_dataloader.dataset.augmentation.flip": 0.0},
        {"method.head": "deeplab"},
        {"memory_format": "contiguous_format"},
        {"compile": True},
    ],
)
def test_requests_of_other_numbers_are_other_cells(overrides: dict[str, Any]) -> None:
    assert run_id(overrides=overrides) != run_id()


def test_tasks_in_another_order_and_named_random_weights_are_the_same_cell() -> None:
    other = identify(spec(tasks=("depth", "semseg"), backbone="resnet18:scratch"))
    assert other.run_id == run_id()
    assert other == spec()
    assert run_id(tasks=("depth",)) != run_id()


def test_an_option_at_its_default_is_no_option() -> None:
    default = identify(spec(regularizer="aux_heads", overrides={"regularizer.weight": 0.5, "train_cfg.max_iters": 4.0}))
    assert default.run_id == run_id(regularizer="aux_heads")
    assert not default.overrides


def test_a_loss_that_the_data_set_has_by_default_is_no_option() -> None:
    """The smoke recipe leaves loss and weight of the depth to the data set."""
    overrides = {"tasks.depth.loss": "l1", "tasks.depth.loss_weight": 3, "tasks.semseg.loss_weight": 1.0}
    assert dict(identify(spec(overrides=overrides)).overrides) == {"tasks.depth.loss_weight": 3}


def test_a_file_of_weights_is_identified_by_name_and_content(tmp_path: Path) -> None:
    ids = []
    for folder, content in (("first", b"1"), ("second", b"1"), ("third", b"2")):
        file = tmp_path / folder / "mine.safetensors"
        file.parent.mkdir()
        file.write_bytes(content)
        ids.append(run_id(backbone=f"resnet18:{file}").rpartition("-")[2])
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_posed_pairs_are_identified_beside_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "data_root", lambda recipe: Path("rooms"))
    monkeypatch.setattr(identity, "posed_pairs", lambda recipe: {"name": "clip", "root": "views"})
    monkeypatch.setattr(identity, "_identity", lambda name, root: {"id": name, "fingerprint": f"{root}"})
    recipe: Any = SimpleNamespace(dataset="synthetic")
    assert identity.data_identity(recipe) == {
        "id": "synthetic",
        "fingerprint": "rooms",
        "pairs_id": "clip",
        "pairs_fingerprint": "views",
    }


def test_settings_without_effect_stay_in_the_request() -> None:
    assert identify(spec(overrides={"train_dataloader.num_workers": 2})).overrides["train_dataloader.num_workers"] == 2


def test_the_split_is_part_of_the_identity() -> None:
    assert run_id(split="val") != run_id()


def test_seeds_share_the_digest_and_differ_in_the_name() -> None:
    first, second = identify_all([spec(seed=0), spec(seed=1)])
    assert first.run_id.replace("-s0-", "-s1-") == second.run_id
    assert first.run_id != second.run_id


def test_one_cell_asked_for_twice_in_other_words_is_run_once() -> None:
    assert len(identify_all([spec(), spec(overrides={"train_cfg.max_iters": 4.0})])) == 1


def test_an_edited_recipe_is_another_cell_and_its_comments_are_not(tmp_path: Path) -> None:
    first = identify(spec(recipe=own_recipe(tmp_path, "train_cfg = dict(max_iters=4)")))
    same = identify(spec(recipe=own_recipe(tmp_path, '"""Text."""\n# More.\ntrain_cfg = dict(max_iters=4)\n')))
    other = identify(spec(recipe=own_recipe(tmp_path, "train_cfg = dict(max_iters=400)")))
    assert first.run_id == same.run_id
    assert first.run_id != other.run_id
    assert other.ingredients.changes_since(first.ingredients) == ["train_cfg.max_iters 4 -> 400"]


def test_a_raised_version_of_the_recipe_is_another_cell(tmp_path: Path) -> None:
    first = identify(spec(recipe=own_recipe(tmp_path, "version = 1")))
    second = identify(spec(recipe=own_recipe(tmp_path, "version = 2")))
    assert identify(spec(recipe=own_recipe(tmp_path, ""))).run_id == first.run_id
    assert second.ingredients.changes_since(first.ingredients) == ["recipe mine version 1 -> 2"]


def test_a_raised_version_of_the_method_is_another_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify(spec())
    object.__setattr__(METHODS.entry("hard_sharing"), "version", 2)
    try:
        after = identify(spec())
    finally:
        object.__setattr__(METHODS.entry("hard_sharing"), "version", 1)
    assert after.ingredients.changes_since(before.ingredients) == ["method hard_sharing version 1 -> 2"]
    assert after.run_id != before.run_id


def test_a_docstring_of_a_users_method_keeps_its_cells_and_a_sign_makes_them_stale(film: Any) -> None:
    film(FILM)
    first = identify(spec(method="film"))
    film(FILM.replace("Adds nothing", "Adds nothing at all").replace("# A comment", "# Another"))
    same = identify(spec(method="film"))
    film(FILM.replace("+1.0", "-1.0"))
    other = identify(spec(method="film"))
    assert first.run_id == same.run_id
    assert first.run_id != other.run_id
    assert other.ingredients.changes_since(first.ingredients) == ["film.py changed since"]


def test_a_users_file_matters_only_to_cells_that_use_it(film: Any) -> None:
    before = run_id()
    film(FILM)
    assert run_id() == before


def test_a_module_that_a_users_file_imports_counts_too(
    film: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "film_layers.py").write_text("SCALE = 1\n")
    film(FILM.replace("from benchmark", "import film_layers\nfrom benchmark", 1))
    try:
        first = identify(spec(method="film"))
        (tmp_path / "film_layers.py").write_text("SCALE = 2\n")
        second = identify(spec(method="film"))
    finally:
        sys.modules.pop("film_layers", None)
    assert second.ingredients.changes_since(first.ingredients) == ["film_layers.py changed since"]


def test_files_of_the_suite_and_of_python_are_not_the_users(tmp_path: Path) -> None:
    shipped = ("benchmark/heads.py", "mtl_methods/pap.py", "regularizers/aux_heads.py", "datasets/nyuv2/files.py")
    assert not any(identity.is_own(CHECKOUT / name) for name in shipped)
    assert not any(identity.is_own(Path(str(module.__file__)).resolve()) for module in (json, pytest))
    assert identity.is_own(tmp_path / "film.py")
    assert identity.is_own(CHECKOUT / "mine" / "film.py")


def test_imports_of_every_form_and_place_are_found(tmp_path: Path) -> None:
    """A relative import without a name cannot be followed, and a file of another kind has no imports."""
    text = "import a, b.c as d\nfrom e import f, g\nfrom . import h\ndef later():\n    import i\n"
    for name, found in (("mine.py", ["a", "b.c", "e", "e.f", "e.g", "i"]), ("mine.so", [])):
        (tmp_path / name).write_text(text)
        assert sorted(identity.imported_names(tmp_path / name)) == found


def test_ingredients_name_all_versions_and_a_recipe_without_one_has_version_1() -> None:
    found = identify(spec()).ingredients
    assert found is not None
    assert set(found.versions) == {"method", "regularizer", "backbone", "recipe", "training"}
    assert found.versions["recipe"] == 1
    assert found.settings["split"] == "test"


@pytest.mark.parametrize("content", [b"def f(:", b"a = 1\0"])
def test_a_python_file_that_cannot_be_parsed_counts_by_its_bytes(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_bytes(content)
    assert source_digest(tmp_path / "broken.py") == sha256(content).hexdigest()


def test_a_file_named_by_an_option_counts_by_its_content(tmp_path: Path) -> None:
    file = tmp_path / "genotype.json"
    ids = []
    for text in ("{}", "{}", "{ }"):
        file.write_text(text)
        ids.append(run_id(method="atrc", overrides={"method.genotype": str(file)}))
    assert ids[0] == ids[1] != ids[2]


def test_a_cell_changes_with_the_cells_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = spec(method="cross_stitch", overrides={"method.start": "single_task"})
    before = identify(cell)
    needed = needs_of(before).method["single_task"]
    assert needed.run_id == identify(spec(method="single_task", overrides=needed.overrides)).run_id
    object.__setattr__(METHODS.entry("single_task"), "version", 2)
    try:
        after = identify(cell)
    finally:
        object.__setattr__(METHODS.entry("single_task"), "version", 1)
    assert after.ingredients.changes_since(before.ingredients) == ["the needed cell of single_task changed since"]


def test_embedded_rooms_have_one_identity_before_and_after_they_are_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTL_DATA", str(tmp_path))
    assert identify(spec()).ingredients.data == {"id": "synthetic-v1-128+32rooms-seed0-120x160"}


def test_small_rooms_are_other_data_than_the_default_ones() -> None:
    assert identify(spec()).ingredients.data == {"id": "synthetic-v1-3+1rooms-seed0-120x160"}


def test_a_stored_spec_keeps_its_run_id() -> None:
    cell = identify(spec(overrides={"train_cfg.max_iters": 7}))
    read = RunSpec.from_text(cell.to_text())
    assert read.run_id == cell.run_id
    assert read.ingredients == cell.ingredients
