#!/usr/bin/env python
"""Check results that you offer, show how the boards would change, and write the branch of a pull request.

    python tools/submit.py results                    # what `run_grid.py` wrote there since the last commit
    python tools/submit.py other/results --check      # only check and show; write no branch
    python tools/submit.py results --weights results/work   # also score the weights of the new cells again

Every file is checked against the schema, the ranges of the metrics, and the versions of method, regularizer, backbone,
recipe and training in this checkout. A cell that is stored with other numbers is a conflict: both are shown and nothing
is written. The branch starts at the last commit and holds the new results and the renewed tables; your working tree
is not touched. Exit code 0 if the results can be added, 1 if not, 2 for a wrong request.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from tools.command_line import Parser, refuse, shown  # noqa: E402

if TYPE_CHECKING:
    from benchmark.leaderboard.submission import Submission
    from benchmark.records.store import Stored

MODEL = "model.safetensors"
GIT_SECONDS = 300


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = Parser(__doc__)
    parser.add_argument("folder", type=Path, help="folder of results, the one that holds runs/")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="stored results to compare with (default: the results of the last commit)",
    )
    parser.add_argument("--check", action="store_true", help="write no branch")
    parser.add_argument("--branch", metavar="NAME", help="name of the branch (default: results/, recipe and a hash)")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="score DIR/RECIPE/RUN_ID/model.safetensors again")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="also write the report to this Markdown file")
    parser.add_argument(
        "--complete", action="store_true", help="for a folder of all results: note the stored results that it lacks"
    )
    options = parser.parse_args(arguments)
    if options.results is not None and not options.check:
        parser.error("--results is for --check; a branch starts at the last commit")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, report, and write the branch. The module's docstring lists the exit codes."""
    options = parse_arguments(arguments)
    try:
        if not (options.folder / "runs").is_dir():
            raise ValueError(f"no folder {options.folder / 'runs'}; name the folder of results that holds runs/")
        if options.results is not None:
            return review(options, options.results)[1]
        with base_checkout() as base:
            found, code = review(options, base / "results")
            if code == 0 and found.new and not options.check:
                write_branch(options, base, found)
            return code
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        return refuse("submit.py", error)


def review(options: argparse.Namespace, results: Path) -> tuple[Submission, int]:
    """Check the offered results and print the report; returns them with the exit code."""
    from benchmark.leaderboard.submission import read_submission
    from benchmark.records.atomic import write_text
    from benchmark.records.store import ResultStore, Stored

    stored = [entry for entry in ResultStore(results).results() if isinstance(entry, Stored)]
    found = read_submission(options.folder, stored)
    check_versions(found)
    if options.weights is not None:
        score_again(found, options.weights)
    if options.complete:
        offered = {cell.result.run_id for cell in [*found.new, *found.same, *(c.offered for c in found.conflicts)]}
        missing = [cell for cell in stored if cell.result.run_id not in offered]
        found.notes += [f"{cell.result.run_id}: stored, but no longer in the folder" for cell in missing]
    text = report(found, stored, results)
    print(text, end="")
    if options.summary is not None:
        write_text(options.summary, text)
    return found, 0 if found.acceptable else 1


def check_versions(found: Submission) -> None:
    """Refuse new results whose ingredients differ from this checkout."""
    if not found.new:
        return
    from benchmark.training.present import changes_now

    for cell in found.new:
        try:
            changes = changes_now(cell.result)
        except (ValueError, OSError) as error:
            changes = [str(error)]
        if changes:
            found.faults.append(f"{cell.result.run_id}: not what this checkout would train: {'; '.join(changes)}")


def score_again(found: Submission, weights: Path) -> None:
    """Score the weights of new results, and refuse results with other scores."""
    from benchmark.training.present import scored_differently

    for cell in found.new:
        spec = cell.result.spec
        file = weights / spec.folder / spec.run_id / MODEL
        if not file.is_file():
            found.notes.append(f"{spec.run_id}: not scored again, no weights at {shown(file)}")
            continue
        try:
            wrong = list(scored_differently(cell.result, file))
        except (ValueError, OSError) as error:
            found.notes.append(f"{spec.run_id}: not scored again: {error}")
            continue
        found.faults += [f"{spec.run_id}: {line}" for line in wrong]
        if not wrong:
            found.notes.append(f"{spec.run_id}: its weights were scored again, with equal metrics")


