"""Markup of sentences: the same sentence for Markdown, and as plain text for HTML and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.records.escaping import escape_markdown, escape_markdown_code, escape_terminal


@dataclass(frozen=True)
class Markup:
    """Functions that format text from outside within a sentence.

    Args:
        text: for names and sentences.
        code: for names of files, settings and data sets.
    """

    text: Callable[[str], str]
    code: Callable[[str], str]


def one_line(text: str) -> str:
    r"""Text without line breaks; a character that cannot be seen is written as its code, such as \u202e."""
    return escape_terminal(" ".join(text.split()))


MARKDOWN = Markup(escape_markdown, escape_markdown_code)
PLAIN = Markup(one_line, one_line)
"""Plain text, which its writer escapes for its format."""
