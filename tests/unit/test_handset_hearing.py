"""Recording and listening, on a clock of the test's own: no sockets, no waiting."""

from __future__ import annotations

import asyncio
import io
import time
import wave

import pytest

from tests.unit.handset_fakes import TonalSpeech
from vobiz_kit.lab.handsets.hearing import Ear, Listening
from vobiz_kit.lab.handsets.sound import LINE_BYTES, SILENCE_DBFS
from vobiz_kit.lab.handsets.tape import Tape

FRAME = 320


class Line:
    """A tape and an ear, and a clock that runs as sound arrives."""

    def __init__(self) -> None:
        self.time = 100.0
        self.speech = TonalSpeech()
        self.tape = Tape(lambda: self.time)
        self.ear = Ear(self.tape, self.speech.recognise)
        self._stamp = 5000

    def arrives(self, pcm: bytes) -> None:
        for start in range(0, len(pcm), FRAME):
            self.time += 0.02
            self._stamp += 160
            self.tape.hear(pcm[start : start + FRAME], self._stamp)
        self.ear.follow()

    def passes(self, seconds: float) -> None:
        """Time passes and no packet comes."""
        for _ in range(round(seconds / 0.1)):
            self.time += 0.1
            self._stamp += 800
            self.ear.follow()

    def says(self, text: str, pause: float = 1.0) -> None:
        self.arrives(self.speech.tone(text))
        self.passes(pause)

    async def listen(
        self, expect: str, within: float = 0.0, *, whole_call: bool = False
    ) -> Listening:
        return await self.ear.listen(expect, time.monotonic() + within, whole_call=whole_call)


async def test_words_are_found_once_and_found_again_in_the_whole_call():
    line = Line()
    line.says("hello this is billing")
    line.says("how can I help")
    greeting = await line.listen("this is billing")
    assert (greeting.heard, greeting.matched) == ("hello this is billing", True)
    assert greeting.score == pytest.approx(1.0)
    again = await line.listen("this is billing")
    assert not again.matched
    assert again.transcript == ["how can I help"]
    assert (await line.listen("how can I help")).matched
    assert (await line.listen("this is billing", whole_call=True)).matched


async def test_what_is_said_while_waiting_is_heard():
    line = Line()
    waiting = asyncio.create_task(line.listen("goodbye", within=5))
    await asyncio.sleep(0)
    line.says("one moment please")
    await asyncio.sleep(0)
    line.says("goodbye")
    found = await waiting
    assert found.heard == "goodbye"
    assert found.transcript == ["one moment please", "goodbye"]


async def test_a_sentence_with_a_pause_in_it_is_one_sentence():
    line = Line()
    line.says("please transfer me")
    line.says("to billing today")
    found = await line.listen("transfer me to billing")
    assert found.heard == "please transfer me to billing today"


async def test_anything_at_all():
    line = Line()
    line.says("good morning")
    assert (await line.listen("")).heard == "good morning"
    assert line.speech.keyterms == [()]
    assert not (await line.listen("")).matched


async def test_hints_are_given_only_when_needed_and_never_the_phrase_itself():
    line = Line()
    line.says("thanks for calling vobiz")
    await line.listen("calling vobiz")
    assert line.speech.keyterms == [()]
    line.says("something else")
    await line.listen("thanks for calling vobiz")
    assert line.speech.keyterms[1:] == [(), ("thanks", "calling", "vobiz")]


async def test_when_time_is_up_what_is_being_said_counts_as_far_as_it_got():
    line = Line()
    line.says("hold the line", pause=0.1)
    assert (await line.listen("hold the line")).matched
    assert not (await line.listen("hold the line")).matched


async def test_the_end_of_the_call_ends_the_wait():
    line = Line()
    line.says("good", pause=0.1)
    waiting = asyncio.create_task(line.listen("goodbye", within=60))
    await asyncio.sleep(0)
    line.ear.end()
    found = await asyncio.wait_for(waiting, 2)
    assert not found.matched
    assert found.transcript == ["good"]


