"""What a caller wants, by the words they use: a transfer and where to, an end, a yes or a no."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vobiz_kit.lab.speech.words import (
    FILLERS,
    contains_phrase,
    likeness,
    phrases,
    stem,
    word_set,
    words_of,
)

# With a destination after it, each of these asks to be connected.
TRANSFER_PHRASES = phrases(
    "transfer, transferred, connect, connected, put * through, put * on to, pass * to, "
    "pass * on, forward, hand * over, switch * to, redirect, route, direct * to, speak to, "
    "speak with, speaking to, talk to, talk with, talking to, speak, talk, get * to, get me, "
    "reach, give me, refer, dial, send * to, i need, i want, i'd like, i would like, "
    "looking for, is * there, get hold of, get through to, contact, call the, call our, "
    "ring the"
)
# Without a destination, these still do; the others are too common.
_ASKS_TRANSFER = phrases(
    "transfer, transferred, connect me, put me through, put * through, forward me, "
    "hand me over, speak to, speak with, talk to, talk with, redirect me, a human, "
    "real person, an operator, representative"
)
_ASKS_TO_KNOW = phrases("to know, know if, know when, know whether, wondering")
_FAREWELLS = phrases(
    "goodbye, good bye, bye, bye bye, hang up, end the call, end this call, that's all, "
    "that is all, that was all, that'll be all, nothing else, have a nice day, "
    "finish the call, no more questions"
)
_NEGATIONS = phrases("don't, do not, never, not, no need to, without, rather than")
# What may stand between a negation and its verb: "I don't really want to be transferred".
_BETWEEN = word_set("want to need wish like please have be really just ever you i me")
_YES = phrases(
    "yes, yeah, yep, yup, sure, please do, ok, okay, of course, go ahead, correct, alright, "
    "all right, absolutely, definitely, do that, that's right, please"
)
# How people take or refuse a call that they are asked to take, beside yes and no.
_TAKES = phrases(
    "put * through, connect me, connect us, i'll take, i will take, i can take, i'm happy to, "
    "i'd be happy to, send * over, pass * on, hand * over, let me talk to, i'll talk to, "
    "i will talk to, go ahead, transfer * to me"
)
_REFUSES = phrases(
    "can't, cannot, can not, busy, not now, not right now, not available, unavailable, won't, "
    "in a meeting, no time, don't have time, another time, call back, later, rather not"
)
_NO = phrases("no, nope, nah, not now, no thanks, please don't, never mind, nevermind")

#: From this likeness on a word is taken for the name of a destination, if a transfer is asked for.
ALIKE = 0.72
#: The same, if the name is all that was said, or is merely mentioned.
ALIKE_ALONE = 0.8
# Two destinations whose likeness differs less than that cannot be told apart.
_CLEAR = 0.05


def asks_transfer(words: Sequence[str]) -> bool:
    """Whether a caller asks to be put through, be it without saying to whom."""
    return contains_phrase(words, _ASKS_TRANSFER) is not None and not is_refusal(words)


def names_transfer(words: Sequence[str]) -> bool:
    """Whether the words, together with a destination, ask to be put through."""
    if contains_phrase(words, _ASKS_TO_KNOW) is not None:
        return asks_transfer(words)
    return contains_phrase(words, TRANSFER_PHRASES) is not None and not is_refusal(words)


def is_refusal(words: Sequence[str]) -> bool:
    """Whether a caller asks not to be put through ("don't transfer me")."""
    at = contains_phrase(words, TRANSFER_PHRASES)
    if at is None:
        return False
    while at and words[at - 1] in _BETWEEN:
        at -= 1
    # "Not sales, I want billing" refuses sales, not the transfer.
    before = " ".join(["", *words[:at]])
    return any(before.endswith(f" {negation}") for negation in _NEGATIONS)


def is_farewell(words: Sequence[str]) -> bool:
    """Whether a caller wants to end the call."""
    at = contains_phrase(words, _FAREWELLS)
    return at is not None and contains_phrase(words[max(0, at - 3) : at], ("don't", "not")) is None


def is_yes(words: Sequence[str]) -> bool:
    """Whether a short answer agrees."""
    return len(words) <= 6 and not is_no(words) and contains_phrase(words[:4], _YES) is not None


def is_no(words: Sequence[str]) -> bool:
    """Whether a short answer declines."""
    return len(words) <= 6 and contains_phrase(words[:3], _NO) is not None


def accepts(words: Sequence[str]) -> bool:
    """Whether somebody who was asked to do something, such as to take a call, says yes."""
    if declines(words):
        return False
    return is_yes(words) or contains_phrase(words, _TAKES) is not None


def declines(words: Sequence[str]) -> bool:
    """Whether somebody who was asked to do something, such as to take a call, says no."""
    begins_with_no = contains_phrase(words[:2], _NO) is not None
    return begins_with_no or is_refusal(words) or contains_phrase(words, _REFUSES) is not None


def mentioned(words: Sequence[str], options: Sequence[str], alike: float) -> list[str]:
    """The options that an utterance names, the best match of each spot; recognition errors count.

    An option after "not" is not named ("not sales, billing"); a longer option goes before one that
    is part of it ("tech support" before "support"). Two that fit one spot equally well are both
    returned: the caller has to be asked.
    """
    matches = []
    for option in options:
        for start, end, score in _places(words, words_of(option), alike):
            if words[start - 1 : start] != ["not"]:
                matches.append((score, end - start, start, end, option))
    matches.sort(key=lambda m: (-m[0], -m[1], m[2]))
    taken: list[tuple[float, int, int, str]] = []
    for score, _, start, end, option in matches:
        rivals = [t for t in taken if start < t[2] and t[1] < end]
        if all(score > t[0] - _CLEAR and (t[1], t[2]) == (start, end) for t in rivals):
            taken.append((score, start, end, option))
    taken.sort(key=lambda t: t[1])
    return list(dict.fromkeys(option for *_, option in taken))


def _places(
    words: Sequence[str], option: Sequence[str], alike: float
) -> list[tuple[int, int, float]]:
    """Where the option stands: begin, end, likeness. One word more or less is tried, too."""
    name = " ".join(option)
    found = []
    for length in {max(1, len(option) - 1), len(option), len(option) + 1}:
        for start in range(len(words) - length + 1):
            spot = words[start : start + length]
            if all(word in FILLERS for word in spot):
                continue
            # A word more may be part of the name ("Bill N"), not one that stands beside it.
            if length > len(option) and {stem(w) for w in option} & {stem(w) for w in spot}:
                continue
            if [stem(w) for w in spot] == [stem(w) for w in option]:
                score = 1.0
            elif len(spot) == len(option) > 1 and all(map(_short_for, spot, option)):
                score = 1.0  # "technical support" for "tech support"
            else:
                score = min(0.99, likeness(" ".join(spot), name))
            if score >= alike:
                found.append((start, start + length, score))
    return found


def _short_for(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return long.startswith(short) and (len(short) >= 3 or short == long)


def is_only(words: Sequence[str], option: str) -> bool:
    """Whether an utterance is a destination and nothing else: "Billing, please"."""
    rest = [word for word in words if word not in FILLERS]
    return 0 < len(rest) <= len(words_of(option)) + 1 and len(words) <= 8


def named_after(utterance: str) -> str | None:
    """Whom a caller names after words like "transfer me to" ("accounting"), or None."""
    found = re.search(
        r"\b(?:transfer|connect|put|forward|switch|redirect|pass|hand|talk|speak|get|send)\w*\b"
        r".{0,24}?\b(?:to|with|through to) (?!me\b|you\b)([^.!?,;]+)",
        utterance,
        re.IGNORECASE,
    )
    if not found:
        return None
    words = found.group(1).split()
    while words and words[0].lower() in FILLERS:
        words.pop(0)
    while words and words[-1].lower().strip(",.") in FILLERS | {"please", "now"}:
        words.pop()
    return " ".join(words) or None
