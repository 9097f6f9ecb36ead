"""The tools that let a language model hand its caller over."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

from livekit.agents import JobContext, RunContext, StopResponse, ToolError, llm
from pydantic import Field

from vobiz_kit.asked import Asked, asked_by_tool
from vobiz_kit.call_reports import report_of
from vobiz_kit.directory import Destination, Directory, UnknownDestination
from vobiz_kit.errors import NotAllowed, NumberRefused
from vobiz_kit.hunting import transfer_to
from vobiz_kit.jobs import end_call, settings_of
from vobiz_kit.outcomes import TransferOutcome, refused
from vobiz_kit.policy import check_destination
from vobiz_kit.settling import outlasted
from vobiz_kit.warm_transfer import warm_transfer

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings

_T = TypeVar("_T")
Mode = Literal["cold", "warm"]

_ANNOUNCEMENTS: dict[Mode, str] = {
    "cold": "I am connecting you to {who} now.",
    "warm": "One moment please, I am asking {who} to take your call.",
}
TRYING_NEXT = "I cannot reach them there. I am trying another line."
E164_WORDS = "a phone number with + and country code, like +15550002222"


class _TransferTool(llm.ToolContext):
    """What both tools share: check, announce, transfer, and end the job or go on talking.

    Args:
        ctx: The job, of which the caller is transferred.
        settings: Whose trunk and directory; those that the job is served with if None.
        directory: The aliases that count; those of the settings if None.
        announcement: What the agent says before the transfer; ``{who}`` is the destination.
            "" for nothing; words that fit the mode if None.
        ringing_timeout_s: Whole seconds that the target may take to answer.
    """

    _mode: Mode = "cold"

    def __init__(
        self,
        ctx: JobContext,
        settings: Settings | None = None,
        *,
        directory: Directory | None = None,
        announcement: str | None = None,
        ringing_timeout_s: int = 30,
    ) -> None:
        self._ctx = ctx
        self._settings = settings or settings_of(ctx)
        if directory is None:
            directory = Directory.from_settings(self._settings)
        self._directory = directory
        self._announcement = _ANNOUNCEMENTS[self._mode] if announcement is None else announcement
        self._ringing_timeout_s = ringing_timeout_s
        self._running: set[asyncio.Task[Any]] = set()
        self._describe()
        super().__init__([])  # finds the methods of this class that are tools

    def _describe(self) -> None:
        """Write this directory into the tool's schema, where the class could not know it."""

    async def _hand_over(self, context: RunContext, said: str) -> None:
        report = report_of(self._ctx)
        await report.tell("tool", f"{context.function_call.name}({said!r})", destination=said)
        asked = asked_by_tool(self._ctx, context)
        try:
            to = check_destination(said, self._settings, self._directory, asked)
        except NumberRefused as refusal:
            await report.conclude(refused(refusal, said, TransferOutcome))
            raise ToolError(_refusal_for_model(refusal)) from None
        # From here on an interruption must not cancel us: it would not stop the transfer.
        with suppress(RuntimeError):  # the caller spoke in the meantime; that changes nothing
            context.disallow_interruptions()
        await self._say(context, self._announcement.format(who=to.alias or "that number"))
        outcome = await asyncio.shield(
            self._own(
                self._warm(context, to)
                if self._mode == "warm"
                else self._transfer(context, to, asked),
                f"transfer to {to}",
            )
        )
        if not outcome.ok and outcome.name != "caller_hung_up":
            raise ToolError(outcome.told)
        raise StopResponse  # nobody is left to talk to

    async def _say(self, context: RunContext, words: str) -> None:
        if words:
            with suppress(RuntimeError):  # the session is closing: the caller has hung up
                # Not for the model: after these words it would take the tool's result for answered.
                await context.session.say(words, allow_interruptions=False, add_to_chat_ctx=False)

    async def _transfer(
        self, context: RunContext, to: Destination, asked: Asked
    ) -> TransferOutcome:
        report = report_of(self._ctx)

        async def on_next(target: Destination, before: TransferOutcome) -> None:
            await report.conclude(before)
            await report.tell("transfer", f"trying {target} instead", to=target.number)
            await self._say(context, TRYING_NEXT)

        await report.tell("transfer", f"asking the carrier to connect {to}", to=to.number)
        outcome = await transfer_to(
            self._ctx.api,
            self._ctx.room,
            to,
            self._settings,
            self._directory,
            asked,
            ringing_timeout_s=self._ringing_timeout_s,
            on_next=on_next,
        )
        await report.conclude(outcome)
        if outcome.ok:
            await end_call(self._ctx, "transferred")
        elif outcome.name == "caller_hung_up":
            await end_call(self._ctx, "the caller hung up")
        elif outcome.name == "undecided":
            self._own(self._settle(context, outcome), f"settle the transfer to {to}")
        return outcome

    async def _warm(self, context: RunContext, to: Destination) -> TransferOutcome:
        outcome = await warm_transfer(
            self._ctx,
            context.session,
            self._settings,
            to,
            ringing_timeout_s=to.ringing_s or self._ringing_timeout_s,
        )
        if outcome.name == "caller_hung_up":
            await end_call(self._ctx, "the caller hung up")
        return outcome

    async def _settle(self, context: RunContext, undecided: TransferOutcome) -> None:
        """Tell the caller that nobody came, if nobody did; a caller who leaves ends the job."""
        if (settled := await outlasted(self._ctx.room, undecided)) is not None:
            await report_of(self._ctx).conclude(settled)
            with suppress(RuntimeError):  # the session is closing
                await context.session.say(settled.spoken)

    def _own(self, work: Coroutine[Any, Any, _T], name: str) -> asyncio.Task[_T]:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