async def test_silence_noise_and_unknown_speech_are_told_apart():
    nothing = Line()
    assert "no sound reached the phone at all" in (await nothing.listen("hello")).line

    quiet = Line()
    quiet.passes(2)
    found = await quiet.listen("hello")
    assert (found.level, found.transcript) == (SILENCE_DBFS, [])
    assert found.line.startswith("silence (-90 dBFS over 1.7 s")

    mumbling = Line()
    mumbling.speech.tone("hello")
    other = TonalSpeech()
    other.tone("x")
    other._texts *= 9  # a pitch that the line's speech does not know
    mumbling.arrives(other.tone("unknown"))
    mumbling.passes(1)
    found = await mumbling.listen("hello")
    assert found.transcript == [""]
    assert found.line.startswith("sound that the recogniser could not understand")

    wrong = Line()
    wrong.says("goodbye")
    assert (await wrong.listen("hello")).line.startswith("speech")


async def test_quiet_for_counts_from_the_last_speech():
    line = Line()
    line.says("hello", pause=3.3)
    assert line.ear.quiet_for == pytest.approx(3.0, abs=0.05)


# The tape


def test_gaps_become_silence_and_both_sides_stay_aligned():
    line = Line()
    line.arrives(b"\1\0" * 160 * 5)
    line.passes(1.0)
    line.arrives(b"\2\0" * 160 * 5)
    heard = bytes(line.tape.heard.pcm)
    # The first packet is put where its arrival says, the others where their timestamps say.
    assert heard[FRAME : 2 * FRAME] == b"\1\0" * 160
    second = heard.index(b"\2\0")
    assert second / LINE_BYTES == pytest.approx(0.02 + 0.1 + 1.0, abs=0.001)
    assert not heard[6 * FRAME : second].strip(b"\0")
    end = line.tape.say(b"\3\0" * 1600)
    assert line.tape.said.pcm.index(b"\3\0") / LINE_BYTES == pytest.approx(1.2, abs=0.03)
    assert end == pytest.approx(1.4, abs=0.03)


def test_packets_out_of_order_and_late_ones_find_their_place():
    tape = Tape(lambda: 0.0)
    for number in (0, 2, 1, 3):
        tape.hear(bytes([number + 1, 0]) * 160, 1000 + 160 * number)
    assert [tape.heard.pcm[2 * 160 * i] for i in range(4)] == [1, 2, 3, 4]


@pytest.mark.parametrize("stall", [0.2, 0.9, 3.0])
def test_a_burst_after_a_stall_leaves_no_gap(stall):
    """A busy machine delivers all at once: the words in it must not be torn apart."""
    line = Line()
    frames = [b"\7\0" * 160] * 10
    line.arrives(b"".join(frames))
    line.time += stall
    line.ear.follow()  # looks before the packets that wait are read
    late = round(stall / 0.02)
    for _ in range(late):
        line._stamp += 160
        line.tape.hear(frames[0], line._stamp)
    line.ear.follow()
    assert bytes(line.tape.heard.pcm[FRAME:]) == frames[0] * (10 + late)


def test_another_sender_takes_over_with_timestamps_of_its_own():
    now = [0.0]
    tape = Tape(lambda: now[0])
    for start, value in ((4_294_967_000, 1), (900_000, 2)):  # the first wraps round 2**32
        for number in range(5):
            now[0] += 0.02
            tape.hear(bytes([value, 0]) * 160, (start + 160 * number) % 2**32)
    assert [tape.heard.pcm[FRAME * (i + 1)] for i in range(10)] == [1] * 5 + [2] * 5


def test_speech_that_was_cut_short_is_cut_on_the_tape_too():
    now = [0.0]
    tape = Tape(lambda: now[0])
    assert tape.say(b"\1\0" * 8000) == pytest.approx(1.0)
    assert tape.say(b"\2\0" * 8000) == pytest.approx(2.0)  # follows on
    now[0] = 0.25
    tape.hush()
    assert len(tape.said) == LINE_BYTES // 4


@pytest.mark.parametrize(("side", "channels"), [("heard", 1), ("said", 1), ("both", 2)])
def test_a_recording_of_each_side(side, channels):
    tape = Tape(lambda: 0.0)
    tape.say(b"\1\0" * 800)
    with wave.open(io.BytesIO(tape.wav(side))) as file:
        assert file.getnchannels() == channels
        assert file.getnframes() == (0 if side == "heard" else 800)


def test_no_such_side():
    with pytest.raises(ValueError, match="heard, said and both"):
        Tape().wav("left")
