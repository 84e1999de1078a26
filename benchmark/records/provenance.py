"""Origin of a result: commit, command, versions, hardware, data. Imports no torch and works without git."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "mmengine",
    "mmsegmentation",
    "mmcv-lite",
    "numpy",
    "scipy",
    "opencv-python",
    "trimesh",
    "embreex",
)

GIT_SECONDS = 30


def data_home() -> Path:
    """Folder of all prepared data sets: the environment variable MTL_DATA, else `data` in the checkout."""
    return Path(os.environ.get("MTL_DATA") or CHECKOUT / "data")


def provenance(
    *,
    started: float,
    data: Mapping[str, Any],
    config_text: str,
    hardware_extra: Mapping[str, Any] | None = None,
    imports: Sequence[str | Path] = (),
) -> dict[str, Any]:
    """Commit, command, versions, hardware and data of a result, as plain JSON values.

    Args:
        started: time.time() at the start of the cell; the present time is recorded as its end.
        data: id and fingerprint of the data set.
        config_text: the resolved recipe, stored as sha256; empty if unknown.
        hardware_extra: entries of `hardware` that need torch, such as {"gpu": name}.
        imports: files of the user, stored as name and sha256, since no commit holds them.
    """
    return {
        **code_state(),
        "command": command_line(sys.argv),
        "versions": versions(),
        "hardware": {**hardware(), **(hardware_extra or {})},
        "data": dict(data),
        "recipe_sha256": sha256(config_text.encode()).hexdigest() if config_text else None,
        "imports": {Path(file).name: sha256(Path(file).read_bytes()).hexdigest() for file in imports},
        "started": utc(started),
        "finished": utc(time.time()),
    }


@cache
def code_state() -> dict[str, Any]:
    """Commit and dirty flag of this checkout at the first call. Call it early, since files may change during a run."""
    return {"commit": commit(), "dirty": dirty()}


def commit(root: Path = CHECKOUT) -> str | None:
    """Hash of the checked-out commit; None without git, without a commit, or if `root` is not a checkout's own root."""
    # A copy without .git inside another project's checkout must not get the commit of that project.
    top = _git(root, "rev-parse", "--show-toplevel")
    if not top or Path(top).resolve() != root.resolve():
        return None
    return _git(root, "rev-parse", "--verify", "HEAD")


def dirty(root: Path = CHECKOUT) -> bool | None:
    """Return True if files outside of results/ differ from the commit or are new; None if there is no commit."""
    if commit(root) is None:
        return None
    changes = _git(root, "status", "--porcelain", "--", ".", ":(exclude)results")
    return None if changes is None else bool(changes)


def changed_files(since: str, root: Path = CHECKOUT) -> list[str] | None:
    """Paths of files that differ from a commit or are new, with uncommitted changes; None if the commit is unknown.

    Args:
        since: hash of the commit.
        root: root of the checkout; paths are relative to it.
    """
    if not since.isalnum() or commit(root) is None or _git(root, "cat-file", "-e", f"{since}^{{commit}}") is None:
        return None
    differing = _git(root, "diff", "--name-only", "-z", since, "--")
    new = _git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return [name for text in (differing, new) if text for name in text.split("\0") if name]


def content_at(since: str, path: str, root: Path = CHECKOUT) -> bytes | None:
    """Content of a file at a commit; None if the commit or the file is unknown.

    Args:
        since: hash of the commit.
        path: path of the file, relative to the root.
        root: root of the checkout.
    """
    command = ["git", "--no-optional-locks", "-C", str(root), "cat-file", "blob", f"{since}:{path}"]
    answer = subprocess.run(command, capture_output=True, timeout=GIT_SECONDS, check=False)
    return answer.stdout if answer.returncode == 0 else None


def command_line(arguments: Sequence[str], root: Path = CHECKOUT) -> str:
    """The command as typed in the checkout, without paths of this machine.

    Args:
        arguments: the script and its arguments, as in sys.argv.
        root: paths below it are written relative to it, of other absolute paths only the last part is kept.
    """
    script, *rest = arguments
    if Path(script).resolve().is_relative_to(root.resolve()):
        script = str(Path(script).resolve())
    return shlex.join(["python", *(_without_machine(argument, root) for argument in (script, *rest))])


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that can change a number."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> dict[str, Any]:
    """CPU model, cores that this process may use, threads that it computes with, memory in GiB, operating system."""
    cores, threads = available_cores(), os.environ.get("OMP_NUM_THREADS", "")
    return {
        "cpu": _cpu_model(),
        "cores": cores,
        "threads": int(threads) if threads.isdecimal() else cores,
        "memory_gib": _memory_gib(),
        "system": platform.system(),
    }


def available_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def utc(seconds: float) -> str:
    """ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def _git(root: Path, *arguments: str) -> str | None:
    # Without locks, so that the processes of a grid never disturb the user's git commands.
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _without_machine(argument: str, root: Path) -> str:
    option, equals, value = argument.partition("=")
    if equals and option.startswith("--"):
        return f"{option}={_without_machine(value, root)}"
    if not os.path.isabs(argument):
        return argument
    path = Path(argument)
    for base in (root, root.resolve()):
        if path.is_relative_to(base):
            return path.relative_to(base).as_posix()
    return path.name


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
