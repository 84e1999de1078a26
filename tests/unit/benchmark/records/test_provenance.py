"""Commit, command and hardware of a result."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from datetime import datetime

import pytest

from benchmark.records import provenance as module
from benchmark.records.provenance import changed_files, command_line, commit, content_at, dirty, provenance


@pytest.fixture
def checkout(tmp_path):
    """A git checkout with one commit."""
    root = tmp_path / "checkout"
    root.mkdir()

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@x", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    (root / "code.py").write_text("x = 1\n")
    git("add", "code.py")
    git("commit", "-q", "-m", "first")
    return root, git("rev-parse", "HEAD")


def test_commit_is_that_of_the_checkout(checkout):
    root, head = checkout
    assert commit(root) == head
    assert dirty(root) is False


def test_changed_and_new_files_make_it_dirty_but_results_do_not(checkout):
    root, _ = checkout
    (root / "results").mkdir()
    (root / "results" / "a.json").write_text("{}")
    assert dirty(root) is False
    (root / "new.py").write_text("")
    assert dirty(root) is True
    (root / "new.py").unlink()
    (root / "code.py").write_text("x = 2\n")
    assert dirty(root) is True


def test_files_that_changed_since_a_commit_are_named_with_their_old_content(checkout):
    root, first = checkout
    assert changed_files(first, root) == []
    (root / "code.py").write_text("x = 2\n")
    (root / "new file.py").write_text("")
    assert changed_files(first, root) == ["code.py", "new file.py"]
    assert content_at(first, "code.py", root) == b"x = 1\n"
    assert content_at(first, "new file.py", root) is None
    for unknown in ("0" * 40, "--output=x", ""):
        assert changed_files(unknown, root) is None


def test_a_copy_inside_another_checkout_has_no_commit(checkout):
    root, _ = checkout
    (root / "copy").mkdir()
    assert commit(root / "copy") is None
    assert dirty(root / "copy") is None


def test_without_git_there_is_no_commit_and_no_error(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit(checkout[0]) is None
    assert dirty(checkout[0]) is None


def test_the_command_holds_no_path_of_this_machine(tmp_path):
    root = tmp_path / "checkout"
    (root / "tools").mkdir(parents=True)
    script, out, work = root / "tools" / "train.py", root / "results", tmp_path / "elsewhere" / "work"
    command = command_line([str(script), "--out", str(out), f"--work={work}", "--seed", "0"], root)
    assert command == "python tools/train.py --out results --work=work --seed 0"


def test_the_command_can_be_pasted_into_a_shell():
    assert command_line(["train.py", "--spec", '{"a": 1}']) == """python train.py --spec '{"a": 1}'"""


def test_provenance_is_strict_json_with_all_required_entries(tmp_path):
    own = tmp_path / "my_method.py"
    own.write_text("x = 1\n")
    origin = provenance(
        started=0.0, data={"id": "d"}, config_text="lr = 1", hardware_extra={"gpu": "H100"}, imports=[own]
    )
    json.dumps(origin, allow_nan=False)
    assert origin["started"] == "1970-01-01T00:00:00+00:00"
    assert origin["versions"]["python"].startswith("3.")
    assert origin["hardware"]["gpu"] == "H100"
    assert origin["hardware"]["cores"] >= 1
    # sha256sum of the text "x = 1\n", computed by coreutils.
    assert origin["imports"] == {"my_method.py": "9e26bf369911c45c243c684147b23fc9e1dcfcf257d299a1c632016a6fcd33f4"}
    assert str(tmp_path) not in json.dumps(origin)


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("benchmark.records.provenance, benchmark.grid.executors.local", ("torch", "mmengine", "pandas", "scipy")),
        # statsmodels, which corrects the p values of a board, imports pandas.
        ("benchmark.leaderboard.files", ("torch", "mmengine")),
    ],
)
def test_the_launcher_and_the_leaderboard_do_not_import_torch(modules, absent):
    listing = f"import sys, {modules}; print([name for name in {absent} if name in sys.modules])"
    command = [sys.executable, "-c", listing]
    answer = subprocess.run(command, cwd=module.CHECKOUT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_threads_memory_and_the_folder_of_the_data_are_those_of_the_machine(monkeypatch, tmp_path):
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 3 * 2**19}
    monkeypatch.setattr(os, "sysconf", pages.__getitem__)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    machine = module.hardware()
    assert (machine["threads"], machine["system"]) == (3, platform.system())
    assert machine["memory_gib"] == 6.0
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert module.hardware()["threads"] == machine["cores"] == module.available_cores()
    monkeypatch.setenv("MTL_DATA", str(tmp_path))
    assert module.data_home() == tmp_path
    monkeypatch.delenv("MTL_DATA")
    assert module.data_home() == module.CHECKOUT / "data"


def test_the_end_is_the_present_time_and_a_recipe_without_text_has_no_hash():
    origin = provenance(started=0.0, data={}, config_text="", hardware_extra={"cpu": "other"})
    assert time.time() - datetime.fromisoformat(origin["finished"]).timestamp() < 60
    assert origin["recipe_sha256"] is None
    assert origin["hardware"]["cpu"] == "other"
    # sha256sum of the text "lr = 1", computed by coreutils.
    digest = "0747b7d138d687ee1624b32a173476cfdcccc62176e2a86d616caf5b4cbbd549"
    assert provenance(started=0.0, data={}, config_text="lr = 1")["recipe_sha256"] == digest


@pytest.mark.parametrize("package", ["torch", "torchvision", "timm", "mmengine", "mmsegmentation", "numpy", "scipy"])
def test_the_version_of_a_package_that_changes_numbers_is_recorded(package):
    assert module.versions()[package] == importlib.metadata.version(package)
