"""Pictures of who talks to whom, for the notebooks: ``vk.picture("inbound")``.

Each is plain data: chains of boxes with arrows between neighbours, a conclusion in words, and
numbered steps. ``picture_svg`` draws them; in a terminal they print as text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Any, Literal

from vobiz_kit import theme
from vobiz_kit.errors import VobizKitError

Way = Literal["right", "left", "both"]


@dataclass(frozen=True, slots=True)
class Box:
    """A party: its name, a note of a few words, and on whose side it stands."""

    name: str
    note: str = ""
    side: Literal["", "at the carrier", "at LiveKit", "your code"] = ""
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """What passes between two neighbours; `step` is its number in the explanation, 0 for none."""

    label: str
    way: Way = "both"
    step: int = 0


@dataclass(frozen=True, slots=True)
class Chain:
    """Boxes from left to right; ``arrows[i]`` are those between box i and box i + 1."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[Arrow, ...], ...]
    caption: str = ""


@dataclass(frozen=True)
class Picture:
    """A diagram that shows itself in a notebook and prints as text.

    Attributes:
        title: What it is about.
        conclusion: What one should see in it, in a sentence; its text alternative.
        chains: The drawing.
        steps: The numbered steps, in order.
    """

    title: str
    conclusion: str
    chains: tuple[Chain, ...]
    steps: tuple[str, ...] = ()

    def svg(self, *, narrow: bool = False) -> str:
        """The picture as one SVG image.

        Args:
            narrow: Boxes below each other, for a width of about 360 pixels.
        """
        from vobiz_kit.picture_svg import picture_svg

        return picture_svg(self, narrow=narrow)

    def html(self) -> str:
        """The picture for a page of any width, with its steps as a list."""
        steps = "".join(f"<li>{escape(step)}</li>" for step in self.steps)
        return (
            f'<figure class="vk vk-picture"><style>{theme.css()}{theme.stylesheet("picture")}'
            f'</style><div class="vk-wide">{self.svg()}</div>'
            f'<div class="vk-narrow">{self.svg(narrow=True)}</div>'
            f"<figcaption>{escape(self.conclusion)}"
            f"{f'<ol>{steps}</ol>' if steps else ''}</figcaption></figure>"
        )

    def __str__(self) -> str:
        lines = [self.title]
        for chain in self.chains:
            lines += [""] + [chain.caption] * bool(chain.caption) + _text_chain(chain)
        lines += ["", self.conclusion]
        lines += [f"  {number}. {step}" for number, step in enumerate(self.steps, 1)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Picture: {self.title}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}


_SIGNS: dict[Way, str] = {"right": "──{}──>", "left": "<──{}──", "both": "<──{}──>"}


def _text_chain(chain: Chain) -> list[str]:
    lines = [f"  {_text_box(chain.boxes[0])}"]
    for box, arrows in zip(chain.boxes[1:], chain.arrows, strict=True):
        for arrow in arrows:
            label = f" {arrow.step}. {arrow.label} " if arrow.step else f" {arrow.label} "
            lines.append(f"      {_SIGNS[arrow.way].format(label)}")
        lines.append(f"  {_text_box(box)}")
    return lines


def _text_box(box: Box) -> str:
    about = ", ".join(part for part in (box.side, box.note.replace("\n", " ")) if part)
    return f"[{box.name}]" + (f" ({about})" if about else "")


_PHONE = Box("caller", "a person with a phone")
_CARRIER = Box("carrier", "Vobiz, or the lab's stand-in", "at the carrier")
_LIVEKIT = Box("LiveKit", "livekit-sip and one room per call", "at LiveKit")
_AGENT = Box("agent", "Python, in this notebook", "your code")
_CARRIER_ALONE = replace(_CARRIER, note="")
_LIVEKIT_ALONE = replace(_LIVEKIT, note="")
_AGENT_ALONE = replace(_AGENT, note="")


def _one(label: str, way: Way = "both", step: int = 0) -> tuple[Arrow, ...]:
    return (Arrow(label, way, step),)


