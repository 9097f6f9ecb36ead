"""Transfer a call by a button, and see how it goes."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets

from vobiz_kit.errors import TransferError
from vobiz_kit.widgets.call_model import CallLike
from vobiz_kit.widgets.panel import Panel, status_html, status_text


class TransferPanel(Panel):
    """The directory as buttons, a field for any number, and the outcome in words.

    ``await panel.transfer("billing")`` does what the button "billing" does. A transfer that the
    agent begins by itself is shown as well.

    Attributes:
        outcome: How the last transfer ended (a `vobiz_kit.outcomes.TransferOutcome`), or None.

    Args:
        call: The call to transfer.
        directory: Aliases and numbers; those of the call's settings by default.
    """

    title = "Transfer"

    def __init__(self, call: CallLike, directory: Mapping[str, str] | None = None) -> None:
        super().__init__()
        known = call.settings.numbers if directory is None and call.settings else directory
        self._directory = dict(known or {})
        self._busy = False
        self._concluded = 0.0
        self._progress: list[str] = []
        self.outcome: Any = None
        self.buttons = {alias: self._button(alias) for alias in self._directory}
        self.number = ipywidgets.Text(
            description="Other number:",
            placeholder="+15550002222",
            style={"description_width": "initial"},
        )
        self.number_button = ipywidgets.Button(description="Transfer to this number")
        self.number_button.on_click(
            lambda _: self._start("transfer", self.transfer(self.number.value))
        )
        self._status = ipywidgets.HTML()
        self._result = ipywidgets.HTML()
        people = ipywidgets.HBox(list(self.buttons.values()))
        other = ipywidgets.HBox([self.number, self.number_button])
        for row in (people, other):
            row.add_class("vk-buttons")
        heading = ipywidgets.HTML("<strong>Transfer the caller to</strong>")
        self._lay_out(self._status, heading, people, other, self._result)
        self.number.observe(self._show_buttons, "value")
        self.model.observe(self._show_status, ["status", "reason"])
        self.model.follow(call)
        for event in call.events:
            self._hear(event)
        self.model.observe(lambda change: self._hear(change["new"]), "last_event")
        self._show_status()
        self._show_result()

    def _button(self, alias: str) -> Any:
        button = ipywidgets.Button(
            description=alias, tooltip=f"Transfer to {alias}, {self._directory[alias]}"
        )
        button.add_class("vk-go")
        button.on_click(lambda _: self._start("transfer", self.transfer(alias)))
        return button

    async def transfer(self, destination: str) -> Any:
        """Transfer the caller, as a button does.

        Args:
            destination: An alias of the directory, or a number.

        Returns:
            The `vobiz_kit.outcomes.TransferOutcome`, also in `outcome`. A target that is busy is
            an outcome, not an error.

        Raises:
            NumberRefused: it cannot or must not be dialled; nothing was sent.
            TransferError: there is no answered call to transfer, or a transfer is under way.
        """
        with self._showing_errors():
            call = self.model.call
            if call is None or self._busy:
                raise TransferError("A transfer is already under way.", fix="Wait for its outcome.")
            self._busy = True
            self._show_buttons()
            try:
                self.outcome = await call.transfer(destination)
            finally:
                self._busy = False
                self._show_buttons()
            self._show_result()
        return self.outcome

    def _hear(self, event: Any) -> None:
        """Take in what the agent and LiveKit tell of a transfer."""
        if event.kind == "transfer" and "name" in event.data:
            self._concluded = event.time
            self.outcome = self.model.call.outcome if self.model.call else None
        elif event.kind == "transfer":
            if self.outcome is not None or not self._progress:
                self._progress, self.outcome, self._concluded = [], None, 0.0
            self._progress.append(event.text)
        elif event.kind != "job":
            return
        self._show_result()

    def _compute(self) -> str:
        """How soon the agent's job was over, once the transfer had succeeded; "" if unknown."""
        ended = self.model.call.job_ended if self.model.call else None
        if ended is None or not self._concluded or not getattr(self.outcome, "ok", False):
            return ""
        return f"Agent's compute: ended after {max(ended - self._concluded, 0):.2f} s"

    # What is shown

    def _show_status(self, change: object = None) -> None:
        self._status.value = status_html(self.model)
        self._show_buttons()

    def _show_buttons(self, change: object = None) -> None:
        off = self._busy or self.model.status != "active"
        for button in self.buttons.values():
            button.disabled = off
        self.number_button.disabled = off or not self.number.value.strip()

    def _show_result(self) -> None:
        steps = "".join(f"<li>{escape(step)}</li>" for step in self._progress)
        shown = f'<ul class="vk-steps" aria-label="Progress">{steps}</ul>' if steps else ""
        if self.outcome is not None:
            compute = f"<br>{self._compute()}" if self._compute() else ""
            kind = "good" if self.outcome.ok else "bad"
            body = escape(str(self.outcome)).replace("\n", "<br>")
            shown += f'<div role="status" class="vk-status vk-{kind}">{body}{compute}</div>'
        if self._result.value != shown:
            self._result.value = shown

    def text(self) -> str:
        """Destinations, status, progress and outcome as text."""
        known = ", ".join(f"{alias} ({number})" for alias, number in self._directory.items())
        lines = [f"Transfer panel: {known or 'no directory'}", status_text(self.model)]
        lines += [f"- {step}" for step in self._progress]
        lines += [str(self.outcome)] * (self.outcome is not None)
        return "\n".join(lines + [self._compute()] * bool(self._compute()))
