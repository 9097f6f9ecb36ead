"""A chat completion in OpenAI's forms: the request checked, the reply as a document or chunks."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vobiz_kit.lab.speech.keyword_model import Reply, reply
from vobiz_kit.lab.speech.words import words_of

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class BadRequest(ValueError):  # noqa: N818 - becomes a 400
    """A request that OpenAI refuses, too.

    Attributes:
        param: The part of the request that is wrong, or None.
    """

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


@dataclass(frozen=True)
class Completion:
    """One answer.

    Attributes:
        model: As it was asked for.
        reply: What the keyword model said.
        prompt_words: How much it was given; usage is counted in words, not in tokens.
    """

    model: str
    reply: Reply
    prompt_words: int
    id: str = field(default_factory=lambda: f"chatcmpl-{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))
    call_id: str = field(default_factory=lambda: f"call_{uuid.uuid4().hex[:24]}")

    def document(self) -> dict[str, Any]:
        """The whole answer: a ``chat.completion``."""
        call = self.reply.call
        message: dict[str, Any] = {"role": "assistant", "content": self.reply.content}
        if call:
            function = {"name": call.name, "arguments": call.json}
            tool_call = {"id": self.call_id, "type": "function", "function": function}
            message |= {"content": None, "tool_calls": [tool_call]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._reason}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def chunks(self, *, include_usage: bool) -> Iterator[dict[str, Any]]:
        """The answer as ``chat.completion.chunk`` events.

        Args:
            include_usage: Whether a last chunk, without choices, tells the usage
                (``stream_options``).
        """
        usage = {"usage": None} if include_usage else {}
        head = self._head("chat.completion.chunk")

        def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
            return {**head, "choices": [choice], **usage}

        call = self.reply.call
        yield chunk({"role": "assistant", "content": None if call else ""})
        if call:
            opening = {"index": 0, "id": self.call_id, "type": "function"}
            yield chunk({"tool_calls": [{**opening, "function": _function(call.name, "")}]})
            for piece in re.findall(r"(?s).{1,24}", call.json):
                yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        for piece in re.findall(r"\s*\S+\s*", self.reply.content):
            yield chunk({"content": piece})
        yield chunk({}, self._reason)
        if include_usage:
            yield {**head, "choices": [], "usage": self._usage()}

    @property
    def _reason(self) -> str:
        return "tool_calls" if self.reply.call else "stop"

    def _head(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "lab-keyword-model",
        }

    def _usage(self) -> dict[str, Any]:
        call = self.reply.call
        said = len(words_of(call.json if call else self.reply.content))
        return {
            "prompt_tokens": self.prompt_words,
            "completion_tokens": said,
            "total_tokens": self.prompt_words + said,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def complete(body: Mapping[str, Any]) -> Completion:
    """Answer the body of a ``/v1/chat/completions`` request.

    Raises:
        BadRequest: it is not one.
    """
    if not isinstance(model := body.get("model"), str) or not model:
        raise BadRequest("You must provide a model parameter.", "model")
    messages, tools = body.get("messages"), body.get("tools") or []
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a list with at least one message.", "messages")
    for index, message in enumerate(messages):
        _check_message(message, f"messages[{index}]")
    if not isinstance(tools, list):
        raise BadRequest("'tools' must be a list.", "tools")
    for index, tool in enumerate(tools):
        _check_tool(tool, f"tools[{index}]")
    choice = body.get("tool_choice") or "auto"
    _check_choice(choice, {t["function"]["name"] for t in tools if t["type"] == "function"})
    given = json.dumps([messages, tools])
    return Completion(model, reply(messages, tools, choice), len(words_of(given)))


def _check_message(message: Any, param: str) -> None:
    if not isinstance(message, dict) or message.get("role") not in _ROLES:
        raise BadRequest(f"{param}.role must be one of {', '.join(_ROLES)}.", f"{param}.role")
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    if not (content is None or isinstance(content, str | list)) or not all(
        isinstance(part, dict) for part in parts
    ):
        raise BadRequest(f"{param}.content must be text or a list of parts.", f"{param}.content")
    if message["role"] == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise BadRequest(f"{param}.tool_call_id is missing.", f"{param}.tool_call_id")
    calls = message.get("tool_calls") or []
    for call in calls if isinstance(calls, list) else [None]:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadRequest(f"{param}.tool_calls is no list of calls.", f"{param}.tool_calls")


def _check_tool(tool: Any, param: str) -> None:
    if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
        raise BadRequest(f"{param} must be an object with a type.", param)
    if tool["type"] != "function":
        return
    function = tool.get("function")
    if not isinstance(function, dict) or not re.fullmatch(
        r"[a-zA-Z0-9_-]{1,64}", str(function.get("name", ""))
    ):
        raise BadRequest(
            f"{param}.function.name must be 1 to 64 letters, digits, underscores and dashes.",
            f"{param}.function.name",
        )
    schema = function.get("parameters")
    if schema is not None and not (
        isinstance(schema, dict)
        and isinstance(schema.get("properties") or {}, dict)
        and isinstance(schema.get("required") or [], list)
    ):
        raise BadRequest(
            f"{param}.function.parameters is no JSON schema of an object.",
            f"{param}.function.parameters",
        )


def _check_choice(choice: Any, names: set[str]) -> None:
    if choice in ("auto", "none") or (choice == "required" and names):
        return
    function = choice.get("function") if isinstance(choice, dict) else None
    if not isinstance(function, dict) or function.get("name") not in names:
        raise BadRequest("'tool_choice' names no function of 'tools'.", "tool_choice")


def _function(name: str, arguments: str) -> dict[str, str]:
    return {"name": name, "arguments": arguments}
