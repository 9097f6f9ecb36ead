"""Waiting for words on a line: what reached a phone, recognised utterance by utterance."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from vobiz_kit.lab.handsets.listening import (
    FRAME_BYTES,
    QUIETEST_SPEECH_DBFS,
    Utterance,
    UtteranceDetector,
)
from vobiz_kit.lab.handsets.pulse import Pulse
from vobiz_kit.lab.handsets.sound import LINE_BYTES, SILENCE_DBFS, dbfs, levels
from vobiz_kit.lab.handsets.tape import Tape
from vobiz_kit.lab.handsets.words import HEARD, score, telling_words

Recognise = Callable[[bytes, Sequence[str]], Awaitable[str]]
"""Takes telephone sound and the words that may well occur; gives the words that it made out."""

#: Quieter than that, nothing at all was on the line: its own noise is near -72 dB (G.711).
_NOTHING_DBFS = -65.0


@dataclass
class Listening:
    """What came of waiting for words.

    Attributes:
        heard: The utterances in which the words were, as the recogniser wrote them; "" if the
            words were not heard.
        score: How well they match, 0 to 1 (see `words.score`).
        transcript: All that was recognised meanwhile, one entry per utterance.
        level: Mean level of what reached the phone meanwhile, in dB below full scale.
        seconds: How much sound that was, in seconds.
    """

    heard: str = ""
    score: float = 0.0
    transcript: list[str] = field(default_factory=list)
    level: float = SILENCE_DBFS
    seconds: float = 0.0

    @property
    def matched(self) -> bool:
        """Whether the words were heard."""
        return bool(self.heard)

    @property
    def line(self) -> str:
        """What was on the line, in words: tells silence from noise that is not understood."""
        what = f"{self.level:.0f} dBFS over {self.seconds:.1f} s"
        if self.seconds == 0:
            return "no sound reached the phone at all"
        if self.level < _NOTHING_DBFS:
            return f"silence ({what})"
        if not self.transcript:
            return f"sound, but nothing that begins and ends like speech ({what})"
        if not any(self.transcript):
            return f"sound that the recogniser could not understand ({what})"
        return f"speech ({what})"


class Ear:
    """Listens to what reaches one phone in one call.

    It remembers up to where words were found, so that one greeting is not found twice.

    Args:
        tape: The call's recording.
        recognise: Turns an utterance into words.
    """

    def __init__(self, tape: Tape, recognise: Recognise) -> None:
        self._tape = tape
        self._recognise = recognise
        self._detector = UtteranceDetector()
        self._fed = 0
        self._ended: list[Utterance] = []
        self._position = 0
        self._news = Pulse()
        self._over = False

    @property
    def quiet_for(self) -> float:
        """Seconds since anything that may be speech reached the phone."""
        return (self._fed - self._detector.last_loud) / LINE_BYTES

    def follow(self) -> None:
        """Look at what has reached the phone since the last time; call it often."""
        heard = self._tape.heard
        heard.run_on(self._tape.now)
        new = bytes(heard.pcm[self._fed :])
        self._fed += len(new)
        if found := self._detector.feed(new):
            self._ended.extend(found)
            self._news.beat()

    def end(self) -> None:
        """The call is over: what is being said now will not be finished."""
        if not self._over:
            self.follow()
            if self._detector.speaking:
                self._ended.append(self._detector.speaking)
            self._over = True
            self._news.beat()

    async def listen(self, expect: str, deadline: float, *, whole_call: bool = False) -> Listening:
        """Wait until the words were said, the call is over, or time is up.

        An utterance is looked at once it has ended, alone and together with those before it (a
        sentence may have a pause). When time is up, what is being said counts as far as it got.

        Args:
            expect: The words, "" for anything that is said.
            deadline: Until when to wait, in `time.monotonic` seconds.
            whole_call: Begin at the begin of the call, not after what was found last.
        """
        begin = 0 if whole_call else self._position
        result = Listening()
        looked_at = begin
        while True:
            late = time.monotonic() >= deadline
            uttered = list(self._ended)
            if late and not self._over and (speaking := self._detector.speaking):
                uttered.append(speaking)
            waiting = [u for u in uttered if u.end > looked_at]
            for utterance in waiting:
                looked_at = utterance.end
                await self._look_at(utterance, max(begin, utterance.start), expect, result)
                if result.matched:
                    self._position = max(self._position, utterance.end)
                    return self._measured(result, begin, utterance.end)
            if self._over or late:
                return self._measured(result, begin, self._fed)
            await self._news.until(partial(self._has_news, looked_at), deadline)

    def _has_news(self, looked_at: int) -> bool:
        return self._over or bool(self._ended and self._ended[-1].end > looked_at)

    async def _look_at(
        self, utterance: Utterance, begin: int, expect: str, result: Listening
    ) -> None:
        sound = bytes(self._tape.heard.pcm[begin : utterance.end])
        if max(levels(sound, FRAME_BYTES)) < QUIETEST_SPEECH_DBFS:
            return  # the quiet end of an utterance whose words have been found already
        said = result.transcript
        result.transcript = [*said, await self._recognise(sound, [])]
        if _find(expect, result.transcript, result) or not (hints := telling_words(expect)):
            return
        # Only now with hints, and never the phrase itself: Whisper takes hints for what was said
        # just before, and leaves such a phrase out (measured: 79 of 90 phrases found with it as
        # the hint, 90 of 90 in this way). A name that it does not know needs them.
        hinted = [*said, await self._recognise(sound, hints)]
        if _find(expect, hinted, result):
            result.transcript = hinted

    def _measured(self, result: Listening, begin: int, end: int) -> Listening:
        result.level = dbfs(bytes(self._tape.heard.pcm[begin:end]))
        result.seconds = max(0, end - begin) / LINE_BYTES
        return result


def _find(expect: str, transcript: Sequence[str], result: Listening) -> bool:
    """Look for the words in the newest utterance, then with ever more of those before it.

    The shortest stretch that has them is what was heard.
    """
    for first in range(len(transcript) - 1, -1, -1):
        stretch = " ".join(text for text in transcript[first:] if text)
        found = score(expect, stretch)
        result.score = max(result.score, found)
        if found >= HEARD:
            result.heard = stretch
            return True
    return False
