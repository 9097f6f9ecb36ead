"""Which tool an utterance calls, with which arguments, or what has to be asked first."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vobiz_kit.lab.speech.spoken_numbers import digits_written, phone_numbers
from vobiz_kit.lab.speech.tool_schema import Parameter, Purpose, Tool, listed_options
from vobiz_kit.lab.speech.utterances import (
    ALIKE,
    ALIKE_ALONE,
    accepts,
    asks_transfer,
    declines,
    is_farewell,
    is_only,
    is_refusal,
    is_yes,
    mentioned,
    named_after,
    names_transfer,
)
from vobiz_kit.lab.speech.words import FILLERS, contains_phrase, joined, stem, word_set, words_of

# Words of a tool's name that do not say what it is about.
_VAGUE = word_set(
    "get set do make check find look up tool function the a of for to by my fetch run"
)


@dataclass(frozen=True)
class Call:
    """A tool call that the model decides on."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> str:
        """The arguments, as the API carries them."""
        return json.dumps(dict(self.arguments))


@dataclass(frozen=True)
class Scene:
    """What a decision rests on.

    Attributes:
        said: What the caller said last.
        before: What the assistant said before that, "" if nothing.
        tools: What may be called.
        instructions: The system prompt.
    """

    said: str
    before: str
    tools: Sequence[Tool]
    instructions: str

    @property
    def words(self) -> list[str]:
        """The words of `said`."""
        return words_of(self.said)

    def options(self, parameter: Parameter) -> tuple[str, ...]:
        """Whom a parameter can name: by its schema, else by the instructions."""
        if parameter.options or parameter.takes_phone_number:
            return parameter.options
        return listed_options(self.instructions)


def transfer(scene: Scene, *, firmly: bool) -> Call | str | None:
    """The transfer that the caller asks for, the question to ask first, or None.

    Args:
        scene: The conversation and the tools.
        firmly: Only if they say so ("put me through to billing"). Otherwise weaker signs count,
            too: a destination alone, a "yes" to an offer; one that is merely mentioned is offered.
    """
    asked = ""
    for tool in scene.tools:
        if (parameter := tool.destination) is None:
            continue
        decided = _destination(scene, parameter, firmly=firmly)
        if isinstance(decided, Call):
            return _complete(scene, tool, decided.arguments)
        asked = asked or decided or ""
    return asked or None


def _destination(scene: Scene, parameter: Parameter, *, firmly: bool) -> Call | str | None:
    words, options = scene.words, scene.options(parameter)
    if is_refusal(words):
        return None
    asks, names = asks_transfer(words), names_transfer(words)

    def to(value: str) -> Call:
        return Call("", {parameter.name: value})

    number = _number_to_call(scene.said) if parameter.takes_phone_number else None
    if number and (names or not firmly):
        return to(number)
    named = mentioned(words, options, ALIKE if asks or names else ALIKE_ALONE)
    if firmly:
        if not asks:
            return None
        if len(named) == 1:
            return to(named[0])
        if named:
            return f"Which one would you like: {joined(named)}?"
        somebody = named_after(scene.said)
        if somebody and parameter.free and not parameter.takes_phone_number and not options:
            return to(somebody)
        return whom(scene, parameter)
    if len(named) == 1 and (names or is_only(words, named[0])):
        return to(named[0])
    if not named and is_yes(words):
        offered = mentioned(words_of(scene.before), options, 1.0)
        if len(offered) == 1 and scene.before.rstrip().endswith("?"):
            return to(offered[0])
        if len(offered) > 1 and scene.before.rstrip().endswith("?"):
            return f"Which one would you like: {joined(offered)}?"
    if len(named) > 1:
        return f"Which one would you like: {joined(named)}?"
    if named:
        return f"Would you like me to connect you to {named[0]}?"
    return None


def _number_to_call(said: str) -> str | None:
    """The telephone number that a caller wants to be connected to, or None.

    "My number is ..." and "call me back at ..." name the caller's own.
    """
    words = words_of(said)
    if (
        contains_phrase(words, ("my number", "my phone", "call me", "i am at", "reach me"))
        is not None
    ):
        return None
    numbers = phone_numbers(said)
    rest = [w for w in words_of(digits_written(said)) if not w.isdigit() and w not in FILLERS]
    asks = (
        names_transfer(words) or contains_phrase(words, ("call", "ring", "try", "use")) is not None
    )
    return numbers[-1] if numbers and (asks or len(rest) <= 2) else None


