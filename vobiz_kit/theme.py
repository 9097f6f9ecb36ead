"""The colours of everything that the kit draws, for light and dark pages.

Text and background follow JupyterLab's own variables; the accents are ours, because JupyterLab's
do not reach a contrast of 4.5:1 on text. ``tests/unit/test_theme.py`` computes the contrasts.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

PAPER = {"light": "#ffffff", "dark": "#111111"}

# name: (on a light page, on a dark page)
PALETTE: dict[str, tuple[str, str]] = {
    "ink": ("#1f2328", "#f0f3f6"),
    "quiet": ("#57606a", "#a9b3bd"),
    "line": ("#7b838b", "#7d8590"),
    "faint": ("#d0d7de", "#3d444d"),
    "box": ("#f3f5f8", "#22272e"),
    "transfer": ("#6e2da8", "#d2a8ff"),
    "transfer-box": ("#f4ebfb", "#2a2038"),
    "speech": ("#0b5394", "#79b8ff"),
    "livekit": ("#0a6a63", "#56d4c8"),
    "good": ("#116329", "#56d364"),
    "bad": ("#b3261e", "#ff8b83"),
}

# What a page in a known front end says about itself beats the system's preference.
_LIGHT_PAGES = '[data-jp-theme-light="true"] .vk, .vscode-light .vk, html[theme="light"] .vk'
_DARK_PAGES = '[data-jp-theme-light="false"] .vk, .vscode-dark .vk, html[theme="dark"] .vk'


def _properties(page: int) -> str:
    return ";".join(f"--vk-{name}:{pair[page]}" for name, pair in PALETTE.items())


def css() -> str:
    """Style rules that define ``--vk-<name>`` for every element of class ``vk``."""
    light, dark = _properties(0), _properties(1)
    paper = f"--vk-paper:var(--jp-layout-color0,{PAPER['light']})"
    dark_paper = f"--vk-paper:var(--jp-layout-color0,{PAPER['dark']})"
    return (
        f".vk{{{light};{paper};color:var(--vk-ink)}}"
        f"@media (prefers-color-scheme:dark){{.vk{{{dark};{dark_paper}}}}}"
        f"{_LIGHT_PAGES}{{{light};{paper}}}"
        f"{_DARK_PAGES}{{{dark};{dark_paper}}}"
        # On paper the page is white, whatever the screen showed.
        f"@media print{{.vk.vk{{{light};--vk-paper:{PAPER['light']}}}}}"
    )


@cache
def stylesheet(name: str) -> str:
    """The rules in ``widgets/<name>.css``."""
    path = Path(__file__).parent / "widgets" / f"{name}.css"
    return path.read_text(encoding="utf-8")
