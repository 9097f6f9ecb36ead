"""Deepgram's forms: the query of ``/v1/listen``, the messages and documents that it answers with.

Source: developers.deepgram.com (live and pre-recorded ``listen``, errors) and what
livekit-plugins-deepgram 1.8.9 reads of it.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from typing import Any

from multidict import MultiMapping

from vobiz_kit.lab.speech.recogniser import Recognition
from vobiz_kit.lab.speech.spoken_numbers import digits_written
from vobiz_kit.lab.speech.words import words_of

MODEL_NAME = "lab-ears"
MODEL_INFO = {"name": MODEL_NAME, "version": "tiny.en", "arch": "whisper"}
_MODEL_UUID = "00000000-0000-4000-8000-000000000000"
#: Deepgram's default for ``endpointing``, in ms.
_ENDPOINTING_MS = 10
_LOWEST_HZ, _HIGHEST_HZ = 8_000, 48_000
_MOST_TERMS = 100


class BadQuery(ValueError):  # noqa: N818 - becomes a 400, with the text as its message
    """A query that Deepgram, or the lab's stand-in, cannot serve."""


@dataclass(frozen=True)
class ListenOptions:
    """What a ``/v1/listen`` query asks for. Parameters that change nothing here are ignored.

    Attributes:
        sample_rate: Of raw audio, in Hz; 0 if the audio says so itself.
        encoding: "linear16", "mulaw", "alaw", or "" for a file.
        interim_results: Whether to send what has been understood so far.
        vad_events: Whether to send ``SpeechStarted``.
        endpointing_ms: Silence that ends an utterance; None if nothing does.
        utterance_end_ms: Silence after which to send ``UtteranceEnd``; None for never.
        punctuate: Whether transcripts have punctuation and capitals.
        numerals: Whether numbers are in figures.
        hot_words: Words and names that may well occur.
    """

    sample_rate: int = 0
    encoding: str = ""
    interim_results: bool = False
    vad_events: bool = False
    endpointing_ms: int | None = _ENDPOINTING_MS
    utterance_end_ms: int | None = None
    punctuate: bool = False
    numerals: bool = False
    hot_words: tuple[str, ...] = ()


def listen_options(query: MultiMapping[str], *, live: bool) -> ListenOptions:
    """Read a query.

    Raises:
        BadQuery: it asks for what the lab's ears do not have.
    """

    def flag(name: str) -> bool:
        return query.get(name, "false").lower() == "true"

    def number(name: str, lowest: int, highest: int) -> int | None:
        text = query.get(name)
        if text in (None, "false"):
            return None
        if not text.isdigit() or not lowest <= int(text) <= highest:
            raise BadQuery(f"Invalid query string: {name}={text!r}, not {lowest} to {highest}")
        return int(text)

    language = query.get("language", "en")
    if language != "multi" and language.split("-")[0].lower() != "en":
        raise BadQuery(f"language={language!r}: the lab's ears (Whisper tiny.en) know English only")
    if query.get("channels", "1") != "1":
        raise BadQuery("the lab's ears listen to one channel: channels=1")
    encoding = query.get("encoding", "")
    known = ("linear16",) if live else ("", "linear16", "mulaw", "alaw")
    if encoding not in known:
        raise BadQuery(f"encoding={encoding!r}: the lab's ears take {', '.join(known)}")
    sample_rate = number("sample_rate", _LOWEST_HZ, _HIGHEST_HZ)
    if encoding and not sample_rate:
        raise BadQuery("raw audio needs sample_rate, in Hz")
    endpointing: int | None = _ENDPOINTING_MS
    if query.get("endpointing") not in (None, "true"):
        endpointing = number("endpointing", 0, 10_000)
    smart = flag("smart_format")
    terms = [term.split(":")[0] for term in query.getall("keywords", [])]
    return ListenOptions(
        sample_rate=sample_rate or 0,
        encoding=encoding,
        interim_results=flag("interim_results"),
        vad_events=flag("vad_events"),
        endpointing_ms=endpointing,
        utterance_end_ms=number("utterance_end_ms", 100, 60_000),
        punctuate=smart or flag("punctuate"),
        numerals=smart or flag("numerals"),
        hot_words=tuple([*query.getall("keyterm", []), *terms][:_MOST_TERMS]),
    )


