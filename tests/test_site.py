"""The documentation site builds without a warning, loads nothing from other hosts, and its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Attributes whose address a browser loads without being asked."""


class Addresses(HTMLParser):
    """Addresses of a page: loaded ones, links, and the names that links may lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.names |= {given["id"]} if "id" in given else set()
        if LOADED.get(tag) in given:
            self.loaded.append(given[LOADED[tag]])
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    pytest.importorskip("material", reason="the site needs Python 3.11 and: python -m pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    run = subprocess.run(command, cwd=CHECKOUT, env=quiet, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "WARNING" not in run.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Addresses]:
    return {path: Addresses(path.read_text()) for path in sorted(site.rglob("*.html"))}


@pytest.mark.slow
def test_a_browser_loads_files_of_the_site_alone(site: Path, pages: dict[Path, Addresses]) -> None:
    foreign = {address for page in pages.values() for address in page.loaded if "//" in address}
    assert not foreign
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", styles)
    assert (site / "search" / "search_index.js").is_file()


@pytest.mark.slow
def test_every_link_leads_to_a_place_of_the_site(pages: dict[Path, Addresses]) -> None:
    broken = [f"{path.name}: {link}" for path, page in pages.items() for link in broken_links(path, page, pages)]
    assert not broken


def broken_links(path: Path, page: Addresses, pages: dict[Path, Addresses]) -> Iterator[str]:
    """Links of a page to files or names that do not exist; the page of the error 404 has addresses of a server."""
    for link in page.links if path.name != "404.html" else ():
        address, name = urldefrag(unquote(link))
        if ":" in address.partition("/")[0] or address.startswith("//"):
            continue
        target = (path.parent / address).resolve() if address else path
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file() or (name and target in pages and name not in pages[target].names and name != "__top"):
            yield link


@pytest.mark.slow
def test_the_reference_describes_contracts_tools_and_cards(site: Path) -> None:
    contracts = (site / "reference" / "contracts.html").read_text()
    assert all(f"benchmark.contracts.{name}" in contracts for name in ("Method", "Regularizer", "MultiTaskOutput"))
    tools = (site / "reference" / "tools.html").read_text()
    assert "run_grid.py" in tools
    assert "--regularizers" in tools
    assert (site / "project" / "benchmark" / "metrics" / "CARDS.html").is_file()
