"""Place a call by a button, watch it, hang up."""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets

from vobiz_kit.errors import CallError, NumberRefused
from vobiz_kit.numbers import parse_number
from vobiz_kit.policy import check_destination
from vobiz_kit.widgets.call_model import TALKING, CallLike
from vobiz_kit.widgets.panel import Panel, duration_text, status_html, status_text
from vobiz_kit.widgets.transcript_view import transcript_html, transcript_text

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings


class CallPanel(Panel):
    """Places a call and shows it: status, duration, transcript, and why it failed.

    ``panel = vk.CallPanel()`` shows it; ``await panel.place()`` does what its button does.

    Args:
        settings: The settings to place calls with; their directory's aliases can be dialled, too.
            Loaded when the call is placed by default.
        number: The number to start with.
        call: A call to show that is already there.
    """

    title = "Call"

    def __init__(
        self, settings: Settings | None = None, number: str = "", *, call: CallLike | None = None
    ) -> None:
        super().__init__()
        self._settings = settings
        self._placing = self._diallable = False
        self._ticker: asyncio.Task[None] | None = None
        self.number = ipywidgets.Text(
            value=number, description="Number to call:", placeholder="+15550001234",
            style={"description_width": "initial"},
        )  # fmt: skip
        self.place_button = ipywidgets.Button(description="Place call")
        self.hang_up_button = ipywidgets.Button(description="Hang up")
        self.place_button.add_class("vk-go")
        self.hang_up_button.add_class("vk-stop")
        self._verdict = ipywidgets.HTML()
        self._status = ipywidgets.HTML()
        self._duration = ipywidgets.HTML()
        self._transcript = ipywidgets.HTML()
        buttons = ipywidgets.HBox([self.place_button, self.hang_up_button])
        buttons.add_class("vk-buttons")
        self._lay_out(
            self.number, self._verdict, buttons, self._status, self._duration, self._transcript
        )
        self.number.observe(self._check, "value")
        self.place_button.on_click(lambda _: self._start("place", self.place()))
        self.hang_up_button.on_click(lambda _: self._start("hang-up", self.hang_up()))
        self.model.observe(self._show_status, ["status", "reason"])
        self.model.observe(self._show_lines, ["lines"])
        self._check()
        self._show_status()
        if call is not None:
            self.attach(call)

    @property
    def call(self) -> Any:
        """The call that is shown, None before there is one."""
        return self.model.call

    def attach(self, call: CallLike) -> None:
        """Show this call, and let the hang-up button end it."""
        self.model.follow(call)
        self._show_status()
        self._show_lines()

    async def place(self) -> Any:
        """Place a call to the number in the field, as the button does.

        Returns:
            The `vobiz_kit.Call`, also in `call`.

        Raises:
            NumberRefused: the number cannot be dialled; nothing was sent.
            CallError: a call of this panel is still in progress, or it could not be placed.
        """
        with self._showing_errors():
            if self._placing or not self.model.over:
                raise CallError("This panel's call is still in progress.", fix="Hang it up first.")
            number = self._checked()[1]
            self._placing = True
            self._show_buttons()
            try:
                self.attach(await self._place_call(number))
            finally:
                self._placing = False
                self._show_buttons()
        return self.call

    async def hang_up(self) -> None:
        """End the call, as the button does.

        Raises:
            CallError: there is no call, or it could not be ended.
        """
        with self._showing_errors():
            if self.call is None:
                raise CallError("There is no call to hang up.", fix="Place one first.")
            await self.call.hang_up()

    async def _place_call(self, number: str) -> CallLike:
        from vobiz_kit.calls import place_call

        return await place_call(number, self._settings)

    # What is shown

    def _checked(self) -> tuple[str, str]:
        """Who would be rung, in words, and the number in E.164; raises NumberRefused."""
        if self._settings is None:
            number = parse_number(self.number.value)
            return number, number
        to = check_destination(self.number.value, self._settings)
        return str(to), to.number

    def _check(self, change: object = None) -> None:
        self._diallable = False
        if not self.number.value.strip():
            self._verdict.value = '<span class="vk-quiet">With + and country code.</span>'
        else:
            try:
                shown = self._checked()[0]
            except NumberRefused as refusal:
                said = f"{refusal.what} {refusal.fix}".strip()
                self._verdict.value = _verdict("✗", "Cannot be dialled.", said, "bad")
            else:
                self._diallable = True
                self._verdict.value = _verdict("✓", "Will dial", shown, "good")
        self._show_buttons()

    def _show_buttons(self) -> None:
        idle = self.model.over and not self._placing
        self.place_button.disabled = not (idle and self._diallable)
        self.hang_up_button.disabled = self.model.over

    def _show_status(self, change: object = None) -> None:
        self._status.value = status_html(self.model)
        self._show_buttons()
        self._show_duration()
        if self.model.status in TALKING and self._ticker is None:
            self._ticker = self.tasks.start_if_loop("vobiz-widget-duration", self._tick)

    def _show_lines(self, change: object = None) -> None:
        self._transcript.value = transcript_html(self.model)

    def _show_duration(self) -> None:
        shown = (
            f"Duration: {duration_text(self.model.duration())}" if self.model.answered_at else ""
        )
        self._duration.value = f'<span class="vk-quiet">{shown}</span>'

    async def _tick(self) -> None:
        """Count the seconds while people talk; the status itself comes as events."""
        try:
            while self.model.status in TALKING:
                self._show_duration()
                await asyncio.sleep(1)
        finally:
            self._ticker = None

    def text(self) -> str:
        """Number, status and transcript as text."""
        shown = self.number.value or "(no number yet)"
        lines = [f"Call panel: {shown}", status_text(self.model)]
        if self.model.answered_at:
            lines.append(f"Duration: {duration_text(self.model.duration())}")
        if self.call is not None:
            lines.append(transcript_text(self.model))
        return "\n".join(lines)


def _verdict(sign: str, words: str, detail: str, kind: str) -> str:
    return (
        f'<span class="vk-{kind}"><span aria-hidden="true">{sign}</span> '
        f"<strong>{words}</strong></span> {escape(detail)}"
    )
