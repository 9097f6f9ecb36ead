"""Why a call ended, in Vobiz's words: text, number and name, and the Q.850 cause on the wire.

Texts and four-digit numbers as in Vobiz's "Hangup causes" page; ORIGINATOR_CANCEL has no number
there and gets 1000, which the platform family that Vobiz's API follows calls "Cancelled".
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cause:
    """One hangup cause.

    Attributes:
        text: ``hangup_cause`` of a CDR.
        code: ``hangup_cause_code``.
        name: ``hangup_cause_name``.
        q850: The ITU-T Q.850 cause for a Reason header (RFC 3326), 0 for none.
    """

    text: str
    code: int
    name: str
    q850: int = 0

    @property
    def reason_header(self) -> str:
        """The Reason header's value."""
        return f'Q.850;cause={self.q850 or 16};text="{self.name}"'


NORMAL = Cause("NORMAL_CLEARING", 4000, "Normal Hangup", 16)
CANCELLED = Cause("ORIGINATOR_CANCEL", 1000, "Cancelled", 16)
RING_TIMEOUT = Cause("NO_ANSWER", 6010, "Ring Timeout Reached", 19)
MEDIA_TIMEOUT = Cause("MEDIA_TIMEOUT", 6020, "Media Timeout", 41)
TOO_MANY_CALLS = Cause("SWITCH_CONGESTION", 1020, "Simultaneous Dial Limit Reached", 42)

_BY_STATUS = {
    0: NORMAL,
    200: NORMAL,
    403: Cause("CALL_REJECTED", 3040, "Forbidden", 21),
    404: Cause("UNALLOCATED_NUMBER", 3050, "Unallocated Number", 1),
    408: Cause("NO_ANSWER", 3070, "Request Timeout", 18),
    410: Cause("UNALLOCATED_NUMBER", 3050, "Unallocated Number", 22),
    480: Cause("NO_ANSWER", 3000, "No Answer", 19),
    484: Cause("INVALID_NUMBER", 2000, "Invalid Destination Address", 28),
    486: Cause("USER_BUSY", 3010, "Busy Line", 17),
    487: CANCELLED,
    488: Cause("PROTOCOL_ERROR", 3090, "Not Acceptable Here", 88),
    500: Cause("SERVER_ERROR", 5000, "Network Error", 41),
    503: Cause("SERVICE_UNAVAILABLE", 3080, "Service Unavailable", 42),
    600: Cause("USER_BUSY", 3010, "Busy Line", 17),
    603: Cause("CALL_REJECTED", 3020, "Rejected", 21),
    604: Cause("UNALLOCATED_NUMBER", 3050, "Unallocated Number", 1),
}
_OTHER = Cause("NORMAL_TEMPORARY_FAILURE", 3090, "Carrier Failure", 41)


def cause_of(status: int) -> Cause:
    """The cause that a final SIP status means; 0 is a call that was answered and hung up."""
    return _BY_STATUS.get(status, _OTHER)


def status_for_caller(status: int, reason: str) -> tuple[int, str]:
    """The status that a caller gets when its callee's leg ended like that."""
    if status in (401, 407):
        return 503, "The callee's side asks for authentication"
    if not 400 <= status <= 699:
        return 480, ""
    return status, reason
