"""Pages about a regularizer: a TOML file below `results/pages` says which boards and regularizers a page is about.

title = "Does the third dimension matter?"
regularizers = ["three_d_aware"]
boards = ["nyuv2_lite"]
appendix = "history/regimes.md"              # text for the end of the page, below the folder of results; optional

[diagnostics]                                # names of recorded diagnostics, each with its meaning; optional
ray_entropy = "entropy of the ray weights"

`results/pages/NAME.toml` makes `results/NAME.md`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from benchmark.records.boards import board_names
from benchmark.records.toml_files import read_toml
from benchmark.records.validation import RecordError
from benchmark.tasks import suggest

PAGES = Path("pages")
"""Folder of the page files below the folder of results."""
OTHER_TEXTS = ("leaderboard", "readme")
"""Names, in lower case, that no page can have."""


class RegularizerPage(BaseModel):
    """Title, regularizers and boards of a page.

    Args:
        name: name of the TOML file, without ending.
        title: heading of the page.
        regularizers: names; the page shows the gain of each of them over other regularizers.
        boards: names of boards, in the order of the page.
        diagnostics: meaning of each recorded diagnostic, by its name.
        appendix: path of a Markdown text for the end of the page, relative to the folder of results; empty for none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    regularizers: tuple[str, ...] = Field(min_length=1)
    boards: tuple[str, ...] = Field(min_length=1)
    diagnostics: dict[str, str] = {}
    appendix: str = ""

    def appendix_text(self, root: Path) -> str:
        """The text of the appendix; empty without one.

        Args:
            root: folder of results.

        Raises:
            RecordError: if the file lies outside the folder of results or is not readable text.
        """
        if not self.appendix:
            return ""
        path = root / self.appendix
        if not path.resolve().is_relative_to(root.resolve()):
            raise RecordError(f"{PAGES / self.name}.toml: appendix: {self.appendix!r} is outside the folder of results")
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecordError(f"{PAGES / self.name}.toml: appendix: {self.appendix} is not readable: {error}") from None


def read_pages(root: Path) -> list[RegularizerPage]:
    """The pages of a folder of results, by name.

    Raises:
        RecordError: if a file is not TOML, has a wrong entry or the name of another text, or names a board that does
            not exist; in one line.
    """
    pages = [read_toml(RegularizerPage, path, name=path.stem) for path in sorted((root / PAGES).glob("*.toml"))]
    known = board_names(root)
    for page in pages:
        if page.name.lower() in OTHER_TEXTS:
            raise RecordError(f"{PAGES / page.name}.toml: another text of the results has this name; rename the file")
        for board in page.boards:
            if board not in known:
                raise RecordError(
                    f"{PAGES / page.name}.toml: boards: no board named {board!r}.{suggest(board, known)} "
                    f"Boards: {', '.join(known) or 'none'}"
                )
    return pages
