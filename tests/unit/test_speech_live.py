"""Live listening: which messages a stream of sound gives, with a scripted recogniser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.unit.speech_fakes import ScriptedRecogniser, loud, loudness_activity, quiet
from vobiz_kit.lab.speech.deepgram import ListenOptions
from vobiz_kit.lab.speech.live import LiveStream


class Client:
    """What the other end has received."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    async def receive(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self._news.set()

    async def until(self, enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        async with asyncio.timeout(2):
            while not enough(self.messages):
                self._news.clear()
                await self._news.wait()
        return self.messages

    @property
    def texts(self) -> list[tuple[str, bool, bool]]:
        """(transcript, is_final, speech_final) of the results."""
        return [
            (m["channel"]["alternatives"][0]["transcript"], m["is_final"], m["speech_final"])
            for m in self.messages
            if m["type"] == "Results"
        ]


def options(**changed: Any) -> ListenOptions:
    usual: dict[str, Any] = {"sample_rate": 16_000, "encoding": "linear16", "endpointing_ms": 300}
    return ListenOptions(**{**usual, "vad_events": True, "punctuate": True, **changed})


@asynccontextmanager
async def listening(
    recogniser: ScriptedRecogniser, asked: ListenOptions
) -> AsyncIterator[tuple[LiveStream, Client]]:
    client = Client()
    stream = LiveStream(
        asked, "req-1", recogniser.as_recogniser, loudness_activity(), client.receive
    )
    try:
        yield stream, client
    finally:
        await stream.aclose()


def hear(stream: LiveStream, sound: bytes, piece: int = 1600) -> None:
    for start in range(0, len(sound), piece):
        stream.hear(sound[start : start + piece])


async def test_a_sentence_gives_its_start_and_its_final_result() -> None:
    recogniser = ScriptedRecogniser("Hello there.")
    async with listening(recogniser, options(hot_words=("Vobiz",))) as (stream, client):
        hear(stream, quiet(1) + loud(1) + quiet(1))
        started, result = await client.until(lambda m: len(m) == 2)
    assert started["type"] == "SpeechStarted"
    assert started["timestamp"] == pytest.approx(1.0, abs=0.05)
    assert (result["is_final"], result["speech_final"], result["from_finalize"]) == (
        True,
        True,
        False,
    )
    assert result["metadata"]["request_id"] == "req-1"
    words = result["channel"]["alternatives"][0]["words"]
    assert [word["punctuated_word"] for word in words] == ["Hello", "there."]
    assert [word["word"] for word in words] == ["hello", "there"]
    assert words[0]["start"] == pytest.approx(1.0, abs=0.05)
    assert words[0]["end"] == words[1]["start"] < words[1]["end"] < 2.1
    # Once, at the first pause, with the sound around it.
    ((seconds, hot_words, draft),) = recogniser.heard
    assert (hot_words, draft) == (("Vobiz",), False)
    assert seconds == pytest.approx(0.5 + 1.0 + 0.16, abs=0.1)


async def test_the_words_are_recognised_before_the_pause_is_known_to_be_the_end() -> None:
    recogniser = ScriptedRecogniser("Hello.")
    async with listening(recogniser, options()) as (stream, client):
        hear(stream, loud(1) + quiet(0.25))
        await asyncio.sleep(0)
        assert len(recogniser.heard) == 1
        assert client.texts == []
        hear(stream, quiet(0.25))
        await client.until(lambda m: len(m) == 2)
        assert client.texts == [("Hello.", True, True)]
        assert len(recogniser.heard) == 1


async def test_who_goes_on_after_a_pause_is_recognised_as_a_whole() -> None:
    recogniser = ScriptedRecogniser("Sales.", "Sales, please.")
    async with listening(recogniser, options()) as (stream, client):
        hear(stream, loud(1) + quiet(0.25))
        await asyncio.sleep(0)  # the first guess is begun, in vain
        hear(stream, loud(1) + quiet(0.6))
        await client.until(lambda m: len(m) == 2)
    assert client.texts == [("Sales, please.", True, True)]
    assert [round(seconds, 1) for seconds, *_ in recogniser.heard] == pytest.approx(
        [1.2, 2.4], abs=0.11
    )


async def test_interim_results_come_while_somebody_speaks() -> None:
    recogniser = ScriptedRecogniser("All of it.", draft="All")
    async with listening(recogniser, options(interim_results=True)) as (stream, client):
        hear(stream, loud(1.5))
        await client.until(lambda m: len(m) == 2)
        assert client.texts == [("All", False, False)]
        hear(stream, loud(0.5) + quiet(0.2))
        await client.until(lambda m: len(m) == 3)  # the first guess, in the pause
        hear(stream, quiet(0.4))
        await client.until(lambda m: len(m) == 4)
    assert client.texts[1:] == [("All of it.", False, False), ("All of it.", True, True)]


async def test_no_draft_is_made_while_the_recogniser_has_other_work() -> None:
    recogniser = ScriptedRecogniser("x")
    recogniser.has_time = False
    async with listening(recogniser, options(interim_results=True)) as (stream, _):
        hear(stream, loud(5))
        assert recogniser.heard == []


async def test_a_slow_final_result_stays_before_what_follows_it() -> None:
    recogniser = ScriptedRecogniser("One.", "Two.")
    recogniser.go.clear()
    async with listening(recogniser, options()) as (stream, client):
        hear(stream, loud(1) + quiet(0.6) + loud(1) + quiet(0.6))
        await asyncio.sleep(0)
        recogniser.go.set()
        await client.until(lambda m: len(m) == 4)
    kinds = [m["type"] for m in client.messages]
    assert kinds == ["SpeechStarted", "Results", "SpeechStarted", "Results"]
    assert client.texts == [("One.", True, True), ("Two.", True, True)]


async def test_an_utterance_has_nothing_of_the_one_before_it() -> None:
    recogniser = ScriptedRecogniser("One.", "Two.")
    async with listening(recogniser, options()) as (stream, client):
        hear(stream, loud(1) + quiet(0.45) + loud(1) + quiet(0.6))
        await client.until(lambda m: len(m) == 4)
    # The second begins where the first has ended, though the sound before it counts, too.
    assert recogniser.heard[1][0] == pytest.approx(0.45 + 1.0 + 0.16, abs=0.07)


async def test_noise_that_was_taken_for_speech_ends_with_an_empty_result() -> None:
    # The plugin has seen SpeechStarted; only speech_final ends that.
    async with listening(ScriptedRecogniser(""), options()) as (stream, client):
        hear(stream, loud(0.5) + quiet(0.6))
        await client.until(lambda m: len(m) == 2)
    assert client.texts == [("", True, True)]
    assert client.messages[-1]["channel"]["alternatives"][0]["words"] == []


async def test_finalize_gives_the_rest_at_once() -> None:
    async with listening(ScriptedRecogniser("Half a sen"), options()) as (stream, client):
        hear(stream, loud(1))
        stream.finalize()
        await client.until(lambda m: len(m) == 2)
        assert client.messages[-1]["from_finalize"]
        assert client.texts == [("Half a sen", True, True)]
        stream.finalize()
        await client.until(lambda m: len(m) == 3)
        assert client.messages[-1]["from_finalize"]
        assert client.texts[-1] == ("", True, False)


async def test_close_gives_the_rest_and_the_metadata() -> None:
    async with listening(ScriptedRecogniser("The end."), options()) as (stream, client):
        hear(stream, loud(1))
        await stream.close()
        assert client.texts == [("The end.", True, True)]
        assert client.messages[-1]["type"] == "Metadata"
        assert client.messages[-1]["duration"] == pytest.approx(1.0, abs=0.01)


async def test_utterance_end_comes_once_when_asked_for() -> None:
    asked = options(utterance_end_ms=1000, vad_events=False)
    async with listening(ScriptedRecogniser("a", "b"), asked) as (stream, client):
        hear(stream, loud(1) + quiet(3) + loud(1) + quiet(0.6))
        await client.until(lambda m: len(m) == 3)
        kinds = [m["type"] for m in client.messages]
        assert kinds == ["Results", "UtteranceEnd", "Results"]
        assert client.messages[1]["last_word_end"] == pytest.approx(1.0, abs=0.05)


async def test_without_endpointing_nothing_is_an_end() -> None:
    async with listening(ScriptedRecogniser("a"), options(endpointing_ms=None)) as (stream, client):
        hear(stream, loud(1) + quiet(1.2))
        await client.until(lambda m: len(m) == 2)
        assert client.texts == [("a", True, False)]


async def test_a_long_speech_comes_in_parts() -> None:
    recogniser = ScriptedRecogniser("one", "two")
    async with listening(recogniser, options()) as (stream, client):
        hear(stream, loud(19) + quiet(0.6))
        await client.until(lambda m: len(m) == 3)
    assert [round(seconds) for seconds, *_ in recogniser.heard] == [18, 1]
    assert client.texts == [("one", True, False), ("two", True, True)]


@pytest.mark.parametrize("rate", [8000, 24_000, 48_000])
async def test_any_rate_and_odd_pieces_will_do(rate: int) -> None:
    recogniser = ScriptedRecogniser("Hello.")
    async with listening(recogniser, options(sample_rate=rate)) as (stream, client):
        # A sine of 0.3 rad a sample is loud at any rate.
        hear(stream, quiet(0.5, rate) + loud(1, rate) + quiet(0.7, rate), piece=333)
        await client.until(lambda m: len(m) == 2)
        assert stream.seconds == pytest.approx(2.2, abs=0.02)
    assert client.texts == [("Hello.", True, True)]


async def test_a_failing_recogniser_ends_the_stream_with_its_error() -> None:
    async with listening(ScriptedRecogniser(RuntimeError("boom")), options()) as (stream, _):
        hear(stream, loud(1) + quiet(1))
        async with asyncio.timeout(2):
            with pytest.raises(RuntimeError, match="boom"):
                await asyncio.shield(stream.sender)
