"""An agent that speaks first, as one does on the telephone."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from livekit.agents import Agent, StopResponse, get_job_context, llm

from vobiz_kit.phone_job import parse_job

_log = logging.getLogger(__name__)

INSTRUCTIONS = """You are a friendly receptionist on the telephone.
Answer in one or two short sentences, in plain words without lists or symbols.
When the caller asks for a person or a department, transfer the call."""
GREETING = "Hello, thanks for calling. How can I help you?"
RESCUE_GREETING = "I am sorry, we were interrupted. How can I help you?"
# Who talks for longer than that is no person who says hello; a recorded announcement may go on.
_LONGEST_HELLO_S = 8.0


class PhoneAgent(Agent):
    """An agent that speaks first, and hands over callers if it has a tool for it.

    Args:
        greeting: Its first words.
        instructions: What it knows and how it behaves.
        tools: For example ``TransferTools(ctx, settings).flatten()``.
    """

    def __init__(
        self,
        greeting: str = GREETING,
        *,
        instructions: str = INSTRUCTIONS,
        tools: list[llm.Tool] | None = None,
    ) -> None:
        super().__init__(instructions=instructions, tools=[*(tools or [])])
        self._greeting = greeting
        self._greeted = asyncio.Event()

    async def greet(self) -> None:
        """Say the greeting, once, to its end. A caller who has lost an agent hears an apology."""
        if not self._greeted.is_set():
            self._greeted.set()
            job = get_job_context(required=False)
            rescued = job is not None and parse_job(job).rescue
            await self.session.say(RESCUE_GREETING if rescued else self._greeting)

    async def greet_after_hello(self, within: float = 1.0) -> None:
        """Greet somebody whom we have called: when they have said hello, or after a moment.

        Args:
            within: Seconds of silence after which we speak first.
        """
        stirred = asyncio.Event()  # they began or ceased to speak

        def stir(_: object) -> None:
            stirred.set()

        self.session.on("user_state_changed", stir)
        try:
            async with asyncio.timeout(_LONGEST_HELLO_S):
                while not self._greeted.is_set():
                    stirred.clear()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stirred.wait(), within)
                    if not stirred.is_set() and self.session.user_state != "speaking":
                        break
        except TimeoutError:
            _log.info("greeting, although they are still talking")
        finally:
            self.session.off("user_state_changed", stir)
        await self.greet()  # which does nothing if their "hello" has been answered

    async def on_user_turn_completed(
        self, turn_ctx: llm.ChatContext, new_message: llm.ChatMessage
    ) -> None:
        """Answer a first "hello?" with the greeting instead of asking the model."""
        if not self._greeted.is_set():
            await self.greet()
            raise StopResponse
