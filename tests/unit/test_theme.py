"""Contrast of the kit's colours, computed as WCAG 2.2 says, on light and dark pages."""

import pytest

from vobiz_kit.theme import PALETTE, PAPER, css

TEXT = ["ink", "quiet", "transfer", "speech", "livekit", "good", "bad"]
EDGES = ["line"]
# JupyterLab's own notebook backgrounds, and the kit's boxes.
PAGES = {"light": ["#ffffff"], "dark": ["#111111", "#212121"]}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def backgrounds(page: str) -> list[str]:
    which = ["light", "dark"].index(page)
    return [*PAGES[page], PALETTE["box"][which], PALETTE["transfer-box"][which]]


def test_the_yardstick():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("page", ["light", "dark"])
@pytest.mark.parametrize("name", TEXT)
def test_text_can_be_read(page: str, name: str):
    colour = PALETTE[name][["light", "dark"].index(page)]
    for background in backgrounds(page):
        assert contrast(colour, background) >= 4.5, background


@pytest.mark.parametrize("page", ["light", "dark"])
@pytest.mark.parametrize("name", EDGES)
def test_edges_can_be_seen(page: str, name: str):
    colour = PALETTE[name][["light", "dark"].index(page)]
    for background in backgrounds(page):
        assert contrast(colour, background) >= 3, background


@pytest.mark.parametrize("page", ["light", "dark"])
@pytest.mark.parametrize("name", ["speech", "bad"])
def test_the_words_on_buttons_can_be_read(page: str, name: str):
    colour = PALETTE[name][["light", "dark"].index(page)]
    assert contrast(PAPER[page], colour) >= 4.5


def test_every_colour_reaches_both_themes():
    rules = css()
    for name, (light, dark) in PALETTE.items():
        assert f"--vk-{name}:{light}" in rules
        assert f"--vk-{name}:{dark}" in rules
