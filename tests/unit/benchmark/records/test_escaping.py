"""Text from outside in Markdown, on a terminal and in a spreadsheet."""

from __future__ import annotations

import html
import re

import pytest
from markdown_it import MarkdownIt

from benchmark.records.escaping import escape_csv, escape_markdown, escape_markdown_code, escape_terminal

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "![picture](http://example.org/a.png)",
    "<http://example.org>",
    "http://example.org and www.example.org or me@example.org",
    "a | b || c",
    "**bold** _emphasis_ __strong__ ~~gone~~ `code` a_b_c *x*",
    "&lt;b&gt; &amp; \\*",
    "# heading",
    "1. item",
    "- item",
    "---",
    "back\\slash at the end\\",
    "[a]: http://example.org",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_hostile_text_as_it_is(text):
    """Rendered by markdown-it, an implementation of CommonMark: one paragraph that holds the text and no tag."""
    rendered = MarkdownIt("commonmark").render(escape_markdown(text))
    assert rendered == f"<p>{html.escape(text, quote=False)}</p>\n".replace('"', "&quot;")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_of_a_table_keeps_hostile_text(text):
    table = f"| head | second |\n| --- | --- |\n| {escape_markdown(text)} | {escape_markdown_code(text)} |\n"
    rendered = MarkdownIt("commonmark").enable("table").render(table)
    cells = re.findall("<td>(.*?)</td>", rendered, flags=re.DOTALL)
    assert len(cells) == 2
    assert html.unescape(cells[0]) == text
    assert set(re.findall(r"<[/\w]+", cells[1])) == {"<code", "</code"}


@pytest.mark.parametrize("text", ["http://a.org", "HTTPS://a.org", "www.a.org", "a@b.org", "mailto:a", "ftp://a.org"])
def test_no_bare_address_is_left_that_github_would_link(text):
    assert not re.search(r"(?i)(https?|ftp|mailto):|www\.|@\w+\.", escape_markdown(text))


def test_ordinary_names_stay_readable():
    assert escape_markdown("hard_sharing rmse@pixel (m), 3.5 & more") == "hard_sharing rmse@pixel (m), 3.5 &amp; more"


def test_a_line_break_does_not_leave_a_cell():
    assert escape_markdown("a\n| b\t c") == "a \\| b c"
    assert escape_markdown_code("a\n`b`") == "`a 'b'`"


def test_a_terminal_gets_no_control_sequences():
    assert escape_terminal("\x1b[31mred\x1b]0;title\x07\u202e\x9b") == r"\x1b[31mred\x1b]0;title\x07\u202e\x9b"
    assert escape_terminal("Δm ± 1\n\tnext") == "Δm ± 1\n\tnext"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_spreadsheet_gets_no_formula(text):
    assert escape_csv(text) == "'" + text


@pytest.mark.parametrize("value", ["a=1", "", -1.5, None, 3, True])
def test_numbers_and_ordinary_text_stay_as_they_are_in_a_spreadsheet(value):
    assert escape_csv(value) is value
