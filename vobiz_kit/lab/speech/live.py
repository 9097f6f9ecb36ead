"""One live stream of ``/v1/listen``: sound goes in, Deepgram's messages come out.

While somebody speaks, drafts are recognised if the recogniser has nothing else to do. At the first
pause the whole utterance is, so that its words are there when the pause turns out to be the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from vobiz_kit.lab.speech import deepgram
from vobiz_kit.lab.speech.deepgram import ListenOptions
from vobiz_kit.lab.speech.endpointing import Change, Endpointer, Event
from vobiz_kit.lab.speech.recogniser import Recogniser, Recognition
from vobiz_kit.lab.speech.sound import EARS_HZ, Resampler, Samples
from vobiz_kit.lab.speech.voice_activity import VoiceActivity

# A word's soft beginning lies before what the detector takes for speech, which it may find up to
# 0.38 s late (measured).
_PRE_ROLL = int(0.5 * EARS_HZ)
# So much more has to be said before another draft is worth it, in samples.
_DRAFT_EVERY = int(1.25 * EARS_HZ)

Send = Callable[[dict[str, Any]], Awaitable[None]]
_Guess = asyncio.Task[Recognition]


@dataclass(frozen=True)
class _Final:
    """A final result that may still be being recognised; messages after it wait for it."""

    guess: _Guess
    begin: float
    end: float
    speech_final: bool
    from_finalize: bool


class LiveStream:
    """The state of one stream. Feed it with `hear`, end it with `close` or `aclose`.

    Args:
        options: What the client asked for.
        request_id: Its request's.
        recogniser: Turns utterances into words.
        voice_activity: This stream's detector.
        send: Sends a message to the client.
    """

    def __init__(
        self,
        options: ListenOptions,
        request_id: str,
        recogniser: Recogniser,
        voice_activity: VoiceActivity,
        send: Send,
    ) -> None:
        self._options = options
        self._request_id = request_id
        self._recogniser = recogniser
        self._activity = voice_activity
        self._send = send
        # Deepgram may end utterances never; results are due all the same.
        silence_ms = 1000 if options.endpointing_ms is None else options.endpointing_ms
        self._endpointer = Endpointer(silence_ms / 1000)
        self._resampler = Resampler(options.sample_rate, EARS_HZ)
        self._odd = b""
        self._kept = np.empty(0, np.int16)  # the utterance so far, or the last moment of silence
        self._kept_from = 0  # which sample of the stream is the first of them
        self._begin = 0  # the utterance's first sample, with what is kept before it
        self._speech_begin = self._speech_end = 0
        self._last_word_end: float | None = None
        self._guess: _Guess | None = None
        self._draft: _Guess | None = None
        self._drafted_to = 0
        self._guesses: set[_Guess] = set()
        self._outbox: asyncio.Queue[dict[str, Any] | _Final | None] = asyncio.Queue()
        self._sender = asyncio.create_task(self._send_all(), name=f"results of {request_id}")

    @property
    def seconds(self) -> float:
        """How much has been heard."""
        return self._now() / EARS_HZ

    @property
    def sender(self) -> asyncio.Task[None]:
        """Sends the messages; its end before `close` means that something went wrong."""
        return self._sender

    def hear(self, pcm: bytes) -> None:
        """The next piece of sound, as the options describe it, of any length."""
        pcm = self._odd + pcm
        self._odd = pcm[len(pcm) // 2 * 2 :]
        samples = self._resampler.push(np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2"))
        self._kept = np.concatenate([self._kept, samples])
        for event in self._endpointer.feed(self._activity.feed(samples)):
            self._happens(event)
        if not self._endpointer.speaking:
            self._forget_before(self._kept_from + self._kept.size - _PRE_ROLL)
            self._send_utterance_end()
        elif self._options.interim_results:
            self._perhaps_draft()

    def finalize(self) -> None:
        """The client's ``Finalize``: results for all that was heard, now."""
        speaking = self._endpointer.speaking
        for event in self._endpointer.end():
            self._ends(event.at, speech_final=True, from_finalize=True)
        if not speaking:
            message = self._results(
                Recognition(), self.seconds, self.seconds, is_final=True, from_finalize=True
            )
            self._outbox.put_nowait(message)

    async def close(self) -> None:
        """The client's ``CloseStream``: results for all that was heard, then the metadata."""
        for event in self._endpointer.end():
            self._ends(event.at, speech_final=True, from_finalize=False)
        last = {"type": "Metadata", **deepgram.metadata(self._request_id, self.seconds)}
        self._outbox.put_nowait(last)
        self._outbox.put_nowait(None)
        await self._sender

    async def aclose(self) -> None:
        """Stop at once; nothing more is sent."""
        tasks = [self._sender, *self._guesses]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _happens(self, event: Event) -> None:
        match event.change:
            case Change.BEGINS:
                self._speech_begin = event.at
                earliest = max(self._kept_from, self._speech_end)  # not the utterance before
                self._begin = self._drafted_to = max(earliest, event.at - _PRE_ROLL)
                self._forget_before(self._begin)
                if self._options.vad_events:
                    self._outbox.put_nowait(deepgram.speech_started(event.at / EARS_HZ))
            case Change.PAUSES:
                self._guess = self._recognise(self._heard_to(self._now()))
            case Change.GOES_ON:
                self._drop_guess()
            case Change.IS_CUT:
                self._ends(event.at, speech_final=False, from_finalize=False)
                self._begin = self._speech_begin = self._drafted_to = event.at
                self._forget_before(event.at)
            case Change.ENDS:
                final = self._options.endpointing_ms is not None
                self._ends(event.at, speech_final=final, from_finalize=False)

    def _ends(self, at: int, *, speech_final: bool, from_finalize: bool) -> None:
        guess = self._guess or self._recognise(self._heard_to(self._now()))
        self._guess = None
        if self._draft:
            self._draft.cancel()
        self._speech_end = at
        begin, end = self._speech_begin / EARS_HZ, at / EARS_HZ
        self._outbox.put_nowait(_Final(guess, begin, end, speech_final, from_finalize))
        self._last_word_end = end

    def _send_utterance_end(self) -> None:
        wanted = self._options.utterance_end_ms
        if wanted is None or self._last_word_end is None:
            return
        if self._endpointer.silent_s * 1000 >= wanted:
            self._outbox.put_nowait(deepgram.utterance_end(self._last_word_end))
            self._last_word_end = None

    def _perhaps_draft(self) -> None:
        now = self._now()
        if now - self._drafted_to < _DRAFT_EVERY or self._guess or not self._recogniser.has_time:
            return
        self._drafted_to = now
        self._draft = self._recognise(self._heard_to(now), draft=True)

    def _recognise(self, samples: Samples, *, draft: bool = False) -> _Guess:
        begin, end = self._speech_begin / EARS_HZ, self.seconds
        guess = asyncio.create_task(
            self._recogniser.recognise(samples, self._options.hot_words, draft=draft),
            name=f"recognise for {self._request_id}",
        )
        self._guesses.add(guess)

        def done(task: _Guess) -> None:
            self._guesses.discard(task)
            current = task in (self._guess, self._draft) and self._endpointer.speaking
            wanted = current and self._options.interim_results and _succeeded(task)
            if wanted and task.result().text:
                message = self._results(task.result(), begin, end, is_final=False)
                self._outbox.put_nowait(message)

        guess.add_done_callback(done)
        return guess

    def _drop_guess(self) -> None:
        if self._guess:
            self._guess.cancel()
            self._guess = None

    def _now(self) -> int:
        return self._kept_from + self._kept.size

    def _heard_to(self, at: int) -> Samples:
        return self._kept[self._begin - self._kept_from : at - self._kept_from]

    def _forget_before(self, at: int) -> None:
        if at > self._kept_from:
            self._kept = self._kept[at - self._kept_from :]
            self._kept_from = at

    def _results(
        self, recognition: Recognition, begin: float, end: float, **flags: bool
    ) -> dict[str, Any]:
        found = deepgram.alternative(recognition, begin, end, self._options)
        return deepgram.results(self._request_id, found, begin, end, **flags)

    async def _send_all(self) -> None:
        while (item := await self._outbox.get()) is not None:
            if isinstance(item, _Final):
                item = self._results(
                    await item.guess,
                    item.begin,
                    item.end,
                    is_final=True,
                    speech_final=item.speech_final,
                    from_finalize=item.from_finalize,
                )
            await self._send(item)


def _succeeded(task: _Guess) -> bool:
    return not task.cancelled() and task.exception() is None
