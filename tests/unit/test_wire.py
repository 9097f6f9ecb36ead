"""Wire records: reading a message as it was sent, and hiding what must not be seen."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vobiz_kit.wire import WireMessage, mask_secrets


def message(text: str) -> WireMessage:
    return WireMessage(
        1, 0.0, "sent", "livekit-sip", "127.0.0.1:5060", "127.0.0.1:5062", "a@b", "", text
    )


def test_a_request_is_read() -> None:
    refer = message("REFER sip:a@b SIP/2.0\r\nRefer-To: <sip:+15550002222@x>\r\n\r\nbody")
    assert (refer.method, refer.status, refer.body) == ("REFER", None, "body")
    assert refer.header("refer-to") == "<sip:+15550002222@x>"
    assert refer.header("Contact") == ""


def test_a_response_answers_the_method_of_its_cseq() -> None:
    busy = message("SIP/2.0 486 Busy Here\r\nCSeq: 2 INVITE\r\n\r\n")
    assert (busy.status, busy.method) == (486, "INVITE")


@pytest.mark.parametrize("line", ["SIP/2.0", "SIP/2.0 ¹ OK", "SIP/2.0 99999999 X", "SIP/2.0 ok"])
def test_a_broken_status_line_has_no_status(line: str) -> None:
    assert message(line).status is None


@given(st.text(max_size=200))
def test_nothing_from_the_wire_raises(text: str) -> None:
    record = message(text)
    assert record.status is None or 100 <= record.status <= 999 or record.status < 100
    record.header("Via"), record.method, record.body
    assert WireMessage.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_digest_secrets_are_masked_and_the_rest_is_not() -> None:
    invite = (
        "INVITE sip:a@b SIP/2.0\r\n"
        'Proxy-Authorization: Digest username="lab-trunk", realm="x", nonce="n0nce", '
        'response="5ecret", cnonce="c", opaque="o", uri="sip:a@b"\r\n'
        'Subject: response="not a secret"\r\n\r\n'
    )
    masked = mask_secrets(invite)
    assert "5ecret" not in masked
    assert "n0nce" not in masked
    assert 'username="lab-trunk"' in masked
    assert 'Subject: response="not a secret"' in masked
