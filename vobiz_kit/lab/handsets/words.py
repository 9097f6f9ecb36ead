"""Were these words said? Fuzzy containment of expected words in what a recogniser wrote.

A recogniser that listens through a telephone writes "Bobys" for "Vobiz" and "325" for "three two
five". So words are compared after `words_of` (case, punctuation, number words), each with a
tolerance, and the longer a word is the more it counts: "this is billing" must not be found in
"this is sales" for the sake of its two short words.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache

#: From this score on, words count as heard. Measured with the lab's voice and Whisper tiny.en
#: through G.711: it is reached by all of 90 phrases out of 30 sentences that were said, by one of
#: 180 sentences that differ in one telling word, and by none of 120 others (at most 0.57).
HEARD = 0.8

#: Below this character similarity two words are different ("billing" and "sales"); above it they
#: count for that part ("Vobiz" and "Bobys": 0.4).
SIMILAR = 0.4

#: Two words stand for one only if they are that similar, written together.
SAME = 0.8

# A word that stands between two expected ones costs as much as one missed letter.
_GAP = 1.0

# A word of so many letters carries meaning: without it, what was said was something else
# ("connecting you to sales now" for "... billing now"), so that missing it costs its letters again.
_TELLING = 4

_UNIT_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen"
)
_TENS_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_DIGITS = {word: str(value) for value, word in enumerate(_UNIT_WORDS.split())}
_TENS = {word: str(10 * value) for value, word in enumerate(_TENS_WORDS.split(), start=2)}
_TOKEN = re.compile(r"[^\W\d_]+|\d")


def words_of(text: str) -> list[str]:
    """Split text into comparable words: lower case, no accents, numbers as single digits.

    "I'm at Twenty-five, +1 (555)" gives ``["im", "at", "2", "5", "1", "5", "5", "5"]``: a number
    that is spelled (below a hundred) and one in digits come out alike, however a recogniser
    groups them.
    """
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in decomposed if not unicodedata.combining(c) and c not in "'’")
    words: list[str] = []
    tens = ""
    for token in _TOKEN.findall(plain):
        unit = _DIGITS.get(token, "")
        if tens and len(unit) == 1 and unit != "0":
            words[-1] = unit  # "twenty five": the 5 takes the place of the 0 of 20
            tens = ""
            continue
        tens = _TENS.get(token, "")
        words.extend(tens or unit or [token])
    return words


def telling_words(text: str) -> list[str]:
    """The words of a text that carry meaning: hints for a recogniser, each once, in order."""
    return [word for word in dict.fromkeys(words_of(text)) if len(word) >= _TELLING]


def score(expected: str, heard: str) -> float:
    """How far the expected words, in their order, are found in what was heard: 0 to 1.

    The best alignment counts the letters of the expected words that were found, less those of the
    longer words that were not, less one for each foreign word in between, over all letters
    expected. Two words may stand for one ("call
    back" for "callback"). No expected words at all are found in anything that was heard (1.0).
    """
    wanted, said = words_of(expected), words_of(heard)
    if not wanted:
        return float(bool(said))
    # best[i][j]: the most letters found when the alignment ends before wanted[i] and said[j].
    best = [[0.0] * (len(said) + 1) for _ in range(len(wanted) + 1)]
    for i, j in ((i, j) for i in range(len(wanted) + 1) for j in range(len(said) + 1)):
        if i:
            missed = wanted[i - 1]  # this expected word was not heard
            best[i][j] = best[i - 1][j] - (len(missed) if len(missed) >= _TELLING else 0)
        if i and j:
            # What was heard before the first expected word costs nothing: row 0 stays at 0.
            best[i][j] = max(best[i][j], best[i][j - 1] - _GAP)
        for take, heard_words, least in ((1, 1, SIMILAR), (1, 2, SAME), (2, 1, SAME)):
            if i >= take and j >= heard_words:
                want = "".join(wanted[i - take : i])
                have = "".join(said[j - heard_words : j])
                found = len(want) * _alike(want, have)
                if found >= len(want) * least:
                    best[i][j] = max(best[i][j], best[i - take][j - heard_words] + found)
    letters = sum(map(len, wanted))
    # What follows the last expected word costs nothing either.
    return max(0.0, max(best[-1])) / letters


def were_heard(expected: str, heard: str) -> bool:
    """Whether the expected words are in what was heard: a `score` of `HEARD` or more."""
    return score(expected, heard) >= HEARD


@lru_cache(maxsize=4096)
def _alike(one: str, other: str) -> float:
    """Similarity of two words, 0 to 1. Digits are alike only if equal."""
    if one == other:
        return 1.0
    if one.isdigit() or other.isdigit():
        return 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
