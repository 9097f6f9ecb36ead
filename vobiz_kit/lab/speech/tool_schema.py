"""What the tools of a chat request are for, and what they take, read from their JSON schemas.

Source: OpenAI's function calling (``tools[].function`` with ``name``, ``description`` and a JSON
schema in ``parameters``), as livekit-agents 1.8.9 sends it, strict or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from vobiz_kit.lab.speech.words import contains_phrase, words_of


class Purpose(Enum):
    """What a tool does, as far as it matters on the telephone."""

    TRANSFER = "transfer"
    END_CALL = "end the call"
    ACCEPT = "say yes to what was asked"
    DECLINE = "say no to what was asked"
    OTHER = "other"


_TRANSFER = ("transfer", "connect", "forward", "reroute", "route", "escalate", "hand over", "refer")
_END = ("end", "hang", "hangup", "finish", "terminate", "close")
_CALL = ("call", "conversation", "session", "up", "phone")
_ACCEPT = ("accept", "approve", "agree")
_DECLINE = ("decline", "reject", "refuse", "deny")
_ALTERNATIVES = ("anyOf", "oneOf", "allOf")
_DEEPEST = 8
_NUMBER_WORDS = ("phone", "telephone", "phone number", "e 164", "e164", "number", "tel", "msisdn")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a tool.

    Attributes:
        name: Its name.
        description: Of it and of its alternatives, in one text.
        types: JSON schema types that it takes, without "null".
        required: Whether it must be there.
        nullable: Whether it may be null.
        options: The values that it names: the enum's, or those listed in the description.
        closed: Whether nothing but ``options`` fits (an enum).
        free: Whether it takes any text.
    """

    name: str
    description: str = ""
    types: tuple[str, ...] = ("string",)
    required: bool = True
    nullable: bool = False
    options: tuple[str, ...] = ()
    closed: bool = False
    free: bool = True

    @property
    def takes_phone_number(self) -> bool:
        """Whether its name or its description speaks of telephone numbers."""
        said = words_of(f"{self.name.replace('_', ' ')} {self.description}")
        return "string" in self.types and contains_phrase(said, _NUMBER_WORDS) is not None

    @property
    def wanted(self) -> str:
        """What it is, as one asks a caller for it: "the date of the visit"."""
        first = re.split(r"(?<=\w)[.;(]|, (?:like|such as|e\.g\.)", self.description, maxsplit=1)[0]
        text = first.strip() or self.name.replace("_", " ").strip() or "that"
        if text.split()[0].lower() in ("the", "a", "an", "your", "who", "what", "which", "when"):
            return text[0].lower() + text[1:]
        return f"the {text[0].lower()}{text[1:]}"


@dataclass(frozen=True)
class Tool:
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    purpose: Purpose = field(default=Purpose.OTHER)

    @property
    def destination(self) -> Parameter | None:
        """The parameter that says where a transfer goes: the one with options, or a number."""
        if self.purpose is not Purpose.TRANSFER:
            return None
        texts = [p for p in self.parameters if "string" in p.types]
        for suits in (lambda p: bool(p.options), lambda p: p.takes_phone_number, lambda p: True):
            for parameter in texts:
                if suits(parameter):
                    return parameter
        return None


