"""Hooks of the documentation site: pages from docstrings, the tools' help, and the files that pages link to.

A page of docs/ links to files of the repository as GitHub shows them, such as ../CONTRIBUTING.md. Here each of these
files becomes a page below `project/`, and the links lead there.
"""

from __future__ import annotations

import contextlib
import io
import posixpath
import re
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

DOCS, PROJECT = "docs", "project"
LINK = re.compile(r"(?P<start>\]\()(?P<path>[^)#\s:]+)(?P<rest>#[^)\s]*)?(?=\))")
CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".cff": "yaml"}

API = {
    "contracts": ("Contracts", "Interfaces of methods, backbones and regularizers.", "benchmark.contracts"),
    "tasks": ("Tasks", "Prediction, valid pixels, loss and ranking metric of a task.", "benchmark.tasks"),
    "registry": ("Registries", "Names of methods, regularizers, data sets and backbones.", "benchmark.registry"),
    "heads": ("Heads", "Prediction heads, resizing, and the reading of raw predictions.", "benchmark.heads"),
    "frame": ("Results as a table", "All results as one pandas frame.", "benchmark.leaderboard.frame"),
    "records": ("Results as files", "Request and outcome of a cell.", "benchmark.records.result"),
}
"""Pages of the reference that mkdocstrings makes: file -> title, sentence, module."""
MADE = {"tools": "Tools", **{name: title for name, (title, _, _) in API.items()}}
CARDS = {
    "Metric cards": "benchmark/metrics/CARDS.md",
    "Data cards": "datasets/CARDS.md",
    "Contributing": "CONTRIBUTING.md",
}
"""Files of the repository that stand in the navigation."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages that are made here, and pages of docs/ that the navigation does not name."""
    nav: list[Any] = list(config.nav or [])
    named = set(_named(nav))
    further = sorted(path.name for path in (CHECKOUT / DOCS).glob("*.md") if path.name not in named)
    sections = {title: entries for part in nav if isinstance(part, dict) for title, entries in part.items()}
    sections["How to"] += further
    sections["Reference"] += [{title: f"reference/{name}.md"} for name, title in MADE.items()]
    sections["Reference"] += [{title: page_of(path)} for title, path in CARDS.items()]
    config.nav = nav
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the reference, and a page for each file of the repository that a page links to."""
    from mkdocs.structure.files import File

    made = {f"reference/{name}.md": f"# {API[name][0]}\n\n{API[name][1]}\n\n::: {API[name][2]}\n" for name in API}
    made["reference/tools.md"] = tools_text()
    pages = [f"{DOCS}/{file.src_uri}" for file in files.documentation_pages()]
    made |= {page_of(path): text_of(path) for path in linked([*pages, *CARDS.values()])}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point the links to files of the repository at the pages of these files."""
    origin = origin_of(page.file.src_uri)
    if page.file.src_uri.startswith(f"{PROJECT}/") and not origin.endswith(".md"):
        return markdown
    here = posixpath.dirname(page.file.src_uri)

    def target(match: re.Match[str]) -> str:
        path = resolved(origin, match["path"])
        return f"{match['start']}{posixpath.relpath(page_of(path), here or '.')}{match['rest'] or ''}"

    return _outside_code(markdown, lambda text: LINK.sub(target, text))


def page_of(path: str) -> str:
    """Place on the site of a file of the repository, such as "docs/grid.md" or "datasets/CARDS.md"."""
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    if path.endswith(".md") or PurePosixPath(path).suffix == ".png":
        return f"{PROJECT}/{path}"
    return f"{PROJECT}/{path}.md"


def origin_of(uri: str) -> str:
    """File of the repository that a page of the site shows; the inverse of `page_of`."""
    if not uri.startswith(f"{PROJECT}/"):
        return f"{DOCS}/{uri}"
    path = uri.removeprefix(f"{PROJECT}/")
    return path if (CHECKOUT / path).is_file() else path.removesuffix(".md")


def resolved(origin: str, link: str) -> str:
    """Path in the repository that a link in a file means."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))


def linked(pages: list[str]) -> list[str]:
    """Files outside of docs/ that these pages link to, directly or through other Markdown files."""
    found: dict[str, None] = {path: None for path in pages if not path.startswith(f"{DOCS}/")}
    waiting = list(pages)
    while waiting:
        origin = waiting.pop()
        file = CHECKOUT / origin
        if not (origin.endswith(".md") and file.is_file()):
            continue
        for match in LINK.finditer(CODE.sub("", file.read_text(encoding="utf-8"))):
            path = resolved(origin, match["path"])
            if path not in found and not path.startswith(f"{DOCS}/") and (CHECKOUT / path).exists():
                found[path] = None
                waiting.append(path)
    return list(found)


def text_of(path: str) -> str:
    """A file of the repository as a page: Markdown as it is, code in a block, a folder as a list."""
    file = CHECKOUT / path
    if file.is_dir():
        names = sorted(f"* `{entry.name}`\n" for entry in file.iterdir() if not entry.name.startswith((".", "__")))
        return f"# `{path}`\n\n{''.join(names)}"
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    return f"# `{path}`\n\n````{LANGUAGES.get(file.suffix, 'text')}\n{text}````\n"


def tools_text() -> str:
    """One page with the help of every tool."""
    sections = [f"## {name}\n\n```text\n{text}```\n" for name, text in helps()]
    return "\n".join(["# Tools\n\nThe output of `--help`, tool by tool.\n", *sections])


def helps() -> Iterator[tuple[str, str]]:
    """Name and help text of every tool that people call."""
    for path in sorted((CHECKOUT / "tools").glob("*.py")):
        if path.read_text(encoding="utf-8").endswith("sys.exit(main())\n"):
            module, text = import_module(f"tools.{path.stem}"), io.StringIO()
            program, sys.argv[0] = sys.argv[0], path.name
            try:
                with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
                    module.parse_arguments(["--help"])
            finally:
                sys.argv[0] = program
            yield path.name, text.getvalue()


def _named(nav: Any) -> Iterator[str]:
    """Paths of all pages in a navigation."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        yield from _named(list(nav.values()))
    else:
        for entry in nav:
            yield from _named(entry)


def _outside_code(text: str, change: Any) -> str:
    """Text in which `change` was applied to everything outside of code."""
    parts, last = [], 0
    for match in CODE.finditer(text):
        parts += [change(text[last : match.start()]), match[0]]
        last = match.end()
    return "".join([*parts, change(text[last:])])
