"""Tables: text for terminals, accessible HTML for notebooks."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from vobiz_kit.tables import Mark, Table

TABLE = Table(
    "What runs",
    ("Part", "State", "Detail"),
    [
        ("redis", Mark("ok", "healthy"), "port 1"),
        ("<b>carrier</b>", Mark("fail", "stopped"), "it ended\nwith code 1 & more"),
    ],
    note="Two <parts>.",
)


class Reader(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_text_is_aligned_and_keeps_lines_of_a_cell_together() -> None:
    assert str(TABLE).splitlines() == [
        "What runs",
        "Part            State      Detail",
        "--------------  ---------  ------------------",
        "redis           ✓ healthy  port 1",
        "<b>carrier</b>  ✗ stopped  it ended",
        "                           with code 1 & more",
        "Two <parts>.",
    ]
    assert repr(TABLE) == str(TABLE)


def test_html_is_an_accessible_table() -> None:
    read = Reader(TABLE._repr_html_())
    headings = [attrs["scope"] for tag, attrs in read.tags if tag == "th"]
    assert headings == ["col", "col", "col", "row", "row"]
    assert [tag for tag, _ in read.tags].count("caption") == 1
    assert "b" not in [tag for tag, _ in read.tags]  # escaped
    assert "<b>carrier</b>" in read.text
    assert "with code 1 & more" in read.text
    assert "Two <parts>." in read.text


def test_no_colour_carries_meaning_alone_and_none_is_fixed() -> None:
    html = TABLE._repr_html_()
    assert "✓</span> healthy" in html
    assert "✗</span> stopped" in html
    for style in re.findall(r'style="([^"]*)"', html):
        for colour in re.findall(r"#[0-9a-f]{3,8}", style):
            assert re.search(rf"var\(--jp-[a-z0-9-]+, {colour}\)", style), style
        assert "background" not in style
    # Text has the theme's own colour; the accents are borders.
    assert set(re.findall(r"(?<![-\w])color: ([^;\"]+)", html)) == {
        "var(--jp-content-font-color1, inherit)"
    }


def test_every_mark_has_a_sign_and_its_word() -> None:
    signs = {str(Mark(kind, "word")) for kind in ("ok", "warn", "fail", "skip", "new", "changed")}
    assert len(signs) == 6
    assert all(sign.endswith(" word") for sign in signs)


def test_an_empty_table_says_so_and_a_crooked_one_is_refused() -> None:
    empty = Table("Removed", ("What", "Id"), [])
    assert str(empty).endswith("(none)")
    assert '<td colspan="2"' in empty._repr_html_()
    with pytest.raises(ValueError, match="1 cells for 2 columns"):
        Table("Crooked", ("What", "Id"), [("only one",)])