def read_tools(tools: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """The function tools of a request; those of other types are not for this model."""
    return [_tool(t["function"]) for t in tools if t.get("type") == "function"]


def _tool(function: Mapping[str, Any]) -> Tool:
    name, description = str(function["name"]), str(function.get("description") or "").strip()
    schema = function.get("parameters") or {}
    required = _list(schema.get("required"))
    parameters = tuple(
        _parameter(key, value, schema, key in required)
        for key, value in (schema.get("properties") or {}).items()
        if _is_object(value)
    )
    return Tool(name, description, parameters, _purpose(name, description))


def _purpose(name: str, description: str) -> Purpose:
    # The name first: a description of "end the call" may speak of transfers, and the reverse.
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ")
    first = re.split(r"[.\n]", description, maxsplit=1)[0]
    # "decline_transfer" transfers nobody: the first word of the name is what the tool does.
    does = words_of(spaced)[:1]
    for purpose, verbs in ((Purpose.ACCEPT, _ACCEPT), (Purpose.DECLINE, _DECLINE)):
        if does and does[0] in verbs:
            return purpose
    for words in (words_of(spaced), words_of(first)):
        if contains_phrase(words, [*_TRANSFER, *(f"{verb}s" for verb in _TRANSFER)]) is not None:
            return Purpose.TRANSFER
        if {*words} & {*_END, *(f"{v}s" for v in _END)} and {*words} & {*_CALL}:
            return Purpose.END_CALL
    return Purpose.OTHER


def _parameter(
    name: str, schema: Mapping[str, Any], root: Mapping[str, Any], required: bool
) -> Parameter:
    branches = list(_branches(schema, root))
    descriptions = dict.fromkeys(str(b["description"]) for b in branches if b.get("description"))
    description = " ".join(descriptions)
    types: list[str] = []
    options: list[str] = []
    free = False
    for branch in branches:
        found = branch.get("type")
        types += [t for t in _list(found) if isinstance(t, str)]
        if "const" in branch or "enum" in branch:
            values = _list(branch.get("enum", branch.get("const")))
            options += [str(value) for value in values if value is not None]
        elif found != "null" and not any(key in branch for key in _ALTERNATIVES):
            free = True
    nullable = "null" in types or "default" in schema
    return Parameter(
        name,
        description,
        tuple(dict.fromkeys(t for t in types if t != "null")) or ("string",),
        required,
        nullable,
        tuple(dict.fromkeys(options)) or listed_options(description),
        closed=bool(options) and not free,
        free=free,
    )


def _branches(
    schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0
) -> Iterator[Mapping[str, Any]]:
    """The schema and its alternatives (anyOf, oneOf, allOf), references resolved."""
    alternatives = [a for key in _ALTERNATIVES for a in _list(schema.get(key)) if _is_object(a)]
    if isinstance(reference := schema.get("$ref"), str):
        target: Any = root
        for key in reference.removeprefix("#/").split("/"):
            target = target.get(key) if _is_object(target) else None
        alternatives += [target] if _is_object(target) else []
    if not alternatives:
        yield schema
        return
    yield {"description": schema.get("description"), "anyOf": ()}
    if depth < _DEEPEST:  # a schema may refer to itself
        for alternative in alternatives:
            yield from _branches(alternative, root, depth + 1)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def listed_options(text: str) -> tuple[str, ...]:
    """The values that a description lists: in quotes, or after "one of", "such as", a colon.

    "Who to reach: billing, sales or support." gives all three; a list has at least two.
    """
    quoted = re.findall(r"[\"'`“]([\w][\w -]{1,30})[\"'`”]", text)
    if len(quoted) >= 2:
        return tuple(dict.fromkeys(quoted))
    lead = r"(?:\bone of|\beither|\bsuch as|\be\.g\.|\bfor example|\blike|\bto|:)"
    item = r"(?:the |our )?[a-z][\w-]*(?: [a-z][\w-]*)?"
    listed = rf"{item}(?:\s*,\s*{item})*,?\s+(?:or|and)\s+{item}|{item}(?:\s*,\s*{item})+"
    if found := re.search(rf"{lead}[:,]?\s+({listed})", text, re.IGNORECASE):
        items = re.split(r"\s*,\s*(?:or |and )?|\s+(?:or|and)\s+", found.group(1))
        names = [re.sub(r"^(?:the|our) ", "", item.strip()) for item in items if item]
        # "a person or a department" are kinds of destinations, no destinations.
        return tuple(dict.fromkeys(n for n in names if n.split()[0] not in ("a", "an", "any")))
    return ()
