"""When an utterance begins, pauses, goes on and ends: decided from probabilities of speech."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from vobiz_kit.lab.speech.voice_activity import WINDOW, WINDOW_S

# Speech begins above the first and goes on above the second (Silero's own defaults).
_BEGINS, _GOES_ON = 0.5, 0.35
# So many windows in a row must be speech for an utterance to begin: a click is not speech.
_ONSET_WINDOWS = 3

#: So long a silence is worth a first guess at the words, in seconds.
PAUSE_S = 0.16
#: Shorter silences never end an utterance, in seconds: people pause up to 0.38 s at a comma
#: (measured), and a word alone is recognised worse than in its sentence.
SHORTEST_END_S = 0.4
#: A long utterance is cut at its next pause after the first, at the second in any case, seconds.
CUT_AT_PAUSE_S, CUT_AT_S = 12.0, 18.0


class Change(Enum):
    """What happens in a stream of speech."""

    BEGINS = "begins"
    PAUSES = "pauses"
    GOES_ON = "goes on"
    IS_CUT = "is cut"
    ENDS = "ends"


@dataclass(frozen=True, slots=True)
class Event:
    """A change, and where: ``at`` is a sample of the stream at which speech begins or has ended."""

    change: Change
    at: int


class Endpointer:
    """Feed it probabilities, one for each window of `WINDOW` samples; it tells what changes.

    Args:
        end_s: Seconds of silence that end an utterance; at least `SHORTEST_END_S` are waited.
    """

    def __init__(self, end_s: float) -> None:
        self._end_windows = math.ceil(max(end_s, SHORTEST_END_S) / WINDOW_S)
        self._pause_windows = round(PAUSE_S / WINDOW_S)
        self._window = 0
        self._onset = 0
        self._begin: int | None = None
        self._silent = 0

    @property
    def speaking(self) -> bool:
        """Whether an utterance is in progress, be it in a pause."""
        return self._begin is not None

    @property
    def silent_s(self) -> float:
        """Seconds of silence since speech was last heard."""
        return self._silent * WINDOW_S

    def feed(self, probabilities: Iterable[float]) -> list[Event]:
        """The next windows; what changed in them, in order."""
        events: list[Event] = []
        for probability in probabilities:
            self._window += 1
            events += self._quiet(probability) if self._begin is None else self._loud(probability)
        return events

    def end(self) -> list[Event]:
        """End an utterance in progress now: nothing more will be said."""
        if self._begin is None:
            return []
        speech_end = max(self._window - self._silent, self._begin)
        self._begin = None
        return [Event(Change.ENDS, speech_end * WINDOW)]

    def _quiet(self, probability: float) -> list[Event]:
        self._silent += 1
        self._onset = self._onset + 1 if probability >= _BEGINS else 0
        if self._onset < _ONSET_WINDOWS:
            return []
        self._begin = self._window - self._onset
        self._silent = self._onset = 0
        return [Event(Change.BEGINS, self._begin * WINDOW)]

    def _loud(self, probability: float) -> list[Event]:
        assert self._begin is not None
        if probability >= _GOES_ON:
            paused = self._silent >= self._pause_windows
            self._silent = 0
            if paused:
                return [Event(Change.GOES_ON, (self._window - 1) * WINDOW)]
            return self._cut(CUT_AT_S)
        self._silent += 1
        speech_end = (self._window - self._silent) * WINDOW
        if self._silent >= self._end_windows:
            begin, self._begin = self._begin, None
            return [Event(Change.ENDS, max(speech_end, begin * WINDOW))]
        if self._silent == self._pause_windows:
            return self._cut(CUT_AT_PAUSE_S) or [Event(Change.PAUSES, speech_end)]
        return []

    def _cut(self, longest_s: float) -> list[Event]:
        assert self._begin is not None
        if (self._window - self._begin) * WINDOW_S < longest_s:
            return []
        self._begin = self._window
        return [Event(Change.IS_CUT, self._window * WINDOW)]
