"""The lab's stand-in for a language model: a keyword matcher. It understands nothing.

It reads what a language model is given, namely the instructions, the tools' JSON schemas and the
conversation, and matches words: a caller who says "put me through to billing" gets the tool that
transfers, with the value of its schema that sounds most like what was said; a question gets the
sentence of the instructions that shares its words. The same request always gets the same reply.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vobiz_kit.lab.speech import tool_calls
from vobiz_kit.lab.speech.instructions import answer, is_greeting, persona, quoted, turn_sentence
from vobiz_kit.lab.speech.tool_calls import Call, Scene, whom
from vobiz_kit.lab.speech.tool_results import (
    failed,
    for_the_caller,
    forbids_another_try,
    succeeded,
)
from vobiz_kit.lab.speech.tool_schema import Purpose, Tool, read_tools
from vobiz_kit.lab.speech.utterances import is_farewell, is_no, is_yes
from vobiz_kit.lab.speech.words import contains_phrase, joined, phrases, words_of

_QUESTION = phrases(
    "when, where, what, what's, how, which, why, do you, does, are you, is it, is there, "
    "who are, can i park"
)
# What a caller is told of a tool is its name.
_NAMED = (Purpose.OTHER, Purpose.ACCEPT, Purpose.DECLINE)
_SMALL_TALK = {
    "repeat": phrases("repeat, say that again, pardon, what did you say, didn't hear"),
    "help": phrases("can you help, need help, need some help, what can you do, help me"),
    "who": phrases("who are you, who is this, who am i speaking to"),
    "machine": phrases("robot, a human, a machine, a computer, real person, a bot"),
    "there": phrases("anybody there, anyone there, are you there, hear me"),
    "wait": phrases("wait, hold on, one moment, just a moment, one second"),
    "thanks": phrases("thank, thanks"),
    "hello": phrases("hello, hi, hey, good morning, good afternoon, good evening"),
}


@dataclass(frozen=True)
class Reply:
    """What the model answers: words for the caller, or a tool call, or neither ("")."""

    content: str = ""
    call: Call | None = None


def reply(
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    tool_choice: str | Mapping[str, Any] = "auto",
) -> Reply:
    """Answer a chat request.

    Args:
        messages: The conversation in OpenAI's form; system and developer messages at its begin are
            the instructions, one at its end is an instruction for this turn (livekit-agents puts
            there what ``session.generate_reply(instructions=...)`` is given).
        tools: The tools in OpenAI's form.
        tool_choice: "auto", "none", "required", or the function to call.

    Returns:
        At most one tool call, never together with words.
    """
    instructions = _instructions(messages)
    may_call = [] if tool_choice == "none" else read_tools(tools)
    said, before = _last_words(messages)
    scene = Scene(said, before, may_call, instructions)
    if tool_choice not in ("auto", "none"):
        name = None if isinstance(tool_choice, str) else str(tool_choice["function"]["name"])
        if call := tool_calls.forced(scene, name):
            return Reply(call=call)
    last = messages[-1] if messages else {"role": "system"}
    match last.get("role"):
        case "user":
            return _to_user(scene)
        case "tool" | "function":
            return Reply(_to_result(messages, scene, read_tools(tools)))
        case "assistant":
            return Reply()  # it is the caller's turn
        case _:
            return _to_instruction(messages, scene)


def _to_user(scene: Scene) -> Reply:
    words = scene.words
    if call := tool_calls.end_call(scene):
        return Reply(call=call)
    asks = contains_phrase(words, _QUESTION) is not None
    steps = (
        lambda: tool_calls.consent(scene),
        lambda: tool_calls.transfer(scene, firmly=True),
        lambda: answer(scene.said, scene.instructions) if asks else None,
        lambda: tool_calls.other(scene),
        lambda: tool_calls.transfer(scene, firmly=False),
        lambda: answer(scene.said, scene.instructions),
    )
    for step in steps:
        if decided := step():
            return Reply(call=decided) if isinstance(decided, Call) else Reply(decided)
    return Reply(_small_talk(scene) or f"I did not understand that, sorry. {_abilities(scene)}")


def _small_talk(scene: Scene) -> str | None:
    words, who = scene.words, persona(scene.instructions)
    said = {
        name for name, signs in _SMALL_TALK.items() if contains_phrase(words, signs) is not None
    }
    more = "Is there anything else I can do for you?"
    talk = (
        (is_farewell(words), "Thank you for calling. Goodbye!"),
        ("repeat" in said or words in (["sorry"], ["what"]), scene.before or who.greeting),
        ("who" in said, who.introduction),
        ("machine" in said, "I am an automatic assistant."),
        ("there" in said, "Yes, I can hear you. How can I help you?"),
        ("help" in said, f"Of course. {_abilities(scene)}"),
        ("wait" in said, "Of course, take your time."),
        (is_no(words), f"All right. {more}"),
        ("thanks" in said and len(words) <= 8, f"You are welcome. {more}"),
        ("hello" in said and len(words) <= 5, who.again if scene.before else who.greeting),
        (is_yes(words), "What can I do for you?"),
    )
    return next((sentence for applies, sentence in talk if applies), None)


def _abilities(scene: Scene) -> str:
    """What the tools can do for the caller."""
    for tool in scene.tools:
        if parameter := tool.destination:
            options = scene.options(parameter)
            known = f"I can connect you to {joined(options)}."
            return known if options else whom(scene, parameter)
    names = [t.name.replace("_", " ") for t in scene.tools if t.purpose in _NAMED]
    return f"I can do this for you: {joined(names)}." if names else "What can I do for you?"


def _to_result(messages: Sequence[Mapping[str, Any]], scene: Scene, tools: Sequence[Tool]) -> str:
    result = _text(messages[-1])
    name, values = _called(messages)
    tool = next((t for t in tools if t.name == name), None)
    said = for_the_caller(result)
    if tool is None or (parameter := tool.destination) is None:
        ends = tool is not None and tool.purpose is Purpose.END_CALL
        return "" if ends and succeeded(result) else said
    if succeeded(result):
        return ""  # the caller is with somebody else now
    if not failed(result):
        return said
    tried = next((v for v in values if v in parameter.options), "")
    if len(words_of(said)) <= 3:  # "Failed: busy."
        reason = said.rstrip(".").lower().removeprefix("failed").strip(": ")
        whom_to = f" to {tried}" if tried else ""
        said = f"I could not connect you{whom_to}{f': {reason}' if reason else ''}."
    others = [option for option in parameter.options if option != tried]
    if said.rstrip().endswith("?") or not others or forbids_another_try(result):
        return said
    return f"{said} Shall I connect you to {joined(others)} instead?"


def _to_instruction(messages: Sequence[Mapping[str, Any]], scene: Scene) -> Reply:
    instruction = _text(messages[-1]) if messages else ""
    who = persona(scene.instructions or instruction)
    talked = [m for m in messages if m.get("role") in ("user", "assistant", "tool")]
    if quoted(instruction):
        return Reply(quoted(instruction) or "")
    if is_greeting(instruction):
        return Reply(who.greeting)
    if talked and talked[-1]["role"] == "user":
        return _to_user(scene)
    if len(messages) == 1:  # the instructions alone: the agent speaks first
        return Reply(who.greeting)
    return Reply(turn_sentence(instruction) or (_abilities(scene) if talked else who.greeting))


def _instructions(messages: Sequence[Mapping[str, Any]]) -> str:
    """All system and developer messages but one for this turn, which stands at the end."""
    until = len(messages) - 1 if len(messages) > 1 else len(messages)
    return "\n".join(_text(m) for m in messages[:until] if m.get("role") in ("system", "developer"))


def _last_words(messages: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """What the caller said last, and what the assistant had said before that."""
    said, at = "", len(messages)
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") == "user":
            said, at = _text(messages[index]), index
            break
    # A caller who pauses is sent as several messages.
    while at and messages[at - 1].get("role") == "user":
        at -= 1
        said = f"{_text(messages[at])} {said}"
    spoken = (_text(m) for m in reversed(messages[:at]) if m.get("role") == "assistant")
    return said, next(filter(None, spoken), "")


def _called(messages: Sequence[Mapping[str, Any]]) -> tuple[str, list[str]]:
    """The tool whose result the last message is, and the values of its arguments."""
    wanted = messages[-1].get("tool_call_id")
    for message in reversed(messages[:-1]):
        for call in message.get("tool_calls") or ():
            if call.get("id") == wanted:
                function = call["function"]
                try:
                    arguments = json.loads(function.get("arguments") or "{}")
                except ValueError:
                    arguments = {}
                values = arguments.values() if isinstance(arguments, dict) else ()
                return str(function["name"]), [str(value) for value in values]
    return str(messages[-1].get("name", "")), []


def _text(message: Mapping[str, Any]) -> str:
    """A message's text; of one with several parts, the text parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