PICTURES: dict[str, Picture] = {
    "overview": Picture(
        title="Who talks to whom",
        conclusion="A call reaches your agent through the carrier and LiveKit. "
        "The agent listens, thinks and speaks with the help of Deepgram and OpenAI.",
        chains=(
            Chain(
                (
                    Box("people", "with phones"),
                    _CARRIER,
                    _LIVEKIT,
                    _AGENT,
                    Box("AI services", "Deepgram, OpenAI, or the lab's own"),
                ),
                (_one("calls"), _one("SIP trunk"), _one("room"), _one("words")),
            ),
        ),
    ),
    "trunk": Picture(
        title="A trunk has two sides",
        conclusion="A trunk is written down twice, at the carrier and at LiveKit. "
        "Both halves must agree on the number, the address and the password.",
        chains=(
            Chain(
                (
                    Box("your number", "points to LiveKit's SIP address", "at the carrier"),
                    Box("inbound trunk", "takes calls to this number", "at LiveKit"),
                    Box("dispatch rule", "makes a room, names the agent", "at LiveKit"),
                    Box("agent", "registered under that name", "your code"),
                ),
                (_one("INVITE", "right", 1), _one("match", "right", 2), _one("job", "right", 3)),
                "A call to your number",
            ),
            Chain(
                (
                    Box("agent", "wants to call somebody", "your code"),
                    Box("outbound trunk", "carrier's address, user, password", "at LiveKit"),
                    Box("credentials", "is the password right?", "at the carrier"),
                    Box("phone", "sees your number"),
                ),
                (_one("dial", "right", 4), _one("INVITE", "right", 5), _one("ring", "right", 6)),
                "A call from your agent",
            ),
        ),
        steps=(
            "The carrier sends the call to the address that your number points to.",
            "LiveKit looks for an inbound trunk with that number, then for a rule of that trunk.",
            "The rule makes a room for the call and sends a job to the agent that it names.",
            "The agent asks LiveKit to dial over the outbound trunk.",
            "The carrier asks for the password before it takes the call.",
            "The phone rings and shows the trunk's number.",
        ),
    ),
    "inbound": Picture(
        title="Somebody calls your agent",
        conclusion="The call is answered only when the agent is ready to speak. "
        "Until then the caller hears ringing.",
        chains=(
            Chain(
                (_PHONE, _CARRIER, _LIVEKIT, _AGENT),
                (
                    _one("dials", "right", 1),
                    (Arrow("INVITE", "right", 2), Arrow("200 OK", "left", 5)),
                    (Arrow("job", "right", 3), Arrow("ready", "left", 4)),
                ),
            ),
        ),
        steps=(
            "The caller dials your number.",
            "The carrier sends an INVITE to LiveKit. LiveKit answers 180 Ringing.",
            "LiveKit makes a room and sends a job to your agent.",
            "The agent joins the room and is ready to speak.",
            "Now LiveKit answers the call with 200 OK, and the two talk.",
        ),
    ),
    "outbound": Picture(
        title="Your agent calls somebody",
        conclusion="You dispatch the agent with a number; the agent lets LiveKit dial it. "
        "The agent is ready before the phone rings, so no word is lost.",
        chains=(
            Chain(
                (
                    Box("you", "a cell or a button", "your code"),
                    _AGENT,
                    Box("LiveKit", "livekit-sip and one room per call", "at LiveKit"),
                    _CARRIER,
                    Box("phone", "the person called"),
                ),
                (
                    _one("dispatch", "right", 1),
                    _one("dial", "right", 2),
                    (Arrow("INVITE", "right", 3), Arrow("200 OK", "left", 5)),
                    (Arrow("ring", "right", 4), Arrow("answer", "left", 5)),
                ),
            ),
        ),
        steps=(
            "You dispatch the agent with metadata: the phone_number to call.",
            "The agent joins its room, starts its session, and asks LiveKit to dial.",
            "LiveKit sends an INVITE over the outbound trunk, with proof of the password.",
            "The carrier rings the phone.",
            "The person answers, 200 OK comes back, and the agent speaks.",
        ),
    ),
    "cold-transfer": Picture(
        title="A cold transfer",
        conclusion="The agent only asks; the carrier rings billing and connects the caller. "
        "The agent's job is over while the two still talk.",
        chains=(
            Chain(
                (_PHONE, _CARRIER_ALONE, _LIVEKIT_ALONE, _AGENT_ALONE),
                (_one("audio"), _one("audio"), _one("audio", step=1)),
                "Before: the caller talks to the agent",
            ),
            Chain(
                (
                    Box("billing", "another person with a phone"),
                    _CARRIER_ALONE,
                    _LIVEKIT_ALONE,
                    _AGENT_ALONE,
                ),
                (
                    (Arrow("INVITE", "left", 4), Arrow("200 OK", "right", 5)),
                    (Arrow("REFER", "left", 3), Arrow("NOTIFY", "right", 6)),
                    _one("transfer", "left", 2),
                ),
                "The transfer: one REFER",
            ),
            Chain(
                (
                    _PHONE,
                    _CARRIER_ALONE,
                    Box("billing"),
                    Box("agent", "job over", "your code", gone=True),
                ),
                (_one("audio"), _one("audio", step=7), ()),
                "After: the caller talks to billing",
            ),
        ),
        steps=(
            "The caller asks for billing.",
            "The agent asks LiveKit to transfer the call.",
            "LiveKit sends a REFER to the carrier. Refer-To names billing's number.",
            "The carrier, not the agent, rings billing.",
            "Billing answers.",
            "The carrier reports how it goes with NOTIFY: 100 Trying, 180 Ringing, 200 OK.",
            "The carrier connects the caller with billing. LiveKit's leg and the agent's job end.",
        ),
    ),
}


def picture(name: str) -> Picture:
    """A diagram of who talks to whom.

    Args:
        name: "overview", "trunk", "inbound", "outbound" or "cold-transfer".

    Raises:
        VobizKitError: there is no picture of that name.
    """
    key = name.strip().lower().replace("_", "-").replace(" ", "-")
    if key not in PICTURES:
        raise VobizKitError(
            f"There is no picture called {name!r}.", fix=f"Use one of {', '.join(PICTURES)}."
        )
    return PICTURES[key]
