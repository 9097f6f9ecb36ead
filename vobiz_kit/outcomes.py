"""How a call or a transfer ended, read from what LiveKit's API said.

Nothing else in the kit interprets a SIP status. The status comes first: LiveKit's own codes are
ambiguous ("resource_exhausted" is a busy phone, "permission_denied" may be a person who declined).
Its texts are looked at only where there is no status. All of them are measured with livekit-sip
1.8.0 and livekit-server 1.13.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from html import escape
from typing import Any, Self, TypeVar

from vobiz_kit.errors import NumberRefused
from vobiz_kit.meanings import MEANINGS, Meaning

# The final status of the phone that was rung, for a call and for a transfer's NOTIFY alike.
_TARGET = {
    486: "busy",
    600: "busy",
    408: "no_answer",
    480: "no_answer",
    603: "declined",
    607: "declined",
    608: "declined",
    404: "not_in_service",
    410: "not_in_service",
    484: "not_in_service",
    604: "not_in_service",
    401: "not_permitted",
    402: "not_permitted",
    403: "not_permitted",
    407: "not_permitted",
    415: "media_mismatch",
    488: "media_mismatch",
    606: "media_mismatch",
    487: "cancelled",
}
# The answer to the REFER itself: about the transfer as such, before anybody was rung. (After a 481
# the caller may well be there, and hear the agent (measured); who has left is known by leaving.)
_REFER = {404: "not_in_service", 481: "rejected", 491: "rejected", 603: "not_permitted"}

# Text of an error without a SIP status -> what it means (for a call, for a transfer).
_TEXTS = (
    ("max auth retry", "authentication", "authentication"),
    ("required auth, but no", "authentication", "authentication"),
    ("no auth header", "authentication", "authentication"),
    # The REFER may have reached the carrier all the same, and the carrier may act on it.
    ("transaction failed to complete", "unreachable", "undecided"),
    ("refer canceled", "unknown", "undecided"),
    ("fail to resolve target", "unreachable", "unreachable"),
    ("connection refused", "unreachable", "unreachable"),
    ("dial err", "unreachable", "unreachable"),
    ("common audio codec", "media_mismatch", "media_mismatch"),
    ("no audio in sdp", "media_mismatch", "media_mismatch"),
    ("invalid audio address", "media_mismatch", "media_mismatch"),
    ("call already closed", "caller_hung_up", "caller_hung_up"),
    ("sip trunk does not exist", "no_trunk", "no_trunk"),
    ("missing sip trunk", "no_trunk", "no_trunk"),
    ("participant does not exist", "caller_hung_up", "caller_hung_up"),
    ("no sip session", "not_answered_yet", "not_answered_yet"),
    ("non established call", "not_answered_yet", "not_answered_yet"),
    ("already being transferred", "transfer_in_progress", "transfer_in_progress"),
    ("no response from servers", "livekit_unavailable", "livekit_unavailable"),
    ("cpu exhausted", "livekit_unavailable", "livekit_unavailable"),
    ("could not connect after timeout", "livekit_unavailable", "livekit_unavailable"),
    ("cannot connect to host", "livekit_unavailable", "livekit_unavailable"),
    ("permissions denied", "livekit_refused", "livekit_refused"),
    ("invalid api key", "livekit_refused", "livekit_refused"),
    ("invalid token", "livekit_refused", "livekit_refused"),
    ("invalid authorization token", "livekit_refused", "livekit_refused"),
)


@dataclass(frozen=True)
class Outcome:
    """How a call ended, with the evidence.

    Attributes:
        name: The row of `MEANINGS`.
        who: Whom it was about: an alias, a number, or both.
        sip_status: The SIP status code that the carrier gave, or None.
        sip_reason: The carrier's reason phrase, or "".
        evidence: What LiveKit said, word for word.
        seconds: How long it took from the request to its result.
    """

    name: str
    who: str = ""
    sip_status: int | None = None
    sip_reason: str = ""
    evidence: str = ""
    seconds: float = 0.0

    @property
    def meaning(self) -> Meaning:
        """What it means."""
        return MEANINGS[self.name]

    @property
    def ok(self) -> bool:
        """Whether it is what was wanted."""
        return self.name == "completed"

    @property
    def happened(self) -> str:
        """What happened, in a sentence."""
        return self._say(self.meaning.happened)

    @property
    def told(self) -> str:
        """What the language model is told; "" if there is nothing to tell."""
        # Without the number behind an alias: nobody wants to hear it read out.
        return replace(self, who=self.who.partition(" (")[0])._say(self.meaning.told)

    @property
    def spoken(self) -> str:
        """What of `told` can be said to the caller as it stands: all before the brackets."""
        return self.told.partition(" (")[0]

    @property
    def advice(self) -> str:
        """What the operator should do."""
        return self._say(self.meaning.advice)

    @property
    def sip(self) -> str:
        """The SIP status as people say it: "486 Busy Here"; "" if there was none."""
        return "" if self.sip_status is None else f"{self.sip_status} {self.sip_reason}".strip()

    def took(self, seconds: float) -> Self:
        """The same outcome, and how long it took."""
        return replace(self, seconds=round(seconds, 3))

    def _say(self, text: str) -> str:
        said = text.format(who=self.who or "the other side")
        return said[:1].upper() + said[1:]

    def lines(self) -> list[tuple[str, str]]:
        """What there is to say, as pairs of heading and text."""
        rows = [("SIP status", self.sip), ("Evidence", self.evidence)]
        if not self.ok:
            rows.append(("Next", self.advice))
        return [(heading, text) for heading, text in rows if text]

    def __str__(self) -> str:
        rest = [f"  {heading}: {text}" for heading, text in self.lines()]
        return "\n".join([f"{'✓' if self.ok else '✗'} {self.happened}", *rest])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        sign = "✓" if self.ok else "✗"
        rest = "".join(f"<br>{escape(head)}: {escape(text)}" for head, text in self.lines())
        return f'<div><span aria-hidden="true">{sign}</span> {escape(self.happened)}{rest}</div>'

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; unknown keys are ignored, an unknown name is "unknown"."""
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        if known.get("name") not in MEANINGS:
            known["name"] = "unknown"
        return cls(**known)


