"""Every way in which a call or a transfer can end has its row, and is read rightly."""

import pytest

from tests.unit.call_fakes import server_error, sip_error
from vobiz_kit.errors import NumberRefused
from vobiz_kit.meanings import MEANINGS
from vobiz_kit.outcomes import (
    DialOutcome,
    TransferOutcome,
    dial_outcome,
    outcome_of_leaving,
    refused,
    transfer_outcome,
)

TARGET = [
    (486, "Busy Here", "busy"),
    (600, "Busy Everywhere", "busy"),
    (480, "Temporarily Unavailable", "no_answer"),
    (408, "Request Timeout", "no_answer"),
    (603, "Decline", "declined"),
    (607, "Unwanted", "declined"),
    (404, "Not Found", "not_in_service"),
    (410, "Gone", "not_in_service"),
    (604, "Does Not Exist Anywhere", "not_in_service"),
    (403, "Forbidden", "not_permitted"),
    (402, "Payment Required", "not_permitted"),
    (487, "Request Terminated", "cancelled"),
    (488, "Not Acceptable Here", "media_mismatch"),
    (500, "Server Internal Error", "carrier_unavailable"),
    (503, "Service Unavailable", "carrier_unavailable"),
    (503, "cps limit exceeded (2 per second)", "too_many_calls"),
    (503, "concurrent call limit exceeded", "too_many_calls"),
    (504, "Server Time-out", "carrier_unavailable"),
    (400, "Bad Request", "rejected"),
    (302, "Moved Temporarily", "rejected"),
]


@pytest.mark.parametrize(("status", "reason", "name"), TARGET)
def test_the_status_of_the_phone_means_the_same_for_a_call_and_for_a_transfer(
    status: int, reason: str, name: str
) -> None:
    call = dial_outcome(sip_error(status, reason, refer=True), "billing")
    transfer = transfer_outcome(sip_error(status, reason), "billing")
    assert (call.name, transfer.name) == (name, name)
    assert transfer.sip == f"{status} {reason}"


@pytest.mark.parametrize(
    ("status", "name"),
    [
        (401, "not_permitted"),
        (403, "not_permitted"),
        (405, "not_permitted"),
        (407, "not_permitted"),
        (420, "not_permitted"),
        (501, "not_permitted"),
        (603, "not_permitted"),
        (404, "not_in_service"),
        (481, "rejected"),
        (500, "carrier_unavailable"),
        (503, "carrier_unavailable"),
    ],
)
def test_a_refused_refer_is_the_carriers_word_and_not_the_targets(status: int, name: str) -> None:
    assert transfer_outcome(sip_error(status, "No", refer=True), "billing").name == name


@pytest.mark.parametrize(
    ("code", "text", "for_call", "for_transfer"),
    [
        (
            "failed_precondition",
            "max auth retry attempts reached for SIP invite",
            "authentication",
            "authentication",
        ),
        (
            "canceled",
            "transaction failed to complete (0 intermediate responses)",
            "unreachable",
            "undecided",
        ),
        ("deadline_exceeded", "request timed out", "unreachable", "undecided"),
        ("canceled", "sip request timed out", "unreachable", "undecided"),
        ("unknown", "refer canceled", "unknown", "undecided"),
        ("canceled", "context canceled", "unknown", "undecided"),
        ("not_found", "requested sip trunk does not exist", "no_trunk", "no_trunk"),
        ("not_found", "participant does not exist", "caller_hung_up", "caller_hung_up"),
        (
            "invalid_argument",
            "call already being transferred elsewhere",
            "transfer_in_progress",
            "transfer_in_progress",
        ),
        ("unavailable", "no response from servers", "livekit_unavailable", "livekit_unavailable"),
        ("unavailable", "cpu exhausted", "livekit_unavailable", "livekit_unavailable"),
        (
            "invalid_argument",
            'fail to resolve target for "no-such-host.invalid"',
            "unreachable",
            "unreachable",
        ),
        ("failed_precondition", "common audio codec not found", "media_mismatch", "media_mismatch"),
        ("unauthenticated", "permissions denied", "livekit_refused", "livekit_refused"),
        ("internal", "something new", "unknown", "unknown"),
    ],
)
def test_without_a_status_the_text_decides(
    code: str, text: str, for_call: str, for_transfer: str
) -> None:
    error = server_error(code, text)
    assert dial_outcome(error, "x").name == for_call
    assert transfer_outcome(error, "x").name == for_transfer
    assert text in dial_outcome(error, "x").evidence