def alternative(
    recognition: Recognition, start: float, end: float, options: ListenOptions
) -> dict[str, Any]:
    """A recognition as Deepgram's ``alternatives[0]``, between two times in seconds.

    The times of words are estimates: the time is shared out by the words' lengths.
    """
    text = recognition.text
    if options.numerals:
        text = digits_written(text)
    shown = text.split()
    plain = [" ".join(words_of(word)) or word for word in shown]
    if not options.punctuate:
        text = " ".join(plain)
    shares = [0, *accumulate(len(word) + 1 for word in shown)]
    times = [round(start + (end - start) * share / max(1, shares[-1]), 3) for share in shares]
    words = [
        {"word": p, "start": s, "end": e, "confidence": recognition.confidence}
        | ({"punctuated_word": w} if options.punctuate else {})
        for p, w, (s, e) in zip(plain, shown, pairwise(times), strict=True)
    ]
    return {"transcript": text, "confidence": recognition.confidence, "words": words}


def results(
    request_id: str,
    found: dict[str, Any],
    start: float,
    end: float,
    *,
    is_final: bool,
    speech_final: bool = False,
    from_finalize: bool = False,
) -> dict[str, Any]:
    """A live ``Results`` message for the time from ``start`` to ``end``, in seconds."""
    return {
        "type": "Results",
        "channel_index": [0, 1],
        "start": round(start, 3),
        "duration": round(end - start, 3),
        "is_final": is_final,
        "speech_final": speech_final,
        "from_finalize": from_finalize,
        "channel": {"alternatives": [found]},
        "metadata": {
            "request_id": request_id,
            "model_info": MODEL_INFO,
            "model_uuid": _MODEL_UUID,
        },
    }


def speech_started(timestamp: float) -> dict[str, Any]:
    """A live ``SpeechStarted`` message, at that second of the stream."""
    return {"type": "SpeechStarted", "channel": [0], "timestamp": round(timestamp, 3)}


def utterance_end(last_word_end: float) -> dict[str, Any]:
    """A live ``UtteranceEnd`` message; the last word ended at that second of the stream."""
    return {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": round(last_word_end, 3)}


def metadata(request_id: str, seconds: float, audio: bytes | None = None) -> dict[str, Any]:
    """The ``metadata`` of a pre-recorded answer; with ``type``, the last live message."""
    return {
        "transaction_key": "deprecated",
        "request_id": request_id,
        "sha256": hashlib.sha256(audio or b"").hexdigest(),
        "created": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds"),
        "duration": round(seconds, 3),
        "channels": 1,
        "models": [_MODEL_UUID],
        "model_info": {_MODEL_UUID: MODEL_INFO},
    }


def prerecorded(
    request_id: str, audio: bytes, seconds: float, alternatives: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The answer to a pre-recorded request; the stretches that were recognised become one."""
    heard = [found for found in alternatives if found["transcript"]]
    confidences = [found["confidence"] for found in heard]
    whole = {
        "transcript": " ".join(found["transcript"] for found in heard),
        "confidence": round(sum(confidences) / len(confidences), 3) if confidences else 0.0,
        "words": [word for found in heard for word in found["words"]],
    }
    return {
        "metadata": metadata(request_id, seconds, audio),
        "results": {"channels": [{"alternatives": [whole]}]},
    }


def refusal(code: str, message: str, request_id: str) -> dict[str, str]:
    """The body of an error, e.g. ``INVALID_AUTH``."""
    return {"err_code": code, "err_msg": re.sub(r"\s+", " ", message), "request_id": request_id}
