"""Rules of the whole repository: file sizes, names, dependencies, tools."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import datasets

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CHECKOUT = Path(__file__).resolve().parents[1]
SOURCE_FOLDERS = ("benchmark", "mtl_methods", "regularizers", "datasets", "tools")
NOT_OURS = {".git", ".venv", "data", "__pycache__"}
TEXT_SUFFIXES = {"", ".cff", ".csv", ".html", ".json", ".md", ".py", ".toml", ".yml"}
TOOLS = sorted(path.name for path in (CHECKOUT / "tools").glob("*.py") if "__main__" in path.read_text())
LOCKED_GROUPS = (None, "dev", "docs", "logging")
MOST_LINES = 350
MOST_HELP_SECONDS = 1.0

# An absolute path of one machine; "results/work/x" does not match.
MACHINE_PATH = re.compile(r"(?<![\w.\-)}>*~])/(?:work|tmp|farm|root|home|Users)/\w")
# Issue numbers have no meaning outside their tracker.
ISSUE_NUMBER = re.compile(r"\bissues?\s+#?\d|\(#\d+\)|\b(?:closes?|fix(?:es)?|see)\s+#\d", re.IGNORECASE)

HELP_PROBE = """
import json, runpy, sys, time
sys.argv = [{tool!r}, "--help"]
start = time.process_time()
try:
    runpy.run_path({tool!r}, run_name="__main__")
    code = 0
except SystemExit as end:
    code = end.code or 0
answer = dict(code=code, seconds=time.process_time() - start, modules=list(sys.modules), first=sys.path[0])
print(json.dumps(answer), file=sys.stderr)
"""


def tracked_files() -> list[Path]:
    """Files that git tracks or would add; without git, all files of the project's folders."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
        files = [CHECKOUT / name for name in listed.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        top = [CHECKOUT / name for name in (*SOURCE_FOLDERS, "tests", ".ci", ".github")]
        files = [*CHECKOUT.glob("*.*"), *(path for folder in top for path in folder.rglob("*"))]
    return sorted(path for path in files if path.is_file() and not NOT_OURS & set(path.relative_to(CHECKOUT).parts))


def matches(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    """Lines of text files in which the pattern is found, as "file:line: text"."""
    found = []
    for path in files:
        if path.suffix in TEXT_SUFFIXES and path.name != "LICENSE":
            lines = path.read_text(encoding="utf-8").splitlines()
            name = path.relative_to(CHECKOUT)
            found += [f"{name}:{count}: {line[:120]}" for count, line in enumerate(lines, 1) if pattern.search(line)]
    return found


def read_project() -> dict[str, object]:
    """The [project] table of pyproject.toml."""
    return tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]


def declared(group: str | None = None) -> dict[str, Requirement]:
    """Requirements of the suite, or of one of its optional groups, by canonical name."""
    project = read_project()
    texts = project["dependencies"] if group is None else project["optional-dependencies"][group]
    return {canonicalize_name(found.name): found for found in map(Requirement, texts)}


def locked() -> list[Requirement]:
    """Lines of requirements.lock."""
    lines = (CHECKOUT / "requirements.lock").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def imported_by(path: Path) -> Iterator[str]:
    """Top-level names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_datasets_is_the_project_folder_and_not_the_hugging_face_package() -> None:
    assert Path(datasets.__file__).is_relative_to(CHECKOUT)


def test_the_folder_datasets_is_not_installed_over_the_hugging_face_package() -> None:
    setup = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["setuptools"]
    included = {pattern.partition(".")[0] for pattern in setup["packages"]["find"]["include"]}
    assert included == {"benchmark", "mtl_methods", "regularizers"}


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in tracked_files() if path.suffix == ".py"}
    long = {str(path.relative_to(CHECKOUT)): lines for path, lines in lengths.items() if lines > MOST_LINES}
    assert not long, f"split these files by idea, at most {MOST_LINES} lines each: {long}"


def test_no_tracked_file_names_a_folder_of_one_machine() -> None:
    files = [path for path in tracked_files() if "tests" not in path.relative_to(CHECKOUT).parts]
    assert not matches(MACHINE_PATH, files)


def test_no_tracked_file_names_an_issue_by_its_number() -> None:
    assert not matches(ISSUE_NUMBER, [path for path in tracked_files() if path != Path(__file__)])


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_the_command(command: str) -> None:
    assert command in (CHECKOUT / "README.md").read_text()


def test_continuous_integration_can_be_run() -> None:
    assert os.access(CHECKOUT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("tool", TOOLS)
def test_help_of_a_tool_is_quick_and_imports_no_torch(tool: str, tmp_path: Path) -> None:
    """CPU time of the process after the start of Python, which does not depend on other load."""
    probe = HELP_PROBE.format(tool=str(CHECKOUT / "tools" / tool))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    answer = json.loads(run.stderr.splitlines()[-1])
    assert answer["code"] == 0
    assert "usage:" in run.stdout
    assert not {"torch", "mmengine", "mmseg", "timm", "scipy", "cv2"} & set(answer["modules"])
    assert answer["seconds"] < MOST_HELP_SECONDS
    assert answer["first"] == str(CHECKOUT), "the checkout comes first, or `datasets` may be another package"


def test_every_package_that_the_code_imports_is_declared() -> None:
    ours = {*SOURCE_FOLDERS, "__future__", *sys.stdlib_module_names}
    files = [path for path in tracked_files() if path.relative_to(CHECKOUT).parts[0] in SOURCE_FOLDERS]
    names = {name for path in files if path.suffix == ".py" for name in imported_by(path)} - ours
    packages = packages_distributions()
    # Extras that a tool asks for by name where they are missing.
    known = {*declared(), *(name for extra in ("docs", "onnx", "parquet", "ray", "slurm") for name in declared(extra))}
    missing = {name for name in names if not {canonicalize_name(found) for found in packages.get(name, [name])} & known}
    assert not missing, "add their packages to [project] dependencies in pyproject.toml, or remove the imports"


def test_the_base_set_holds_no_package_of_a_cluster() -> None:
    locked_names = {canonicalize_name(line.name) for line in locked()}
    assert not {"ray", "submitit"} & {*declared(), *locked_names}


def test_the_lock_has_one_version_of_each_requirement_in_its_range() -> None:
    for python in ("3.10", "3.11", "3.12", "3.13"):
        here = {"python_version": python, "python_full_version": f"{python}.1"}
        lines = [line for line in locked() if line.marker is None or line.marker.evaluate(here)]
        versions = {canonicalize_name(line.name): next(iter(line.specifier)).version for line in lines}
        assert len(versions) == len(lines), "a package is locked twice"
        for name, requirement in {
            name: entry for group in LOCKED_GROUPS for name, entry in declared(group).items()
        }.items():
            if requirement.marker is None or requirement.marker.evaluate(here):
                assert requirement.specifier.contains(versions[name]), f"{name} on Python {python}"


def test_the_lock_holds_names_and_exact_versions_only() -> None:
    for line in locked():
        assert line.url is None
        assert [specifier.operator for specifier in line.specifier] == ["=="], str(line)


def test_the_first_process_of_the_tests_makes_the_caches_that_the_others_read(tmp_path: Path) -> None:
    """yapf, which mmengine imports, writes a grammar cache that a second process could read too early."""
    subprocess.run(
        [sys.executable, "-m", "pytest", "--markers", "tests"],
        cwd=CHECKOUT,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert len(list(tmp_path.glob("YAPF/*/*.pickle"))) == 2