def test_after_a_timeout_the_last_status_tells_a_phone_that_rang_from_a_silent_carrier() -> None:
    error = server_error("canceled", "sip request timed out")
    assert dial_outcome(error, "x", "ringing").name == "no_answer"
    assert dial_outcome(error, "x", "dialing").name == "unreachable"


def test_a_timeout_of_our_own_request_leaves_a_transfer_undecided() -> None:
    outcome = transfer_outcome(TimeoutError(), "billing")
    assert outcome.name == "undecided"
    assert outcome.meaning.retry == "wait"
    assert "in time" in outcome.evidence


@pytest.mark.parametrize(
    ("reason", "last_status", "name"),
    [
        ("USER_UNAVAILABLE", "ringing", "no_answer"),
        ("USER_UNAVAILABLE", "dialing", "unreachable"),
        ("USER_REJECTED", "ringing", "rejected"),
        ("SIP_TRUNK_FAILURE", "dialing", "unknown"),
    ],
)
def test_what_is_left_when_nobody_heard_livekits_answer(
    reason: str, last_status: str, name: str
) -> None:
    outcome = outcome_of_leaving(reason, "+15550001234", last_status)
    assert outcome.name == name
    assert reason in outcome.evidence


@pytest.mark.parametrize("name", MEANINGS)
def test_every_row_says_what_happened_and_what_to_do(name: str) -> None:
    outcome = TransferOutcome(name, "billing (+15550002222)")
    assert outcome.happened[0].isupper()
    assert outcome.happened.endswith(".")
    assert outcome.advice
    assert "{" not in outcome.happened + outcome.told + outcome.advice
    # The model is told of everything but what leaves nobody to talk to.
    alone = {"completed", "caller_hung_up", "agent_missing", "agent_failed", "service_failed"}
    assert bool(outcome.told) == (name not in alone)
    assert "+1555" not in outcome.told  # nobody wants to hear a number read out


def test_the_model_is_told_a_sentence_that_can_be_spoken() -> None:
    told = transfer_outcome(sip_error(486, "Busy Here"), "billing (+15550002222)").told
    assert told.startswith("I could not connect you to billing: the line is busy.")


def test_an_outcome_shows_itself_as_text_and_as_html() -> None:
    outcome = transfer_outcome(sip_error(486, "<Busy>"), "billing").took(1.23456)
    assert "✗ Billing is busy." in repr(outcome)
    assert "486 <Busy>" in str(outcome)
    assert "&lt;Busy&gt;" in outcome._repr_html_()
    assert outcome.seconds == 1.235
    assert not outcome.ok
    assert TransferOutcome("completed", "billing").ok


def test_an_outcome_survives_json_and_a_newer_kits_names() -> None:
    outcome = dial_outcome(sip_error(603, "Decline", refer=True), "+15550004603")
    assert DialOutcome.from_json({**outcome.to_json(), "about": "call"}) == outcome
    assert DialOutcome.from_json({"name": "abducted"}).name == "unknown"


def test_a_refusal_by_the_policy_is_an_outcome_like_others() -> None:
    refusal = NumberRefused("That is your own number.", evidence="+15550001000")
    outcome = refused(refusal, "+15550001000", TransferOutcome)
    assert outcome.name == "refused_by_policy"
    assert "your own number" in outcome.evidence
