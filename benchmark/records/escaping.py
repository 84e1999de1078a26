"""Escaping of text from outside for Markdown, terminals and spreadsheets.

Names, errors and paths may hold any character, so every output escapes them with these functions.
"""

from __future__ import annotations

import html
import re
from typing import Any

# An underscore within a word needs no escape.
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
_BLOCK_START = re.compile(r"^(?:[#+=-]|\d+[.)])")
# GitHub turns bare addresses into links.
_BARE_LINK = re.compile(r"(?i)(?:(?<=http)|(?<=https)|(?<=ftp)|(?<=mailto)|(?<=xmpp)):|(?<=www)\.|@(?=[\w-]+\.)")
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")


def escape_markdown(text: str) -> str:
    """Escape text for Markdown: no markup, no HTML, no link, no line break."""
    line = html.escape(escape_terminal(" ".join(text.split())), quote=False)
    line = _MARKUP.sub(lambda match: "\\" + match[0], line)
    line = _BARE_LINK.sub(lambda match: f"&#{ord(match[0])};", line)
    return _BLOCK_START.sub(lambda match: match[0][:-1] + "\\" + match[0][-1], line)


def escape_markdown_code(text: str) -> str:
    """Format text as inline code of Markdown, also within a table."""
    line = escape_terminal(" ".join(text.split())).replace("`", "'").replace("|", "\\|")
    return f"`{line or ' '}`"


def escape_terminal(text: str) -> str:
    r"""Escape control characters for a terminal, such as \x1b. Line breaks and tabs stay."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1] for character in text
    )


def escape_csv(value: Any) -> Any:
    """Escape text that a spreadsheet would run as a formula; other values are returned unchanged.

    The escape is an apostrophe before the text, which spreadsheets do not show.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_START) else value
