"""The notebooks' pictures: drawn within their frame, readable as text, right in what they say."""

import re
from xml.etree import ElementTree

import pytest

from vobiz_kit.errors import VobizKitError
from vobiz_kit.pictures import PICTURES, Picture, picture

SVG = "{http://www.w3.org/2000/svg}"
ALL = pytest.mark.parametrize("shown", PICTURES.values(), ids=PICTURES)
BOTH = pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])


def boxes_of(root: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    keys = ("x", "y", "width", "height")
    found = [tuple(float(r.get(k, "nan")) for k in keys) for r in root.iter(f"{SVG}rect")]
    return [(x, y, x + w, y + h) for x, y, w, h in found]


def test_there_are_the_pictures_that_the_notebooks_show():
    assert set(PICTURES) == {"overview", "trunk", "inbound", "outbound", "cold-transfer"}


@pytest.mark.parametrize("name", ["cold-transfer", "Cold transfer", "cold_transfer"])
def test_names_are_found_as_people_write_them(name: str):
    assert picture(name) is PICTURES["cold-transfer"]


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(VobizKitError, match="warm.*\n.*overview, trunk, inbound"):
        picture("warm")


@ALL
@BOTH
def test_every_picture_has_a_title_and_a_conclusion(shown: Picture, narrow: bool):
    root = ElementTree.fromstring(shown.svg(narrow=narrow))
    assert root.get("role") == "img"
    named = {element.get("id"): element.text for element in root}
    assert [named[key] for key in (root.get("aria-labelledby") or "").split()] == [
        shown.title,
        shown.conclusion,
    ]


@ALL
@BOTH
def test_boxes_are_in_the_frame_and_apart(shown: Picture, narrow: bool):
    root = ElementTree.fromstring(shown.svg(narrow=narrow))
    _, _, width, height = (float(n) for n in (root.get("viewBox") or "").split())
    boxes = boxes_of(root)
    assert len(boxes) == sum(len(chain.boxes) for chain in shown.chains)
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
    for i, (left, top, right, bottom) in enumerate(boxes):
        for other_left, other_top, other_right, other_bottom in boxes[i + 1 :]:
            beside = right <= other_left or other_right <= left
            assert beside or bottom <= other_top or other_bottom <= top


@ALL
@BOTH
def test_arrows_are_between_the_boxes(shown: Picture, narrow: bool):
    root = ElementTree.fromstring(shown.svg(narrow=narrow))
    boxes, lines = boxes_of(root), list(root.iter(f"{SVG}line"))
    assert len(lines) == sum(len(arrows) for chain in shown.chains for arrows in chain.arrows)
    for line in lines:
        x1, y1, x2, y2 = (float(line.get(key, "nan")) for key in ("x1", "y1", "x2", "y2"))
        assert max(x2 - x1, y2 - y1) >= 20
        for left, top, right, bottom in boxes:
            assert x2 <= left or right <= x1 or y2 <= top or bottom <= y1


@ALL
@BOTH
def test_words_fit_their_boxes(shown: Picture, narrow: bool):
    root = ElementTree.fromstring(shown.svg(narrow=narrow))
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        assert rect is not None
        room, top = float(rect.get("width", 0)), float(rect.get("y", 0))
        bottom = top + float(rect.get("height", 0))
        for text in group.findall(f"{SVG}text"):
            assert len(text.text or "") * 7.6 <= room, text.text
            assert top < float(text.get("y", 0)) < bottom


@ALL
def test_all_steps_are_in_the_drawing_and_explained(shown: Picture):
    drawn = {a.step for chain in shown.chains for arrows in chain.arrows for a in arrows} - {0}
    assert drawn == set(range(1, len(shown.steps) + 1))


@ALL
def test_arrows_join_neighbours(shown: Picture):
    for chain in shown.chains:
        assert len(chain.arrows) == len(chain.boxes) - 1


@ALL
def test_the_text_says_the_same(shown: Picture):
    bundle = shown._repr_mimebundle_()
    text, html = bundle["text/plain"], bundle["text/html"]
    for chain in shown.chains:
        for box in chain.boxes:
            assert f"[{box.name}]" in text
        for arrow in (a for arrows in chain.arrows for a in arrows):
            assert arrow.label in text
    assert shown.conclusion in text
    assert all(step in text for step in shown.steps)
    assert html.count("<svg") == 2
    assert len(set(re.findall(r' id="(\w+)"', html))) == 4  # no id twice
