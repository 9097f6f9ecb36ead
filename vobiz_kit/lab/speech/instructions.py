"""What a system prompt gives a keyword matcher: facts it may say, who it is, what to say now."""

from __future__ import annotations

import re
from dataclasses import dataclass

from vobiz_kit.lab.speech.words import content_stems, sentences_of, stem, word_set, words_of

# A sentence that begins like this tells the model what to do: it is not for the caller's ears.
_DIRECTIVES = word_set(
    "you your always never do don't if when whenever after before once unless be keep speak say"
    " tell greet ask answer reply respond help offer use call transfer connect avoid make please"
    " let give take remember ensure start begin end introduce act behave stay try provide confirm"
    " thank apologize apologise wish explain repeat only"
)
_QUOTED = re.compile(r"[\"“”]([^\"“”]{2,})[\"“”]|(?<!\w)['‘]([^'’]{4,}|.{4,}?)['’](?!\w)")
_PERSON = r"(?:the )?(?:caller|user|customer|callee|person|visitor|them|him|her|everyone)"

# What a question asks about without using the word that the answer uses.
_RELATED = {
    "hour": ("open", "clos"),
    "time": ("open",),
    "schedul": ("open", "hour"),
    "locat": ("street", "address", "avenu", "road"),
    "address": ("street", "locat", "avenu", "road"),
    "find": ("street", "address", "locat"),
    "cost": ("price", "pric", "fee", "dollar", "euro", "free"),
    "pric": ("cost", "fee", "dollar", "euro", "free"),
    "buy": ("sel", "offer"),
    "offer": ("sel",),
    "shop": ("store",),
    "store": ("shop",),
    "clos": ("open",),
    "deliver": ("ship",),
}
_QUESTION_WORDS = {
    "where": ("street", "address", "locat", "avenu", "road"),
    "when": ("open", "clos", "hour"),
}


@dataclass(frozen=True)
class Persona:
    """Who speaks, from "You are Kelly, the receptionist of Acme Tools."

    Attributes:
        name: "Kelly", or "".
        role: "receptionist", or "".
        company: "Acme Tools", or "".
    """

    name: str = ""
    role: str = ""
    company: str = ""

    @property
    def introduction(self) -> str:
        """Who is speaking, in a sentence."""
        who = self.name or f"the {self.role or 'automatic assistant'}"
        return f"This is {who}{f' of {self.company}' if self.company else ''}."

    @property
    def greeting(self) -> str:
        """The first words on the phone."""
        if self.company:
            return f"Hello, thanks for calling {self.company}. How can I help you?"
        if self.name:
            return f"Hello, this is {self.name}. How can I help you?"
        return self.again

    @property
    def again(self) -> str:
        """A greeting that says nothing of who speaks."""
        return "Hello, how can I help you?"


def persona(instructions: str) -> Persona:
    """Read who the model is to be; what is not said stays empty."""
    found = re.search(r"\b[Yy]ou(?:'re| are) (?!to |not )([^.!?\n]+)", instructions)
    if not found:
        return Persona()
    text = found.group(1)
    name_word = r"[A-Z0-9][\w&'’-]*(?: (?=[A-Z&0-9]))?"
    company = re.search(
        rf"\b(?:of|for|at|from|called|named) (?:the company )?((?:{name_word})+)", text
    )
    name = re.match(r"((?:[A-Z][\w'’-]+ ?){1,2})(?:,|\b(?=the |an? |from |of |at )|$)", text)
    role = re.search(r"\b(?:the|an?) (?:[\w-]+ )*?(receptionist|assistant|agent|operator)", text)
    return Persona(
        name.group(1).strip() if name else "",
        role.group(1) if role else "",
        company.group(1).strip() if company else "",
    )


def facts(instructions: str) -> list[str]:
    """The sentences of the instructions that may be said to a caller as they stand.

    Of "If they ask for the hours, say that we open at nine." it is "We open at nine."
    """
    found = []
    for sentence in sentences_of(instructions):
        first = words_of(sentence)[:1]
        if first and first[0] not in _DIRECTIVES and not sentence.endswith(":"):
            found.append(sentence)
        elif told := re.search(
            rf"\b(?:say|answer|reply|tell {_PERSON})(?: that)?[:,]? (?!hello\b)(.+)", sentence
        ):
            found.append(spoken(told.group(1)))
    return found


