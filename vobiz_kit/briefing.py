"""What the agent tells the person to whom it wants to hand a caller, and asks them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from livekit.agents import RunContext, StopResponse, llm

from vobiz_kit.phone_agent import PhoneAgent

QUESTION = "Will you take the call?"
ACCEPTED = "Thank you, connecting you now."
DECLINED = "All right, I will tell them. Goodbye."
# More than that nobody wants to hear before they say yes or no.
_LONGEST_QUOTE_WORDS = 40


class BriefingAgent(PhoneAgent):
    """Briefs the person who answered, answers their questions, and takes a yes or a no.

    Args:
        talk: The conversation with the caller.
        briefing: What the person should know, in sentences that can be spoken; what the caller
            said last if "".
        caller_number: The caller's number, told if the person asks for it; "" if unknown.

    Attributes:
        taken: Becomes True or False when the person has decided.
    """

    def __init__(self, talk: llm.ChatContext, *, briefing: str, caller_number: str = "") -> None:
        lines = conversation(talk)
        super().__init__(
            opening(briefing, [text for who, text in lines if who == "Caller"]),
            instructions=_instructions(lines, briefing, caller_number),
        )
        self.taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def greet(self) -> None:
        """Say the opening, once and to its end, also to somebody who is still saying hello."""
        if not self._greeted.is_set():
            self._greeted.set()
            await self.session.say(self._greeting, allow_interruptions=False)

    @llm.function_tool
    async def accept_call(self, context: RunContext) -> None:
        """Put the caller through: this person has said that they take the call.

        Say nothing yourself; this tool tells them.
        """
        await self._decide(context, True, ACCEPTED)

    @llm.function_tool
    async def decline_call(self, context: RunContext) -> None:
        """Do not put the caller through: this person cannot or does not want to take the call.

        Say nothing yourself; this tool tells them.
        """
        await self._decide(context, False, DECLINED)

    async def _decide(self, context: RunContext, taken: bool, words: str) -> None:
        context.disallow_interruptions()
        await context.session.say(words, allow_interruptions=False, add_to_chat_ctx=False)
        if not self.taken.done():
            self.taken.set_result(taken)
        raise StopResponse


def conversation(talk: llm.ChatContext) -> list[tuple[str, str]]:
    """Who said what, in their order: ("Caller", "I need a new wheel.")."""
    names = {"user": "Caller", "assistant": "Assistant"}
    return [
        (names[message.role], message.text_content)
        for message in talk.messages()
        if message.role in names and message.text_content
    ]


def opening(briefing: str, caller_said: Sequence[str]) -> str:
    """The first words to the person who answered.

    They are put together and not made up by a language model: a person who decides on them must be
    able to rely on them, and they come without the time that a model takes.

    Args:
        briefing: What they should know; what the caller said if "".
        caller_said: The caller's sentences, the oldest first.
    """
    known = briefing.strip()
    if not known and (quote := _newest_words(caller_said)):
        known = f"They said: {quote}"
    parts = ["Hello, this is the automatic assistant. I have a caller on hold for you.", known]
    return " ".join(part for part in (*parts, QUESTION) if part)


def _newest_words(said: Sequence[str]) -> str:
    """The newest sentences, as many as one listens to."""
    chosen: list[str] = []
    count = 0
    for sentence in reversed([text.strip() for text in said if text.strip()]):
        count += len(sentence.split())
        if chosen and count > _LONGEST_QUOTE_WORDS:
            break
        chosen.insert(0, sentence if sentence.endswith((".", "!", "?")) else f"{sentence}.")
    words = " ".join(chosen).split()
    if len(words) > _LONGEST_QUOTE_WORDS:  # a single sentence without an end
        return "… " + " ".join(words[-_LONGEST_QUOTE_WORDS:])
    return " ".join(words)


def _instructions(lines: Sequence[tuple[str, str]], briefing: str, caller_number: str) -> str:
    talk = "\n".join(f"{who}: {text}" for who, text in lines) or "(nothing was said yet)"
    facts = [briefing.strip(), f"The caller's number is {caller_number}." if caller_number else ""]
    return "\n".join(
        part
        for part in (
            "You are an assistant on the telephone with a colleague. A caller waits on hold.",
            "The colleague decides whether to take the call. You have asked them.",
            "Call accept_call as soon as they agree, decline_call as soon as they do not.",
            "Answer their questions about the caller in one short sentence, then ask again.",
            "Say only what stands here. You do not talk to the caller now.",
            *facts,
            "The conversation with the caller so far:",
            talk,
        )
        if part
    )
