"""Offers and answers of G.711 and telephone events (RFC 3264, RFC 4733), on aiosipua's SDP."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from aiosipua import SdpMessage, SdpNegotiationError, build_sdp, negotiate_sdp

from vobiz_kit.lab.sip.transport import Address

PCMU, PCMA = 0, 8
EVENTS = 101
SAMPLE_RATE = 8000
CODEC_NAMES = {PCMU: "PCMU", PCMA: "PCMA"}


class NoCommonCodec(ValueError):  # noqa: N818 - named as the field names it
    """The other side's SDP has no audio that G.711 can serve."""


@dataclass(frozen=True)
class Agreed:
    """What an exchange of session descriptions settled for one audio stream.

    Attributes:
        remote: Where the other side wants its packets.
        payload_type: 0 (PCMU) or 8 (PCMA).
        events_type: The payload type of telephone events that it takes, None if it takes none.
        wanted: Whether it wants audio at all; on hold it does not.
    """

    remote: Address
    payload_type: int
    events_type: int | None
    wanted: bool


def make_offer(local: Address, session: str, payload_types: tuple[int, ...]) -> SdpMessage:
    """An offer of those payload types, the preferred first, and telephone events."""
    first, *others = payload_types
    sdp = build_sdp(
        local[0],
        local[1],
        first,
        CODEC_NAMES[first],
        dtmf_payload_type=EVENTS,
        session_id=session,
    )
    audio = sdp.media[0]
    for number in others:
        audio.formats.insert(-1, str(number))
        audio.attributes["rtpmap"].insert(-1, f"{number} {CODEC_NAMES[number]}/{SAMPLE_RATE}")
    return sdp


def make_answer(
    offer: SdpMessage | None, local: Address, session: str
) -> tuple[SdpMessage, Agreed]:
    """The answer to an offer, and what was agreed.

    Raises:
        NoCommonCodec: no audio, no G.711, or no address to send to.
    """
    if offer is None or offer.audio is None:
        raise NoCommonCodec("the INVITE has no SDP with audio")
    if offer.audio.proto not in ("RTP/AVP", "RTP/AVPF"):
        raise NoCommonCodec(f"{offer.audio.proto} is not spoken here, RTP/AVP is")
    try:
        answer, number = negotiate_sdp(
            offer,
            local[0],
            local[1],
            supported_codecs=[PCMU, PCMA],
            dtmf_payload_type=_events_type(offer) or 0,
            session_id=session,
        )
    except SdpNegotiationError as error:
        raise NoCommonCodec(str(error)) from error
    return answer, _agreed(offer, number)


def read_answer(answer: SdpMessage | None) -> Agreed:
    """What the other side's answer to our offer settles.

    Raises:
        NoCommonCodec: no audio, no G.711, or no address to send to.
    """
    if answer is None or answer.audio is None:
        raise NoCommonCodec("the answer has no audio")
    for codec in answer.audio.codecs:
        if codec.payload_type in CODEC_NAMES:
            return _agreed(answer, codec.payload_type)
    raise NoCommonCodec("the answer has no PCMU or PCMA")


def _agreed(theirs: SdpMessage, payload_type: int) -> Agreed:
    remote, audio = theirs.rtp_address, theirs.audio
    if remote is None or not 0 < remote[1] < 65536 or not _is_ipv4(remote[0]):
        raise NoCommonCodec(f"no address to send audio to: {remote}")
    listening = audio is None or audio.direction in ("sendrecv", "recvonly")
    # 0.0.0.0 is how hold was said before RFC 3264.
    wanted = listening and remote[0] != "0.0.0.0"
    return Agreed(remote, payload_type, _events_type(theirs), wanted)


def _events_type(sdp: SdpMessage) -> int | None:
    audio = sdp.audio
    for codec in audio.codecs if audio else []:
        if codec.encoding_name.lower() == "telephone-event" and codec.clock_rate == SAMPLE_RATE:
            return codec.payload_type
    return None


def _is_ipv4(host: str) -> bool:
    """Whether it is a literal address: a name in SDP would make the loop wait for DNS."""
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