def answer(question: str, instructions: str) -> str | None:
    """The sentence of the instructions that answers a question best, by the words they share.

    Args:
        question: What the caller said.
        instructions: The system prompt.

    Returns:
        The sentence as it stands, or None if less than half of the question's words are found.
    """
    asked = content_stems(question)
    extra = [r for w in words_of(question) for r in _QUESTION_WORDS.get(w, ())]
    if not asked and not extra:
        return None
    best, best_score = None, 0.0
    for sentence in facts(instructions):
        has = {stem(word) for word in words_of(sentence)}
        shared = sum(1.0 for word in asked if word in has)
        shared += sum(0.8 for w in asked if w not in has and has & {*_RELATED.get(w, ())})
        if asked and not shared:
            continue
        score = shared / max(1, len(asked)) + (0.3 if has & {*extra} else 0.0)
        if not asked and has & {*extra}:
            score = 0.5  # "Where are you?" has no word of its own
        if score > best_score and score >= 0.5:
            best, best_score = sentence, score
    return best


def quoted(text: str) -> str | None:
    """The sentence in quotation marks that an instruction gives, or None."""
    found = _QUOTED.search(text)
    return (found.group(1) or found.group(2)).strip() if found else None


def is_greeting(instruction: str) -> bool:
    """Whether an instruction for this turn asks for a greeting or a self-introduction."""
    return bool(re.search(r"\b(?:greet|welcome|introduce|say (?:hello|hi))", instruction.lower()))


def turn_sentence(instruction: str) -> str | None:
    """What an instruction for this turn wants said, in words for the caller; None if unclear.

    "Tell the caller that billing is busy" is "Billing is busy."; "Ask for their order number" is
    "Could you tell me your order number?".
    """
    if words := quoted(instruction):
        return words
    if re.search(r"\b(?:say (?:goodbye|bye|farewell)|end the call|wish)\b", instruction.lower()):
        return "Thank you for calling. Goodbye!"
    if found := re.search(
        rf"\bask(?: {_PERSON})? (for|who|whom|what|which|when|where|how|if|whether) (.+)",
        instruction,
        re.IGNORECASE,
    ):
        lead, rest = found.group(1).lower(), to_caller(found.group(2)).rstrip(".!? ")
        return f"Could you tell me {'' if lead == 'for' else lead + ' '}{rest}?"
    if found := re.search(
        rf"\b(?:tell|inform|let) (?:{_PERSON})(?: know)?(?: that)? (.+)"
        r"|\b(?:say|explain|announce|mention)(?: that)? (.+)",
        instruction,
        re.IGNORECASE | re.DOTALL,
    ):
        return spoken(to_caller(found.group(1) or found.group(2)))
    if found := re.search(r"\bapologi[sz]e\b(?: to \S+)?( (?:for|that) .+)?", instruction, re.I):
        return spoken(f"I am sorry{to_caller(found.group(1) or '')}")
    if re.search(r"\b(?:offer|help|assist)", instruction.lower()):
        return "How can I help you?"
    return None


def to_caller(text: str) -> str:
    """A clause about the caller ("they", "the caller") turned to the caller ("you")."""
    turns = {
        r"\byou are\b": "I am",
        r"\byou're\b": "I am",
        r"\byou (?=will|can|have|did|could|would)": "I ",
        r"\byour\b": "my",
        r"\bthey are\b": "you\0 are",
        rf"\bthey\b|(?<!-)\b{_PERSON}\b(?!['’])": "you\0",
        r"\btheir\b": "your\0",
    }
    for pattern, said in turns.items():
        text = re.sub(pattern, said, text, flags=re.IGNORECASE)
    return text.replace("\0", "").replace(" and that ", " and ")


def spoken(text: str) -> str:
    """A clause as a sentence: a capital at its begin and a full stop at its end."""
    text = " ".join(text.split()).strip("\"'“” ")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
