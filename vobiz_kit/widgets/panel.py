"""What all widgets of the kit have in common: looks, status line, errors, tasks, and their end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import ipywidgets

from vobiz_kit import theme
from vobiz_kit.widgets.call_model import STATUS_WORDS, CallModel
from vobiz_kit.widgets.tasks import Tasks

# Cell -> the execution that made its panels, and those panels. Run a cell again, and the panels
# of its last run are closed: else each run would leave a comm and a subscription behind.
_BY_CELL: dict[str, tuple[str, list[Panel]]] = {}


class Panel(ipywidgets.VBox):
    """A widget that shows a call, and owns its tasks.

    Attributes:
        model: The state that is shown.
        error: The last error of an action, or None; it is shown in the widget too.
    """

    title = "Call"

    def __init__(self) -> None:
        super().__init__()
        self.model = CallModel()
        self.error: Exception | None = None
        self.tasks = Tasks(self._show_error)
        self._problem = ipywidgets.HTML()
        self._shown_problem = ""
        self.add_class("vk")
        self.add_class("vk-panel")
        _take_place_of_last_run(self)

    def _lay_out(self, *children: Any) -> None:
        style = ipywidgets.HTML(f"<style>{theme.css()}{theme.stylesheet('panel')}</style>")
        style.layout.display = "none"
        self.children = (style, *children, self._problem)

    # Actions

    def _start(self, name: str, work: Any) -> None:
        """Run what a button asks for; its error is shown, and kept in `error`."""
        self.tasks.start(f"vobiz-widget-{name}", work)

    @contextmanager
    def _showing_errors(self) -> Iterator[None]:
        """Show what goes wrong within, and let it go on to whoever awaits the action in code."""
        self._clear_error()
        try:
            yield
        except Exception as error:
            self._show_error(error)
            raise

    def _show_error(self, error: Exception) -> None:
        if error is self.error:
            return
        self.error = error
        self._shown_problem = str(error) or type(error).__name__
        self._problem.value = (
            '<div role="alert" class="vk-problem"><span aria-hidden="true">✗</span> '
            f"<strong>{escape(type(error).__name__)}</strong>: "
            f"{escape(self._shown_problem)}</div>"
        )

    def _clear_error(self) -> None:
        self.error, self._shown_problem, self._problem.value = None, "", ""

    # The end

    def close(self) -> None:
        """Unhook from the call, cancel the tasks, and close the widget with all its parts."""
        self.model.unfollow()
        self.tasks.cancel()
        for widget in _parts(self):
            ipywidgets.Widget.close(widget)

    async def aclose(self) -> None:
        """As `close`, and wait until the tasks are over."""
        self.close()
        await self.tasks.aclose()

    # Without a kernel

    def text(self) -> str:
        """What the widget shows, as text."""
        raise NotImplementedError

    def html(self) -> str:
        """What the widget shows, for a page without a kernel."""
        return f'<pre aria-label="{escape(self.title)}">{escape(self.text())}</pre>'

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        data: dict[str, Any] = super()._repr_mimebundle_(**kwargs) or {}
        return {**data, "text/plain": self.text(), "text/html": self.html()}


def status_text(model: CallModel) -> str:
    """The call's status: sign, words, and the reason if it failed."""
    sign, words = STATUS_WORDS.get(model.status, ("○", model.status))
    return f"{sign} {words}" + (f": {model.reason}" if model.reason else "")


def status_html(model: CallModel) -> str:
    """The same, announced by a screen reader when it changes."""
    sign, words = STATUS_WORDS.get(model.status, ("○", model.status))
    kind = {"✓": "good", "✗": "bad"}.get(sign, "plain")
    reason = f"<br>{_lines(model.reason)}" if model.reason else ""
    return (
        f'<div role="status" class="vk-status vk-{kind}"><span aria-hidden="true">{sign}</span> '
        f"<strong>{escape(words)}</strong>{reason}</div>"
    )


def duration_text(seconds: float) -> str:
    """Seconds as minutes and seconds: ``1:05``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _parts(widget: Any) -> list[Any]:
    """The widget, everything inside it, and their layouts and styles."""
    found = []
    for child in getattr(widget, "children", ()):
        found += _parts(child)
    found += [part for name in ("layout", "style") if (part := getattr(widget, name, None))]
    return [*found, widget]


def _take_place_of_last_run(panel: Panel) -> None:
    ipython = sys.modules.get("IPython")
    shell: Any = ipython.get_ipython() if ipython else None
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    cell = parent.get("metadata", {}).get("cellId", "")
    run = parent.get("header", {}).get("msg_id", "")
    if not cell:
        return
    last_run, panels = _BY_CELL.get(cell, (run, []))
    if last_run != run:
        for old in panels:
            old.close()
        panels = []
    _BY_CELL[cell] = (run, [*panels, panel])