def report(found: Submission, stored: Sequence[Stored], results: Path) -> str:
    """The report as Markdown: counts, conflicts, faults, notes, changed rows."""
    from benchmark.leaderboard.changes import changed_rows
    from benchmark.leaderboard.files import analyses_of
    from benchmark.leaderboard.submission import conflict_table
    from benchmark.records.escaping import escape_markdown

    verdict = "can be added" if found.acceptable else "cannot be added"
    counts = f"{len(found.new)} new, {len(found.same)} stored already, {len(found.conflicts)} in conflict"
    parts = [f"## Offered results: {verdict}\n\n{counts}.\n"]
    if found.conflicts:
        how = "These cells are stored with other numbers. Find out why before one of them is removed.\n"
        parts.append(f"### Conflicts\n\n{how}\n{conflict_table(found.conflicts)}")
    for title, lines in (("Faults", found.faults), ("Notes", found.notes)):
        if lines:
            parts.append(f"### {title}\n\n" + "".join(f"* {escape_markdown(line)}\n" for line in lines))
    if found.new:
        replaced = {cell.result.run_id for cell in found.new}
        kept = [cell for cell in stored if cell.result.run_id not in replaced]
        rows = changed_rows(analyses_of(stored, results), analyses_of([*kept, *found.new], results))
        parts.append(f"### Changed rows\n\n{rows or 'No row of a table changes.'}")
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


@contextmanager
def base_checkout() -> Iterator[Path]:
    """A temporary work tree of the last commit.

    Raises:
        ValueError: outside a git checkout.
    """
    from benchmark.records.provenance import commit

    if commit(CHECKOUT) is None:
        raise ValueError("this is no git checkout with a commit; compare with --check --results DIR")
    with tempfile.TemporaryDirectory(prefix="submit-") as folder:
        tree = Path(folder) / "tree"
        git(CHECKOUT, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        try:
            yield tree
        finally:
            git(CHECKOUT, "worktree", "remove", "--force", str(tree))


def write_branch(options: argparse.Namespace, base: Path, found: Submission) -> None:
    """Commit the new results and the renewed tables on a branch.

    Raises:
        ValueError: if code has uncommitted changes, or if git refuses; in one line.
    """
    from benchmark.records.provenance import dirty
    from benchmark.records.store import ResultStore

    if dirty(CHECKOUT):
        raise ValueError("the branch starts at the last commit: commit your changes of the code first (see git status)")
    name = options.branch or branch_name(found)
    git(base, "check-ref-format", "--branch", name)
    git(base, "switch", "--quiet", "--create", name)
    store, source = ResultStore(base / "results"), ResultStore(options.folder)
    for cell in found.new:
        target = store.path(cell.result.spec)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(cell.path, target)
        if source.details_path(cell.result.spec).is_file():
            shutil.copyfile(source.details_path(cell.result.spec), store.details_path(cell.result.spec))
    tables = [sys.executable, str(base / "tools" / "make_leaderboard.py"), "--readme", str(base / "README.md")]
    picture = base / "docs" / "pictures" / "board.svg"
    pictures = [str(picture)] if picture.exists() else []
    run([*tables, *(f"--picture={path}" for path in pictures)], base)
    git(base, "add", "--all", "results", "README.md", *pictures)
    git(base, "commit", "--quiet", "--message", commit_message(found))
    print(f"\nbranch {name}: {git(base, 'rev-parse', '--short', 'HEAD')}")
    print(f"send it with: git push YOUR_FORK {name}, then open a pull request on the page that git prints")


def branch_name(found: Submission) -> str:
    """Recipes, and a hash of the cells."""
    recipes = sorted({cell.result.spec.folder for cell in found.new})
    digest = sha256(" ".join(sorted(cell.result.run_id for cell in found.new)).encode()).hexdigest()[:8]
    return f"results/{'-'.join(recipes)[:60]}-{digest}"


def commit_message(found: Submission) -> str:
    """A headline, then one line per cell."""
    from benchmark.leaderboard.submission import row_name

    num = len(found.new)
    rows = "\n".join(sorted(" ".join(row_name(cell).split()) for cell in found.new))
    return f"Add {num} {'result' if num == 1 else 'results'}\n\n{rows}\n"


def git(root: Path, *arguments: str) -> str:
    """Run git in a work tree; returns its output.

    Raises:
        ValueError: with the last line of its error output.
    """
    return run(["git", "-C", str(root), *arguments], root)


def run(command: Sequence[str], folder: Path) -> str:
    """Run a program; returns its output.

    Raises:
        ValueError: with the last line of its error output.
    """
    answer = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=GIT_SECONDS, check=False
    )
    if answer.returncode:
        lines = answer.stderr.strip().splitlines() or ["no message"]
        raise ValueError(f"{Path(command[0]).name} {' '.join(command[3:5])}: {lines[-1]}")
    return answer.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