def whom(scene: Scene, parameter: Parameter) -> str:
    """The question for a destination that was not named, or that is not known."""
    options = scene.options(parameter)
    if options:
        return f"Who would you like to speak to: {joined(options)}?"
    if parameter.takes_phone_number:
        return "Which number would you like me to connect you to?"
    return "Who would you like to speak to?"


def end_call(scene: Scene) -> Call | None:
    """The call of a tool that ends the conversation, if the caller wants that."""
    for tool in scene.tools:
        if tool.purpose is Purpose.END_CALL and is_farewell(scene.words):
            return Call(tool.name, _filled(scene, tool))
    return None


def consent(scene: Scene) -> Call | str | None:
    """The call of a tool that takes a yes or a no ("accept_call", "decline_offer"), or None.

    A question is neither: "Can you tell me who is calling?".
    """
    if scene.said.rstrip().endswith("?"):
        return None
    for purpose, says in ((Purpose.DECLINE, declines), (Purpose.ACCEPT, accepts)):
        for tool in scene.tools:
            if tool.purpose is purpose and says(scene.words):
                return _complete(scene, tool, {})
    return None


def other(scene: Scene) -> Call | str | None:
    """The call of any other tool whose name's words the caller used, or a question, or None."""
    stems = {stem(word) for word in scene.words}
    for tool in scene.tools:
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", tool.name).replace("_", " ")
        about = {stem(w) for w in words_of(spaced) if w not in _VAGUE}
        if tool.purpose is Purpose.OTHER and about and about <= stems:
            return _complete(scene, tool, {})
    return None


def forced(scene: Scene, name: str | None) -> Call | None:
    """A call because the request demands one; of that tool, or of the one that fits best.

    What the caller did not say is filled with the first value that fits the schema.
    """
    tools = [tool for tool in scene.tools if name in (None, tool.name)]
    if not tools:
        return None
    for decide in (transfer, lambda s, firmly: end_call(s), lambda s, firmly: other(s)):
        for firmly in (True, False):
            narrowed = Scene(scene.said, scene.before, tools, scene.instructions)
            if isinstance(call := decide(narrowed, firmly=firmly), Call):
                return call
    return Call(tools[0].name, _filled(scene, tools[0]))


def _complete(scene: Scene, tool: Tool, known: Mapping[str, Any]) -> Call | str:
    """The call, if every required parameter was said or may be null; else the question."""
    arguments = dict(known)
    for parameter in tool.parameters:
        if parameter.name in arguments:
            continue
        if (value := _said(scene, parameter)) is not None:
            arguments[parameter.name] = value
        elif parameter.required and parameter.nullable:
            arguments[parameter.name] = None
        elif parameter.required:
            if options := scene.options(parameter):
                return (
                    f"Which {parameter.name.replace('_', ' ')} would you like: {joined(options)}?"
                )
            return f"Could you tell me {parameter.wanted}?"
    return Call(tool.name, arguments)


def _filled(scene: Scene, tool: Tool) -> dict[str, Any]:
    """Arguments that fit the schema, whatever was said."""
    made: dict[str, Callable[[], Any]] = {
        "integer": lambda: 0,
        "number": lambda: 0,
        "boolean": lambda: False,
        "array": list,
        "object": dict,
        "string": lambda: scene.said or scene.before,
    }
    arguments: dict[str, Any] = {}
    for parameter in tool.parameters:
        value = _said(scene, parameter)
        if value is None and not parameter.required:
            continue
        if value is None and not parameter.nullable:
            options = parameter.options
            value = options[0] if options else made.get(parameter.types[0], made["string"])()
        arguments[parameter.name] = value
    return arguments


def _said(scene: Scene, parameter: Parameter) -> Any:
    """The value for a parameter in what the caller said, or None."""
    if options := parameter.options:
        named = mentioned(scene.words, options, ALIKE)
        if len(named) == 1:
            return named[0]
    if parameter.takes_phone_number and (numbers := phone_numbers(scene.said)):
        return numbers[-1]
    if {"integer", "number"} & {*parameter.types}:
        found = re.search(r"-?\d+(?:\.\d+)?", digits_written(scene.said))
        if found:
            return float(found.group()) if "." in found.group() else int(found.group())
    text = parameter.types == ("string",) and parameter.free and not options
    if text and parameter.required and not parameter.nullable:
        found = re.search(
            r"\b(?:in|for|at|about|on|to|is)\s+([\w' -]+?)(?:\s+please)?[.?!,]*$", scene.said, re.I
        )
        if found and not parameter.takes_phone_number:
            return found.group(1)
    return None
