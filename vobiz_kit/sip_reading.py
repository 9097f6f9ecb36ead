"""What each SIP message of a trace means, in the light of those before it.

`Reader` is fed the messages in order and says of each one, in a sentence for a learner, what it
asks, answers or reports: a 401 after a password is something else than the first 401.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from vobiz_kit.sip_words import clip, status_words, uri_user
from vobiz_kit.wire import WireMessage

CARRIER = "carrier"
LIVEKIT = "livekit-sip"
WRONG_PASSWORD = "username or password is wrong"  # noqa: S105 - words, no password

# RFC 3261 section 7.3.3 and RFC 3515: the one-letter forms of headers that are read here.
_COMPACT = {
    "to": "t", "from": "f", "via": "v", "content-type": "c", "refer-to": "r", "event": "o",
}  # fmt: skip


def header(message: WireMessage, name: str) -> str:
    """A header's first value, written in its long or its one-letter form; "" if there is none."""
    short = _COMPACT.get(name.lower())
    return message.header(name) or (message.header(short) if short else "")


def is_refer_notify(message: WireMessage) -> bool:
    """Whether this is a NOTIFY that reports on a REFER (RFC 3515), or the answer to one."""
    if message.method != "NOTIFY":
        return False
    event = header(message, "Event").partition(";")[0].strip().lower()
    return message.status is not None or event in ("refer", "")


def sipfrag_status(message: WireMessage) -> tuple[int, str] | None:
    """The status and reason that a NOTIFY's body reports: ``SIP/2.0 486 Busy Here`` (RFC 3420)."""
    first = message.body.lstrip().split("\n", 1)[0].strip()
    version, _, rest = first.partition(" ")
    code, _, reason = rest.partition(" ")
    if not version.upper().startswith("SIP/") or not (code.isascii() and code.isdigit()):
        return None
    return (int(code), reason.strip()) if 100 <= int(code[:4]) <= 699 else None


def codecs(message: WireMessage) -> tuple[str, ...]:
    """The names of the audio codecs in a message's SDP, in its order of preference.

    RFC 4733's telephone-event is named "DTMF". Empty if there is no SDP, or none that can be read.
    """
    if "application/sdp" not in header(message, "Content-Type").lower():
        return ()
    from aiosipua import parse_sdp  # 0.1 s, and only pictures of calls need it

    try:
        audio = parse_sdp(message.body[:20_000]).audio
    except ValueError:
        return ("unreadable SDP",)
    if audio is None:
        return ()
    names = (codec.encoding_name or f"type {codec.payload_type}" for codec in audio.codecs)
    plain = ("DTMF" if name.lower() == "telephone-event" else clip(name, 20) for name in names)
    return tuple(dict.fromkeys(plain))[:12]


@dataclass
class _Invite:
    """What is known of one INVITE transaction: its final status, and whether it carried proof."""

    proof: bool
    again: bool
    final: int = 0


