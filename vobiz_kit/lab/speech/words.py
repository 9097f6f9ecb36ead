"""Words, compared as a recogniser and a person on the phone blur them: stems and likeness."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache

# A full stop before a small letter, or after one of these, belongs to an abbreviation.
_SENTENCE_END = re.compile(
    r"(?:(?<=[!?])|(?<=\.)(?<!e\.g\.)(?<!i\.e\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bDr\.)(?<!\bSt\.)"
    r"(?=\s+[\"'“(]?[A-Z0-9+]))\s+"
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written as one text."""
    return frozenset(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """The phrases of a list that is written as one text, with commas in between."""
    return tuple(phrase.strip() for phrase in text.split(","))


# Words that say nothing about what a sentence is about.
STOP_WORDS = word_set(
    "a about am an and any are as at be been but by can could did do does for from get give had has"
    " have he hello help her hey hi him his how i i'd i'll i'm if in is it it's its know like me my"
    " no not of oh ok okay on one or our out please say she so some sorry tell thank thanks that"
    " that's the their them then there they this to uh um up us was we we're were what what's when"
    " where which who why will with would yeah yes you you're your"
)

# What people put around the name of somebody they want to reach.
FILLERS = word_set(
    "a actually again an and can dear department dept desk er erm for hello hey hi i just line"
    " maybe me my now office oh ok okay our people person please someone somebody staff sure team"
    " thank thanks that the then to try uh um well with would yeah yep yes you"
)


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case and without punctuation; "don't" is one word."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def sentences_of(text: str) -> list[str]:
    """The sentences of a text. Lines and list items end sentences, too; "e.g. this" does not."""
    found = []
    for line in text.splitlines():
        line = re.sub(r"^\s*(?:[-*•#]+|\d+[.)])\s+", "", line).strip()
        found += [part.strip() for part in _SENTENCE_END.split(line) if part.strip()]
    return found


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """The word without its usual English endings: "opening", "opened" and "opens" are "open"."""
    word = word.removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "es", "s"):
        kept = word.removesuffix(ending)
        if kept != word and len(kept) >= 3 and not (ending == "s" and kept.endswith(("s", "u"))):
            word = kept
            break
    if len(word) > 3 and word[-1] == word[-2]:
        word = word[:-1]  # "stopped": stopp, "selling" and "sell": sel
    return word.removesuffix("e") if len(word) > 4 else word


def content_stems(text: str) -> list[str]:
    """The stems of the words that carry meaning, each once, in their order."""
    return list(dict.fromkeys(stem(w) for w in words_of(text) if w not in STOP_WORDS))


@lru_cache(maxsize=8192)
def likeness(one: str, other: str) -> float:
    """How alike two words or short names are in spelling, 0 to 1. Spaces do not count.

    A recogniser writes "Bill N." or "building" for "billing" (measured), which is 0.83 and 0.8.
    """
    one, other = one.replace(" ", ""), other.replace(" ", "")
    if one == other:
        return 1.0
    if min(len(one), len(other)) < 4:
        return 0.0  # short words are alike by chance
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def joined(names: Sequence[str], conjunction: str = "or") -> str:
    """Names as people list them: "billing, sales or support"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} {conjunction} {names[-1]}"


def contains_phrase(words: Sequence[str], phrases: Iterable[str]) -> int | None:
    """Where, in a text's words, the first of these phrases begins; None if there is none.

    A phrase is words with spaces in between; ``*`` in it stands for up to two words of any kind
    ("put * through").
    """
    text = " " + " ".join(words) + " "
    first = None
    for phrase in phrases:
        pattern = r"(?:\S+ ){0,2}".join(re.escape(p.lstrip()) for p in f"{phrase} ".split("*"))
        if found := re.search(" " + pattern, text):
            position = text[: found.start()].count(" ")
            first = position if first is None else min(first, position)
    return first
