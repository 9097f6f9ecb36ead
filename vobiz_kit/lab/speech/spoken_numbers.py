"""Telephone numbers as people say them: "plus one, five five five, double oh one" and digits."""

from __future__ import annotations

import re

_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DIGITS = {name: str(value) for value, name in enumerate(_NAMES)} | {"nought": "0", "niner": "9"}
_LETTER_O = ("oh", "o")  # a zero when a digit follows
# What a recogniser writes for a digit; believed only after two digits and before another one, so
# that "nine to five" stays what it is.
_SOUNDS_LIKE = {"for": "4", "to": "2", "too": "2", "won": "1", "ate": "8", "tree": "3"}
_REPEATS = {"double": 2, "triple": 3, "treble": 3}
_TOKEN = re.compile(r"\+|\d+|[a-z]+", re.IGNORECASE)
_WRITTEN = re.compile(r"(?:\+\s?)?\(?\d(?:[\s().-]{0,2}\d){6,14}")

#: Fewer digits than that are no telephone number but a time, a price, an age.
SHORTEST = 7


def phone_numbers(text: str) -> list[str]:
    """The telephone numbers in an utterance, spelled, in digits, or mixed.

    One that begins with "plus", or that has 11 to 15 digits, is in E.164 (ITU-T E.164: at most 15
    digits); a shorter one lacks its country code and is returned as it was said, digits alone.
    """
    numbers = []
    for digits, plus, _, _ in _runs(text):
        if SHORTEST <= len(digits) <= 15:
            numbers.append(f"+{digits}" if plus or len(digits) >= 11 else digits)
    return numbers


def digits_written(text: str) -> str:
    """The text with runs of two and more spelled digits in figures: "room 4 1 5" is "room 415"."""
    parts, done = [], 0
    for digits, plus, start, end in _runs(text):
        if len(digits) >= 2 and not text[start:end].strip("+ ").isdigit():
            parts += [text[done:start], f"+{digits}" if plus else digits]
            done = end
    return "".join([*parts, text[done:]])


def digits_spelled(text: str) -> str:
    """The text with telephone numbers in words, digit by digit, as a voice should say them."""

    def spell(match: re.Match[str]) -> str:
        said = [_NAMES[int(d)] for d in match.group() if d.isdigit()]
        return " ".join(["plus", *said] if match.group().startswith("+") else said)

    return _WRITTEN.sub(spell, text)


def _runs(text: str) -> list[tuple[str, bool, int, int]]:
    """Runs of digits: the digits, whether a plus is before them, and where they stand."""
    tokens = list(_TOKEN.finditer(text))
    runs: list[tuple[str, bool, int, int]] = []
    index = 0
    while index < len(tokens):
        begin = index
        plus = tokens[index].group().lower() in ("+", "plus")
        index += plus
        digits, index = _take(tokens, index, text)
        if digits:
            runs.append((digits, plus, tokens[begin].start(), tokens[index - 1].end()))
        else:
            index = begin + 1
    return runs


def _take(tokens: list[re.Match[str]], index: int, text: str) -> tuple[str, int]:
    digits = ""
    while index < len(tokens):
        word = tokens[index].group().lower()
        between = text[tokens[index - 1].end() : tokens[index].start()] if digits else ""
        if set(between) & set(".!?;:") - ({"."} if between == "." else set()):
            break  # the next sentence; a dot alone separates groups ("555.0123")
        following = tokens[index + 1].group().lower() if index + 1 < len(tokens) else ""
        if word.isdigit():
            digits += word
        elif word in _DIGITS:
            digits += _DIGITS[word]
        elif word in _REPEATS and _digit(following):
            digits += _digit(following) * _REPEATS[word]
            index += 1
        elif word in _LETTER_O and (_digit(following) or len(digits) >= 2):
            digits += "0"
        elif len(digits) >= 2 and word in _SOUNDS_LIKE and _digit(following):
            digits += _SOUNDS_LIKE[word]
        else:
            break
        index += 1
    return digits, index


def _digit(word: str) -> str:
    return _DIGITS.get(word, word if len(word) == 1 and word.isdigit() else "")