class Reader:
    """Reads messages one after the other.

    Args:
        names: What to call the parties: an alias or a role for each party of the trace.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names
        self._invites: dict[tuple[str, str], _Invite] = {}
        self._up: set[str] = set()
        self._target: dict[str, str] = {}

    def words(self, message: WireMessage) -> str:
        """What this message means; call it once for each, in the order of the trace."""
        if message.status is None:
            return self._request(message)
        return self._response(message, message.status)

    def _called(self, number: str) -> str:
        name = self._names.get(number, number)
        # An alias says more than the number; "the caller" says less.
        return number if name == number or name.startswith("the ") else f"{name} ({number})"

    def _who(self, message: WireMessage) -> str:
        """Who sent it."""
        if message.direction == "sent":
            return "the carrier"
        return self._names.get(message.party, clip(message.party, 40))

    def _key(self, message: WireMessage) -> tuple[str, str]:
        return (message.call_id, message.header("CSeq").partition(" ")[0])

    def _request(self, message: WireMessage) -> str:
        match message.method:
            case "INVITE":
                return self._invite(message)
            case "ACK":
                return self._ack(message)
            case "BYE":
                return f"{self._who(message)} hangs up"
            case "CANCEL":
                return f"{self._who(message)} gives up before there is an answer"
            case "REFER":
                target = uri_user(header(message, "Refer-To"))
                self._target[message.call_id] = self._names.get(target, target)
                other = "the carrier" if message.direction == "received" else "the other side"
                return f"asks {other} to call {self._called(target)} and connect the caller"
            case "NOTIFY":
                return self._notify(message)
            case "INFO":
                return "a note within the call (often a pressed key)"
            case "MESSAGE":
                return "a text message"
            case "PRACK":
                return "confirms the ringing"
            case "UPDATE":
                return "changes the call before or after the answer"
            case "SUBSCRIBE":
                return f"wants to be told about: {clip(header(message, 'Event'), 40)}"
        return "a request of a kind that this kit has no words for"

    def _invite(self, message: WireMessage) -> str:
        proof = bool(message.header("Authorization") or message.header("Proxy-Authorization"))
        again = message.call_id in self._up
        self._invites[self._key(message)] = _Invite(proof, again)
        number = uri_user(message.start_line.partition(" ")[2])
        if again:
            return _new_media(message)
        if proof:
            return "the same call again, now with proof of the password"
        if message.direction == "received":
            asks = "asks the carrier to call" if message.party == LIVEKIT else "calls"
            return f"{asks} {self._called(number)}"
        if message.party == LIVEKIT:
            return f"hands LiveKit a call for {number}"
        return f"rings {self._called(number)}"

    def _ack(self, message: WireMessage) -> str:
        invite = self._invites.get(self._key(message))
        if invite is None or invite.final < 300:
            return "got the answer"
        return f"got the {invite.final}"

    def _notify(self, message: WireMessage) -> str:
        if not is_refer_notify(message):
            return f"news about: {clip(header(message, 'Event'), 40)}"
        report = sipfrag_status(message)
        if report is None:
            return "a report on the transfer that cannot be read"
        status = report[0]
        who = self._target.get(message.call_id, "the target")
        if status < 200:
            ringing = f"{who} is ringing" if status in (180, 183) else status_words(status)
            return f"report on the transfer: {ringing}"
        if status < 300:
            return f"final report: the transfer succeeded, {who} answered"
        return f"final report: the transfer failed, {who}: {status_words(status)}"

    def _response(self, message: WireMessage, status: int) -> str:
        match message.method:
            case "INVITE":
                return self._invite_answer(message, status)
            case "REFER" if status < 300:
                return "agrees to try; NOTIFY messages will tell how it goes"
            case "REFER":
                return f"refuses to transfer at all: {status_words(status)}"
            case "NOTIFY" if status < 300:
                return "got the report"
            case "BYE" if status < 300:
                return "this leg of the call is over"
            case "CANCEL" if status < 300:
                return "will stop ringing"
        return status_words(status)

    def _invite_answer(self, message: WireMessage, status: int) -> str:
        invite = self._invites.setdefault(self._key(message), _Invite(False, False))
        from_livekit = message.party == LIVEKIT and message.direction == "received"
        if status >= 200:
            invite.final = invite.final or status
        if status in (401, 407):
            if invite.proof:
                return WRONG_PASSWORD
            return "asks who is calling; normal, the next INVITE brings the proof"
        if 200 <= status < 300:
            self._up.add(message.call_id)
            if invite.again:
                return "agrees to the change"
            if from_livekit:
                return "answered: the agent is ready to speak"
            return "answered" if message.direction == "sent" else f"{self._who(message)} answers"
        if status == 180 and from_livekit:
            return "ringing: LiveKit waits until an agent is ready to speak"
        return status_words(status)


def _new_media(message: WireMessage) -> str:
    body = message.body
    if "a=sendonly" in body or "a=inactive" in body:
        return "puts the call on hold"
    return "changes the running call (its audio, or its session timer)"
