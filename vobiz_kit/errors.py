"""The kit's errors: what happened, the evidence, and what to do next.

VobizKitError
 ├─ SettingsError        a setting is missing or makes no sense
 ├─ NumberRefused        something that cannot be (or must not be) dialled
 │   └─ NotAllowed       it could be dialled, and the policy forbids it
 ├─ TrunkError           a trunk or a dispatch rule could not be made or read
 ├─ CallError            a call could not be placed, or ended in an unexpected way
 │   └─ TransferError    a transfer could not be attempted at all
 ├─ ServingError         the agent could not be started, or was not there
 └─ VobizApiError        Vobiz's REST API answered with an error
"""

from __future__ import annotations


class VobizKitError(Exception):
    """Base of all errors of this package.

    Args:
        what: One sentence on what happened.
        evidence: What was seen: a SIP status, a header, a setting and its value (never a secret).
        fix: What the person at the keyboard should do next.
    """

    def __init__(self, what: str, *, evidence: str = "", fix: str = "") -> None:
        self.what = what
        self.evidence = evidence
        self.fix = fix
        parts = [what]
        if evidence:
            parts.append(f"Evidence: {evidence}")
        if fix:
            parts.append(f"Next: {fix}")
        super().__init__("\n  ".join(parts))


class SettingsError(VobizKitError):
    """A setting is missing, or its value makes no sense."""


class NumberRefused(VobizKitError):  # noqa: N818 - a refusal, named as people say it
    """What was given cannot be dialled; nothing has been sent."""


class NotAllowed(NumberRefused):
    """It could be dialled, and the policy forbids it; nothing has been sent.

    ``rule`` names the rule in one word or two ("emergency", "premium", "calls_per_hour"), for the
    audit log. ``spoken`` is a sentence that an agent can say to its caller as it stands.
    """

    def __init__(
        self,
        what: str,
        *,
        rule: str,
        evidence: str = "",
        fix: str = "",
        spoken: str = "I cannot connect you to that.",
    ) -> None:
        super().__init__(what, evidence=evidence, fix=fix)
        self.rule = rule
        self.spoken = spoken


class TrunkError(VobizKitError):
    """A trunk or a dispatch rule could not be made or read."""


class CallError(VobizKitError):
    """A call could not be placed, or did not get as far as was asked.

    ``sip_status`` is the SIP status code that LiveKit or the carrier reported, or None.
    """

    def __init__(
        self, what: str, *, evidence: str = "", fix: str = "", sip_status: int | None = None
    ) -> None:
        super().__init__(what, evidence=evidence, fix=fix)
        self.sip_status = sip_status


class TransferError(CallError):
    """A transfer could not be attempted (no caller in the room, call not answered yet)."""


class ServingError(VobizKitError):
    """The agent's worker could not be started or registered, or no job reached it in time."""


class VobizApiError(VobizKitError):
    """Vobiz's REST API answered with an error; ``status`` is the HTTP status."""

    def __init__(self, what: str, *, status: int, evidence: str = "", fix: str = "") -> None:
        super().__init__(what, evidence=evidence, fix=fix)
        self.status = status
