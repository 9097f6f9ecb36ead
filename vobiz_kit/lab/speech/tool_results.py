"""What a tool gave back, as a sentence for the caller.

A result may be a sentence for the caller ("Your order has shipped."), a note for the model ("The
transfer to billing failed: the line is busy. The caller is still with you: tell them so.") or
JSON. Notes to the model, remarks in brackets and telephone numbers are not read out.
"""

from __future__ import annotations

import json
import re
from typing import Any

from vobiz_kit.lab.speech.instructions import spoken
from vobiz_kit.lab.speech.words import sentences_of, word_set, words_of

_FAILED = word_set(
    "fail failed fails failure busy declined decline rejected reject refused error unable"
    " unavailable unreachable unknown invalid denied cannot can't couldn't not no nobody none"
)
_DONE = word_set(
    "ok success succeeded successful successfully done completed complete transferred connected"
    " answered confirmed true transferring connecting"
)
_FOR_THE_MODEL = re.compile(
    r"\b(?:caller|user|customer)\b|\btell (?:them|him|her)\b|\byou (?:must|should|may|can now)\b"
    r"|^(?:do not|don't|please|offer|apologi[sz]e|ask|say|tell|try|use|inform|wait)\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\s*\(?(?:sip:|tel:)?\+?\d[\d\s.-]{6,}\d(?:@[\w.-]+)?\)?")
_MESSAGE_KEYS = ("message", "say", "text", "detail", "details", "reason", "error", "result")
_STATUS_KEYS = ("status", "outcome", "state", "success", "ok")


def failed(result: str) -> bool:
    """Whether a tool's result tells of a failure: the first of its words that says either way."""
    data = _json(result)
    if isinstance(data, dict):
        for key in _STATUS_KEYS:
            if key in data:
                return not _told_done(data[key])
        return "error" in data and bool(data["error"])
    for word in words_of(result):
        if word in _FAILED:
            return True
        if word in _DONE:
            return False
    return False


def succeeded(result: str) -> bool:
    """Whether a tool's result tells of a success; an empty one tells nothing else."""
    data = _json(result)
    if isinstance(data, dict):
        return not failed(result)
    return not failed(result) and (
        not str(data or "").strip() or bool(_DONE & {*words_of(result)}) or data is True
    )


def forbids_another_try(result: str) -> bool:
    """Whether the result says not to try again now."""
    return bool(re.search(r"\bdo not (?:\w+ )?(?:transfer|try|call|dial)", result, re.IGNORECASE))


def for_the_caller(result: str) -> str:
    """The result in words for the caller; "" if nothing in it is for their ears."""
    data = _json(result)
    if data is None:
        return ""
    if isinstance(data, dict):
        return _object(data)
    if not isinstance(data, str):
        return f"The result is {_value(data)}."
    if {*words_of(data)} <= _DONE:
        return "That is done."
    text = re.sub(r"\s*\([^()]*\)|\s*\[[^\[\]]*\]", "", data)
    text = re.sub(r"^\s*(?:\w*(?:error|exception|warning))\s*:\s*", "", text, flags=re.IGNORECASE)
    said = [s for s in sentences_of(text) if not _FOR_THE_MODEL.search(s)]
    if len(words_of(text)) == 1 and not text.rstrip().endswith((".", "!", "?")):
        return f"The result is {text.strip()}."
    return " ".join(spoken(_NUMBER.sub("", sentence)) for sentence in said)


def _object(data: dict[str, Any]) -> str:
    for key in _MESSAGE_KEYS:
        if isinstance(data.get(key), str) and data[key].strip():
            return for_the_caller(data[key]) if " " in data[key].strip() else spoken(data[key])
    if data.keys() <= {*_STATUS_KEYS} and all(map(_told_done, data.values())):
        return "That is done."
    shown = [f"{k.replace('_', ' ')} is {_value(v)}" for k, v in data.items() if v is not None]
    return spoken(", ".join(shown)) if shown else ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{k} {_value(v)}" for k, v in value.items())
    return str(value)


def _told_done(value: Any) -> bool:
    return value is True or (isinstance(value, str) and bool(_DONE & {*words_of(value)}))


def _json(result: str) -> Any:
    """The result as JSON if it is an object, a list or a literal; else the text itself."""
    text = result.strip()
    if text in ("", "None", "null"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text
