"""Finding utterances in telephone sound: an energy detector with a hangover.

Speech begins when enough short frames are well above the line's noise, and has ended once it has
been quiet for `HANGOVER_S`. Which words they were is the recogniser's business.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from vobiz_kit.lab.handsets.sound import LINE_BYTES, levels

#: Length of a frame in seconds; the pace of RTP on a telephone line.
FRAME_S = 0.02
FRAME_BYTES = int(LINE_BYTES * FRAME_S)

#: So long must it be quiet for an utterance to have ended, in seconds.
HANGOVER_S = 0.5

#: Nothing below this level is speech: the line's idle noise is near -72 dBFS, speech near -20.
QUIETEST_SPEECH_DBFS = -48.0

# Sound this far above the noise floor is speech.
_ABOVE_FLOOR_DB = 12.0
_LOUDEST_FLOOR_DBFS = -35.0

# Speech has begun when that many of so many frames are loud: a click is not speech.
_ONSET_WINDOW, _ONSET_FRAMES = 8, 4
# A word's quiet beginning lies before the first loud frame; the recogniser wants it.
_PRE_ROLL_S = 0.24
# Recognisers take 30 s at once at most (Whisper); somebody who talks without a pause is cut here.
_LONGEST_S = 20.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """A stretch of speech, as byte offsets into the sound that was fed, end excluded."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        """How long it is, in seconds, with the quiet that was kept around it."""
        return (self.end - self.start) / LINE_BYTES


class UtteranceDetector:
    """Feed it sound as it comes; it tells which utterances have ended.

    Sound is 8 kHz 16-bit mono PCM in pieces of any size. Silence must be fed too (a line on which
    no packets arrive is silent): time passes for the detector only by what it is fed.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._position = 0
        self._floor = QUIETEST_SPEECH_DBFS - _ABOVE_FLOOR_DB
        self._recent: deque[bool] = deque(maxlen=_ONSET_WINDOW)
        self._start: int | None = None
        self._last_loud = 0
        self._previous_end = 0

    @property
    def last_loud(self) -> int:
        """Where sound that may be speech was last heard, as a byte offset; 0 if never."""
        return self._last_loud

    @property
    def speaking(self) -> Utterance | None:
        """The utterance in progress, up to what has been fed; None while it is quiet."""
        if self._start is None:
            return None
        return Utterance(self._start, self._position)

    def feed(self, pcm: bytes) -> list[Utterance]:
        """Take the next piece of sound; give the utterances that ended in it."""
        data = self._rest + pcm
        whole = len(data) // FRAME_BYTES * FRAME_BYTES
        self._rest = data[whole:]
        ended = map(self._frame, levels(data[:whole], FRAME_BYTES))
        return [utterance for utterance in ended if utterance]

    def _frame(self, level: float) -> Utterance | None:
        loud = level >= max(QUIETEST_SPEECH_DBFS, self._floor + _ABOVE_FLOOR_DB)
        # The floor falls at once with the quietest frame and rises slowly (3 dB a second), so
        # that steady noise is learnt while speech, which has gaps, is not.
        self._floor = min(level, self._floor + 3 * FRAME_S, _LOUDEST_FLOOR_DBFS)
        begin = self._position
        self._position += FRAME_BYTES
        self._recent.append(loud)
        if loud:
            self._last_loud = self._position
        if self._start is None:
            if sum(self._recent) >= _ONSET_FRAMES:
                window = begin - (len(self._recent) - 1) * FRAME_BYTES
                pre_roll = int(_PRE_ROLL_S * LINE_BYTES)
                self._start = max(self._previous_end, window - pre_roll, 0)
            return None
        quiet = self._position - self._last_loud
        too_long = self._position - self._start >= _LONGEST_S * LINE_BYTES
        if quiet < HANGOVER_S * LINE_BYTES and not too_long:
            return None
        utterance = Utterance(self._start, self._position)
        self._start = None
        self._recent.clear()
        self._previous_end = self._position
        return utterance