class TransferTools(_TransferTool):
    """``transfer_call(destination)``: to an alias of the directory, or to a number.

    Use it as ``Agent(tools=TransferTools(ctx, settings).flatten())``.

    Args:
        ctx: The job, of which the caller is transferred.
        settings: Whose trunk and directory; those that the job is served with if None.
        mode: "cold": the carrier connects the caller, and the agent leaves. "warm": the caller
            waits on hold while the agent asks the target (`vobiz_kit.warm_transfer`).
        **how: ``directory``, ``announcement`` and ``ringing_timeout_s``: the aliases that count,
            what the agent says first (``{who}`` is the destination), and the whole seconds that
            the target may take to answer.
    """

    def __init__(
        self,
        ctx: JobContext,
        settings: Settings | None = None,
        *,
        mode: Mode = "cold",
        **how: Any,
    ) -> None:
        self._mode = mode
        super().__init__(ctx, settings, **how)

    @llm.function_tool
    async def transfer_call(self, context: RunContext, destination: str) -> None:
        """Transfer the caller to a person or a department, and leave the call.

        Call it when the caller asks to be connected, put through or transferred. The caller is
        told by this tool; say nothing yourself.

        Args:
            destination: Who the caller wants to talk to.
        """
        await self._hand_over(context, destination)

    def _describe(self) -> None:
        aliases = list(self._directory.aliases)
        listed = ", ".join(aliases)
        description = f"One of: {listed}; or {E164_WORDS}." if aliases else E164_WORDS

        def choices(schema: dict[str, Any]) -> None:
            if aliases:
                del schema["type"]
                schema["anyOf"] = [
                    {"type": "string", "enum": aliases},
                    {"type": "string", "description": E164_WORDS},
                ]

        field = Field(description=description, json_schema_extra=choices)
        tool = self.transfer_call
        hints = get_type_hints(tool, include_extras=True)
        tool.__annotations__ = {**hints, "destination": Annotated[str, field]}
        # An attribute of its own: the class's tool would be described alike for all directories.
        self.__dict__["transfer_call"] = tool


class CallingTools(_TransferTool):
    """``cold_transfer(target_phone)``: to a plain number, for agents without a directory."""

    @llm.function_tool
    async def cold_transfer(self, context: RunContext, target_phone: str) -> None:
        """Transfer the caller to a phone number, and leave the call.

        Call it when the caller names a number to be transferred to. The caller is told by this
        tool; say nothing yourself.

        Args:
            target_phone: The number with + and country code, like +15550002222.
        """
        await self._hand_over(context, target_phone)


def _refusal_for_model(refusal: NumberRefused) -> str:
    # As in the table of outcomes, the first sentence can be spoken as it stands.
    if isinstance(refusal, UnknownDestination):
        *others, last = refusal.aliases or ("nobody",)
        known = f"{', '.join(others)} or {last}" if others else last
        return f"I can connect you to {known}. Whom would you like? ({refusal.what})"
    if isinstance(refusal, NotAllowed):
        # Without the evidence: what the settings allow is no business of whoever is on the line.
        return f"{refusal.spoken} (The caller is still on the line: offer something else.)"
    return (
        f"I cannot connect you to that. (The caller is still on the line: offer something else. "
        f"{refusal.what} {refusal.evidence})"
    )
