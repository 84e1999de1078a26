"""Text from outside, made harmless for the place where it is shown: Markdown, a terminal, a spreadsheet.

Names, errors and paths may hold anything. Every output escapes them here.
"""

from __future__ import annotations

import html
import re
from typing import Any

# An underscore within a word has no meaning.
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![^\W_])_|_(?![^\W_])")
_BLOCK_START = re.compile(r"^(?:[#+=-]|\d+[.)])")
# GitHub makes links of bare addresses.
_BARE_LINK = re.compile(r"(?i)(?:(?<=http)|(?<=https)|(?<=ftp)|(?<=mailto)|(?<=xmpp)):|(?<=www)\.|@(?=[\w-]+\.)")
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r")


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, no link, no line break."""
    line = html.escape(escape_terminal(" ".join(text.split())), quote=False)
    line = _MARKUP.sub(lambda match: "\\" + match[0], line)
    line = _BARE_LINK.sub(lambda match: f"&#{ord(match[0])};", line)
    return _BLOCK_START.sub(lambda match: match[0][:-1] + "\\" + match[0][-1], line)


def escape_markdown_code(text: str) -> str:
    """Text as inline code of Markdown, also within a table."""
    line = escape_terminal(" ".join(text.split())).replace("`", "'").replace("|", "\\|")
    return f"`{line or ' '}`"


def escape_terminal(text: str) -> str:
    r"""Text without control characters: an escape character is shown as \x1b. Line breaks and tabs stay."""
    return "".join(
        character if character.isprintable() or character in "\n\t" else ascii(character)[1:-1] for character in text
    )


def escape_csv(value: Any) -> Any:
    """A value that a spreadsheet does not run as a formula; anything but text is returned unchanged.

    Text that begins like a formula gets an apostrophe before it, which spreadsheets do not show.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_START) else value
