"""The transcript of a call while it is spoken."""

from __future__ import annotations

from html import escape

import ipywidgets

from vobiz_kit.widgets.call_model import CallLike, CallModel
from vobiz_kit.widgets.panel import Panel, status_html, status_text

SHOWN = 60  # lines; a longer call shows its last ones


def transcript_html(model: CallModel) -> str:
    """The lines as a list; each names its speaker in words."""
    lines = model.lines[-SHOWN:]
    if not lines:
        return '<p class="vk-quiet">Nothing has been said yet.</p>'
    hidden = len(model.lines) - len(lines)
    first = f'<p class="vk-quiet">{hidden} earlier lines: call.transcript</p>' if hidden else ""
    items = "".join(
        f'<li class="vk-{"agent" if speaker == "agent" else "caller"}">'
        f"<strong>{escape(speaker)}</strong> <span>{escape(words)}"
        f"{'' if final else ' … <em>(still speaking)</em>'}</span></li>"
        for speaker, words, final in lines
    )
    return f'{first}<ul class="vk-transcript" aria-label="Transcript">{items}</ul>'


def transcript_text(model: CallModel) -> str:
    """The lines as text."""
    lines = [f"{s:>6}: {words}{'' if final else ' …'}" for s, words, final in model.lines]
    return "\n".join(lines) or "(nothing has been said yet)"


class TranscriptView(Panel):
    """Shows what caller and agent say, as it is spoken.

    Args:
        call: The call to show.
    """

    title = "Transcript"

    def __init__(self, call: CallLike) -> None:
        super().__init__()
        self._status = ipywidgets.HTML()
        self._transcript = ipywidgets.HTML()
        self._lay_out(self._status, self._transcript)
        self.model.observe(self._show_status, ["status", "reason"])
        self.model.observe(self._show_lines, ["lines"])
        self.model.follow(call)
        self._show_status()
        self._show_lines()

    def _show_status(self, change: object = None) -> None:
        self._status.value = status_html(self.model)

    def _show_lines(self, change: object = None) -> None:
        self._transcript.value = transcript_html(self.model)

    def text(self) -> str:
        """Status and transcript as text."""
        return f"{status_text(self.model)}\n{transcript_text(self.model)}"