@dataclass(frozen=True, repr=False)
class DialOutcome(Outcome):
    """Why a call was not answered."""


@dataclass(frozen=True, repr=False)
class TransferOutcome(Outcome):
    """How a transfer ended.

    ``outcome.ok`` is True only if caller and target are connected: by the carrier, which has
    confirmed it (cold), or at LiveKit (warm).
    """


AnyOutcome = TypeVar("AnyOutcome", bound=Outcome)


def dial_outcome(error: Exception, who: str, last_status: str = "") -> DialOutcome:
    """Why a call was not answered.

    Args:
        error: What ``create_sip_participant(wait_until_answered=True)`` raised.
        who: Whom the call was for.
        last_status: The callee's last ``sip.callStatus``. After a timeout it alone tells a phone
            that rang from a carrier that stayed silent.
    """
    status, reason = _sip(error)
    if status is not None:
        name = _by_status(status, reason)
    elif _timed_out(error):
        name = "no_answer" if last_status == "ringing" else "unreachable"
    else:
        name = _by_text(error, transfer=False)
    return DialOutcome(name, who, status, reason, _evidence(error))


def transfer_outcome(error: Exception, who: str) -> TransferOutcome:
    """Why a transfer did not happen, or that nobody knows yet.

    Args:
        error: What ``transfer_sip_participant`` raised.
        who: The transfer target.
    """
    status, reason = _sip(error)
    if status is not None:
        # The one thing that tells "the target refused" from "the carrier refused to transfer".
        if "call transfer failed" in _text(error):
            name = _by_status(status, reason)
        else:
            name = _REFER.get(status) or _by_refer_class(status)
    elif _timed_out(error):
        name = "undecided"
    else:
        name = _by_text(error, transfer=True)
    return TransferOutcome(name, who, status, reason, _evidence(error))


def outcome_of_leaving(reason: str, who: str, last_status: str = "") -> DialOutcome:
    """Why a call was not answered, as far as the phone's leaving tells.

    It is what is left when nobody heard LiveKit's answer to the request to dial.

    Args:
        reason: LiveKit's disconnect reason by name, e.g. "USER_UNAVAILABLE".
        who: Whom the call was for.
        last_status: The phone's last ``sip.callStatus``.
    """
    if reason == "USER_UNAVAILABLE":
        name = "no_answer" if last_status == "ringing" else "unreachable"
    else:
        name = {"USER_REJECTED": "rejected", "CLIENT_INITIATED": "carrier_unavailable"}.get(
            reason, "unknown"
        )
    return DialOutcome(name, who, evidence=f"LiveKit's reason for its leaving: {reason}")


def refused(error: NumberRefused, who: str, kind: type[AnyOutcome]) -> AnyOutcome:
    """The outcome of a call or a transfer that the policy did not let out.

    Args:
        error: What `vobiz_kit.policy.check_destination` raised.
        who: What was asked for.
        kind: `DialOutcome` or `TransferOutcome`.
    """
    evidence = f"{error.what} ({error.evidence})" if error.evidence else error.what
    return kind("refused_by_policy", who, evidence=evidence)


def _sip(error: Exception) -> tuple[int | None, str]:
    return getattr(error, "sip_status_code", None), getattr(error, "sip_status", None) or ""


def _by_status(status: int, reason: str) -> str:
    if 500 <= status < 600:
        limit = any(word in reason.lower() for word in ("limit", "concurrent", "cps"))
        return "too_many_calls" if limit else "carrier_unavailable"
    return _TARGET.get(status) or ("declined" if status >= 600 else "rejected")


def _by_refer_class(status: int) -> str:
    # 501: the carrier does not know REFER. Any other 5xx is trouble that may pass.
    return "carrier_unavailable" if 500 <= status < 600 and status != 501 else "not_permitted"


def _by_text(error: Exception, *, transfer: bool) -> str:
    text = _text(error)
    for fragment, for_call, for_transfer in _TEXTS:
        if fragment in text:
            return for_transfer if transfer else for_call
    code = getattr(error, "code", "")
    if transfer and code == "canceled":  # a deadline of the servers: what has been sent may act
        return "undecided"
    return "livekit_refused" if code == "unauthenticated" else "unknown"


def _timed_out(error: Exception) -> bool:
    if isinstance(error, TimeoutError) or "timed out" in _text(error):
        return True
    return getattr(error, "code", "") == "deadline_exceeded"


def _text(error: Exception) -> str:
    return str(getattr(error, "message", "") or error).lower()


def _evidence(error: Exception) -> str:
    text = str(getattr(error, "message", "") or error).removeprefix("twirp error unknown: ")
    return text or f"LiveKit's API did not answer in time ({type(error).__name__})"
