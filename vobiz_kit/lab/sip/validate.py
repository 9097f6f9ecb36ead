"""What is wrong with a request before anybody acts on it (RFC 3261 sections 8.1.1, 8.2, 18.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiosipua import SipRequest, parse_cseq
from aiosipua.message import missing_required_headers

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
}
"""Reason phrases. One is always sent: livekit-sip cannot read a status line without."""

_ONCE = ("from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type")
_SCHEMES = ("sip", "sips", "tel")


def reason_phrase(status: int) -> str:
    """The usual words for a status."""
    return REASONS.get(status, "Unknown")


@dataclass(frozen=True)
class Problem:
    """Why a request is refused: the status, its phrase, and headers that explain it."""

    status: int
    reason: str
    headers: dict[str, str] = field(default_factory=dict)


def problem_with(request: SipRequest) -> Problem | None:
    """The first thing that is wrong with a request, None if it may be acted on."""
    missing = missing_required_headers(request)
    if missing:
        return Problem(400, f"Missing {', '.join(missing)}")
    for name in _ONCE:
        if len(request.headers.get(name)) > 1:
            return Problem(400, f"More than one {name}")
    problem = _identity_problem(request) or _body_problem(request)
    if problem is not None:
        return problem
    if request.uri.partition(":")[0].lower() not in _SCHEMES or ":" not in request.uri:
        return Problem(416, REASONS[416])
    hops = request.get_header("max-forwards") or "70"
    if not hops.isascii() or not hops.isdigit() or int(hops[:4]) > 255:
        return Problem(400, "Bad Max-Forwards")
    if int(hops) == 0 and request.method != "OPTIONS":
        return Problem(483, REASONS[483])
    required = [t for value in request.headers.get("require") for t in value.split()]
    if required and request.method not in ("ACK", "CANCEL"):
        return Problem(420, REASONS[420], {"Unsupported": ", ".join(required)})
    return None


def _identity_problem(request: SipRequest) -> Problem | None:
    try:
        cseq = parse_cseq(request.get_header("cseq") or "")
        from_, to, via = request.from_addr, request.to_addr, request.via[0]
    except (ValueError, IndexError):
        return Problem(400, "Bad CSeq, From, To or Via")
    if not 0 <= cseq.seq < 2**31 or cseq.method != request.method:
        return Problem(400, "Bad CSeq")
    if from_ is None or not from_.uri.host or not from_.tag:
        return Problem(400, "Bad From")
    if to is None or not to.uri.host:
        return Problem(400, "Bad To")
    if not via.host or via.transport != "UDP":
        return Problem(400, "Bad Via")
    if not request.call_id:
        return Problem(400, "Bad Call-ID")
    return None


def _body_problem(request: SipRequest) -> Problem | None:
    declared = request.get_header("content-length")
    if declared is not None and not (declared.isascii() and declared.isdigit()):
        return Problem(400, "Bad Content-Length")
    if declared is not None and int(declared[:9]) > len(request.body):
        return Problem(400, "Body shorter than Content-Length")
    if request.body and request.method == "INVITE":
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind != "application/sdp":
            return Problem(415, REASONS[415], {"Accept": "application/sdp"})
    return None
