"""How calls and transfers can end: one table from the outcome's name to what it means.

Each row says what happened, what the language model is told (it is still on the phone with the
caller), what the caller hears, what the operator should do, and whether another try makes sense.
`vobiz_kit.outcomes` finds the row for what LiveKit said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Retry = Literal["no", "later", "other destination", "wait"]

_WITH_AGENT = "The agent, without a gap: the call never left it."
_NOBODY_THERE = "Nothing: the caller has left."


@dataclass(frozen=True, slots=True)
class Meaning:
    """One row of the table.

    Attributes:
        happened: One sentence for the person at the keyboard; ``{who}`` is the destination.
        told: What the language model is told after a failed transfer; "" if it is not told.
        caller_hears: What the caller hears after a failed transfer.
        advice: What the operator should do.
        retry: Whether another try makes sense: "no", "later" (the same destination),
            "other destination", or "wait" (35 s, since the first try may still act).
    """

    happened: str
    told: str
    caller_hears: str
    advice: str
    retry: Retry


def _failed(happened: str, why: str, advice: str, retry: Retry) -> Meaning:
    # The first sentence can be spoken as it stands; the rest is for the model alone.
    offer = {
        "no": "offer to take a message.",
        "later": "offer another destination, or to try again in a minute.",
        "other destination": "offer another destination, or to take a message.",
        "wait": "keep talking. Do not transfer again for 35 seconds.",
    }[retry]
    told = f"I could not connect you to {{who}}: {why} (The caller is still on the line: {offer})"
    return Meaning(happened, told, _WITH_AGENT, advice, retry)


MEANINGS: Mapping[str, Meaning] = {
    "completed": Meaning(
        "{who} answered and is connected with the caller.",
        "",
        "The transfer target.",
        "Nothing to do.",
        "no",
    ),
    "caller_hung_up": Meaning(
        "The caller hung up.",
        "",
        _NOBODY_THERE,
        "Nothing to do. The carrier's call records tell whether {who} was still rung.",
        "no",
    ),
    "busy": _failed("{who} is busy.", "the line is busy.", "Try again later.", "later"),
    "no_answer": _failed(
        "{who} did not answer.",
        "nobody answered.",
        "Try again later, or ring longer if people there need more time.",
        "later",
    ),
    "declined": _failed(
        "{who} saw the call and declined it.",
        "the call was declined.",
        "Do not ring again at once: somebody refused the call on purpose.",
        "other destination",
    ),
    "not_taken": _failed(
        "{who} answered, was told who is waiting, and did not take the call.",
        "they cannot take your call now.",
        "Ask the people at {who} when they take calls. An answering machine does not decide.",
        "other destination",
    ),
    "hung_up": _failed(
        "{who} answered and hung up before the caller was connected.",
        "they hung up before I could connect you.",
        "Try again later; if it happens again, ask the people at {who} what they heard.",
        "later",
    ),
    "not_in_service": _failed(
        "{who} is not in service.",
        "the number is not in service.",
        "Check the number, digit by digit, with its country code.",
        "other destination",
    ),
    "refused_by_policy": _failed(
        "The kit refused to dial {who}; nothing was sent.",
        "this destination is not allowed.",
        "Name an alias of the directory, or a number that can and may be dialled.",
        "other destination",
    ),
    "not_permitted": _failed(
        "The carrier does not permit this call or transfer.",
        "the carrier does not permit it.",
        "At Vobiz: is call transfer (SIP REFER) enabled for the trunk and the trunk verified, is"
        " the caller id a number of yours, is the destination's country allowed, is there credit?",
        "no",
    ),
    "authentication": _failed(
        "The carrier did not accept the trunk's username and password.",
        "the telephone line is not set up correctly.",
        "Check VOBIZ_USERNAME and VOBIZ_PASSWORD, and that they belong to the trunk of"
        " VOBIZ_SIP_DOMAIN; then apply the trunks again.",
        "no",
    ),
    "carrier_unavailable": _failed(
        "The carrier could not put the call through.",
        "the telephone network has a problem.",
        "Try again in a minute. If it stays so, look at the carrier's status page.",
        "later",
    ),
    "too_many_calls": _failed(
        "The carrier's limit for calls at once, or new calls per second, was reached.",
        "all lines are in use.",
        "Place calls more slowly, or have the limits raised (Vobiz starts with 2 per second and 10"
        " at once).",
        "later",
    ),
    "unreachable": _failed(
        "The carrier did not answer at all.",
        "the telephone network cannot be reached.",
        "Check VOBIZ_SIP_DOMAIN (and VOBIZ_SIP_ADDRESS), the transport of the trunk, and whether a"
        " firewall is in between.",
        "later",
    ),
    "media_mismatch": _failed(
        "The two ends have no audio codec in common.",
        "the two phones do not fit together.",
        "Allow PCMU, PCMA or G.722 at the carrier; switch SRTP on at both sides or at none.",
        "other destination",
    ),
    "cancelled": _failed(
        "The call to {who} was cancelled before anybody answered.",
        "the call was cancelled.",
        "Nothing to do, unless nobody cancelled it.",
        "later",
    ),
    "rejected": _failed(
        "The carrier rejected the call to {who}.",
        "the telephone network rejected it.",
        "Look at the SIP messages: the last response says what the carrier did not like.",
        "other destination",
    ),
    "undecided": _failed(
        "The carrier was asked to transfer, and did not say in time how that ended.",
        "it is not certain yet whether it will go through.",
        "Wait 35 seconds: the carrier may still act. Its call records show what became of it.",
        "wait",
    ),
    "transfer_in_progress": _failed(
        "A transfer of this call is going on already.",
        "another transfer of this caller is still going on.",
        "Wait for the first one's result.",
        "wait",
    ),
    "not_answered_yet": _failed(
        "The call has not been answered, so there is nobody to transfer.",
        "the call has not been answered.",
        "Transfer when call.status is 'active'.",
        "later",
    ),
    "no_trunk": _failed(
        "LiveKit knows no such outbound trunk.",
        "the telephone line is not set up.",
        "Apply the trunks: await vk.apply_trunks(settings). If OUTBOUND_TRUNK_ID is set, check it.",
        "no",
    ),
    "livekit_unavailable": _failed(
        "LiveKit's SIP service could not take the request.",
        "the telephone service is not available.",
        "Is livekit-sip running (in the lab: vobiz-kit lab status)? Is the machine overloaded?",
        "later",
    ),
    "livekit_refused": _failed(
        "LiveKit refused the request.",
        "the telephone service refused it.",
        "Check LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET: all three of one project.",
        "no",
    ),
    "agent_missing": Meaning(
        "No agent took the call.",
        "",
        "Ringing: LiveKit answers only when an agent is ready to speak.",
        "Start the agent (await vk.serve(entrypoint, settings), or vobiz-kit worker) and call"
        " again. Its name must be the one in the dispatch rule.",
        "later",
    ),
    "agent_failed": Meaning(
        "The agent's code raised an error.",
        "",
        "Ringing, if the call had not been answered; else an apology, then the fallback or the"
        " end of the call.",
        "Read the error below; the whole of it is in logs/agent.log.",
        "later",
    ),
    "service_failed": Meaning(
        "A service that the agent needs did not work.",
        "",
        "An apology, then the fallback or the end of the call.",
        "The evidence names the service. Check its key, its account and its status page: OpenAI has"
        " the model and the voice, Deepgram hears.",
        "later",
    ),
    "unknown": _failed(
        "It failed for a reason that the kit does not know.",
        "something unexpected happened.",
        "The evidence below is all that LiveKit said.",
        "other destination",
    ),
}

NEXT_NUMBER_MAY_DO = frozenset(
    {
        "busy",
        "no_answer",
        "declined",
        "not_in_service",
        "cancelled",
        "media_mismatch",
        "carrier_unavailable",
        "rejected",
    }
)
"""The outcomes of a transfer after which the next number of a hunt list is worth a try: it was this
target that did not take the call. Not "undecided": the carrier may still connect the caller."""
