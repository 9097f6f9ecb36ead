"""The ladder, drawn from traces that the lab's carrier recorded (``captures/``)."""

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vobiz_kit.call_events import CallEvent
from vobiz_kit.callflow import Ladder, callflow
from vobiz_kit.ladder_summary import ONLY_EVENTS
from vobiz_kit.sip_words import STATUS_WORDS, printable, status_words, uri_user
from vobiz_kit.wire import WireMessage

CAPTURES = Path(__file__).parent / "captures"
NAMES = {"+15550002222": "billing"}
CALLER, BILLING, BUSY, CALLED = "+15550009999", "+15550002222", "+15550004486", "+15550001234"


def messages_of(name: str) -> list[WireMessage]:
    data = json.loads((CAPTURES / f"{name}.json").read_text())
    return [WireMessage.from_json(m) for m in data["messages"]]


def call_of(name: str, *more: CallEvent) -> Any:
    data = json.loads((CAPTURES / f"{name}.json").read_text())
    events = [CallEvent(**e) for e in data["events"]] + list(more)
    return SimpleNamespace(events=events, phone_number=CALLED, settings=None)


def ladder_of(name: str, *more: CallEvent) -> Ladder:
    return callflow(call_of(name, *more), messages_of(name), names=NAMES)


def labels(ladder: Ladder, text: str) -> list[str]:
    return [row.words for row in ladder.rows if row.label.startswith(text)]


def message(text: str = "INVITE sip:a@b SIP/2.0\r\n\r\n", **changes: Any) -> WireMessage:
    plain = WireMessage(1, 0.0, "received", "livekit-sip", "l:1", "r:2", "id", "", text)
    return replace(plain, **changes)


class Page(HTMLParser):
    """What a browser would make of the HTML: elements, attributes, text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


# Rows and columns


def test_the_parties_stand_in_the_order_of_the_call():
    columns = ladder_of("transfer").columns
    assert [c.name for c in columns] == ["caller", "carrier", "livekit-sip", "agent", "billing"]
    assert [c.note for c in columns] == [CALLER, "", "", "", BILLING]


def test_a_person_who_is_called_stands_left_as_well():
    columns = ladder_of("outbound").columns
    assert [c.name for c in columns] == ["called", "carrier", "livekit-sip", "agent"]
    assert columns[0].key == CALLED


def test_without_a_call_there_is_no_agent():
    assert "agent" not in [c.key for c in callflow(None, messages_of("transfer")).columns]


def test_a_target_that_was_never_rung_has_its_place():
    refer = [m for m in messages_of("transfer") if m.method == "REFER"]
    assert [c.key for c in callflow(None, refer).columns] == ["carrier", "livekit-sip", BILLING]


def test_every_message_of_the_call_is_drawn_once():
    ladder = ladder_of("transfer")
    drawn = [m for row in ladder.rows for m in row.messages]
    assert sorted(m.seq for m in drawn) == [m.seq for m in messages_of("transfer")]


@pytest.mark.parametrize("party", ["carrier", "livekit-sip", "agent"])
def test_a_refer_to_a_party_that_is_there_adds_no_second_line(party: str):
    refer = message(
        f"REFER sip:a SIP/2.0\r\nRefer-To: <sip:{party}@x>\r\n\r\n", party="livekit-sip"
    )
    keys = [c.key for c in callflow(call_of("busy"), [refer]).columns]
    assert sorted(keys) == ["agent", "carrier", "livekit-sip"]


def test_what_keeps_the_trunk_alive_is_left_out():
    options = message("OPTIONS sip:a SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n")
    answer = message("SIP/2.0 200 OK\r\nCSeq: 1 REGISTER\r\n\r\n", direction="sent")
    assert callflow(None, [options, answer]).rows == ()


def test_rows_are_in_order_of_time_and_count_from_the_first():
    times = [row.time for row in ladder_of("transfer").rows]
    assert times[0] == 0
    assert times == sorted(times)


def test_messages_come_in_any_order():
    messages = messages_of("transfer")
    assert callflow(None, messages[::-1]).rows == callflow(None, messages).rows


def test_retransmissions_are_folded():
    ladder = ladder_of("no-agent")
    [row] = [r for r in ladder.rows if r.source == "livekit-sip" and r.label == "180 Ringing"]
    assert row.repeats == 4
    assert "sent 4 times, last at 3.0" in row.meaning
    assert "180 Ringing ×4" in ladder.text(200)
    assert len(ladder.find("180", sender="livekit-sip")) == 4


def test_equal_responses_of_two_transactions_are_not_folded():
    confirmed = [row for row in ladder_of("transfer").rows if row.words == "got the report"]
    assert [row.repeats for row in confirmed] == [1, 1, 1]


def test_a_request_on_another_branch_is_no_retransmission():
    bye = "BYE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK{}\r\nCSeq: 1 BYE\r\n\r\n"
    first, again, other = (message(bye.format(b), seq=i) for i, b in enumerate("112", 1))
    assert [row.repeats for row in callflow(None, [first, again, other]).rows] == [2, 1]


# Words


def test_the_transfer_is_told_in_words():
    ladder = ladder_of("transfer")
    asked = f"asks the carrier to call billing ({BILLING}) and connect the caller"
    assert labels(ladder, "REFER") == [asked]
    assert labels(ladder, "202") == ["agrees to try; NOTIFY messages will tell how it goes"]
    assert labels(ladder, "NOTIFY") == [
        "report on the transfer: got it, working on it",
        "report on the transfer: billing is ringing",
        "final report: the transfer succeeded, billing answered",
    ]
    assert "it succeeded" in ladder.summary
    assert "to billing" in ladder.summary


def test_a_transfer_that_failed_says_so():
    ladder = ladder_of("busy")
    assert labels(ladder, "NOTIFY: 486") == [f"final report: the transfer failed, {BUSY}: busy"]
    assert [r.label for r in ladder.rows if r.failed] == [
        "486 Busy Here",
        "NOTIFY: 486 Busy Here",
        "transfer",
    ]
    assert "486 Busy Here: busy" in ladder.summary


def test_a_refused_refer_is_no_failed_target():
    refer = next(m for m in messages_of("transfer") if m.method == "REFER")
    refusal = message(
        "SIP/2.0 405 Method Not Allowed\r\nCSeq: 2 REFER\r\n\r\n",
        direction="sent", seq=refer.seq + 1, time=refer.time, call_id=refer.call_id,
    )  # fmt: skip
    ladder = callflow(None, [refer, refusal])
    assert labels(ladder, "405") == [
        "refuses to transfer at all: this kind of request is not allowed"
    ]
    assert "It was answered 405" in ladder.summary


def test_an_unanswered_refer_is_told():
    refer = next(m for m in messages_of("transfer") if m.method == "REFER")
    assert "Nobody answered it" in callflow(None, [refer]).summary


def test_the_first_challenge_is_normal():
    rows = ladder_of("outbound").rows
    [challenge] = [row for row in rows if row.label.startswith("407")]
    assert "normal" in challenge.words
    assert not challenge.failed
    assert any("now with proof of the password" in row.words for row in rows)


def test_a_challenge_after_the_proof_is_a_wrong_password():
    ladder = ladder_of("wrong-password")
    challenges = [row for row in ladder.rows if row.label.startswith("407")]
    assert len(challenges) > 2
    assert [row.failed for row in challenges] == [False] + [True] * (len(challenges) - 1)
    assert "username or password is wrong" in ladder.summary


def test_a_caller_who_gives_up_is_no_refusal():
    ladder = ladder_of("no-agent")
    assert not any(row.failed for row in ladder.rows)
    assert "Given up after 3.0" in ladder.summary


def test_livekit_answers_when_the_agent_is_ready():
    words = [(r.source, r.words) for r in ladder_of("transfer").rows if r.label == "200 OK"]
    assert ("livekit-sip", "answered: the agent is ready to speak") in words
    assert ("carrier", "answered") in words
    assert (BILLING, "billing answers") in words


def test_codecs_are_named():
    rows = ladder_of("transfer").rows
    assert rows[0].codecs == ("PCMU", "PCMA", "DTMF")
    assert "offers PCMU, PCMA, DTMF" in rows[0].meaning
    [answer] = [r for r in rows if r.source == "livekit-sip" and r.codecs]
    assert "speaks PCMU, DTMF" in answer.meaning


def test_sdp_that_cannot_be_read_is_said_to_be_so():
    text = "INVITE sip:a SIP/2.0\r\nContent-Type: application/sdp\r\n\r\nm=audio x RTP/AVP 0\r\n"
    assert callflow(None, [message(text)]).rows[0].codecs == ("unreadable SDP",)


def test_one_letter_headers_are_read():
    text = "REFER sip:a SIP/2.0\r\nr: <sip:+15550002222@x>\r\n\r\n"
    assert "call billing" in callflow(None, [message(text)], names=NAMES).rows[0].words


def test_hold_is_told():
    invite, *rest = messages_of("outbound")
    ok = next(m for m in rest if m.status == 200 and m.call_id == invite.call_id)
    text = invite.text.replace("a=sendrecv", "a=sendonly").replace("CSeq: ", "CSeq: 9")
    hold = replace(invite, seq=99, time=ok.time + 1, text=text)
    words = [row.words for row in callflow(None, [invite, ok, hold]).rows]
    assert words[-1] == "puts the call on hold"


def test_each_status_has_words_of_its_own_or_its_class():
    assert status_words(486) == "busy"
    assert status_words(499) == status_words(498) != status_words(599)
    assert status_words(42) == "not a SIP status"
    assert all(words and words[-1] != "." for words in STATUS_WORDS.values())


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("<sip:+15550002222@1a2b3c4d.sip.vobiz.ai>", "+15550002222"),
        ('"Billing" <sips:billing@x;user=phone>;tag=1', "billing"),
        ("tel:+1-555-000-2222;ext=1", "+1-555-000-2222"),
        ("<sip:127.0.0.1:5060>", "127.0.0.1:5060"),
        ("sip:@", "sip:@"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_whom_a_uri_names(text: str, user: str):
    assert uri_user(text) == user


# The agent's events


def test_events_stand_between_the_messages():
    at = messages_of("transfer")[0].time + 0.5
    said = [
        CallEvent(at, "transcript", "How can", {"speaker": "agent", "final": False}),
        CallEvent(at, "transcript", "How can I help?", {"speaker": "agent", "final": True}),
        CallEvent(at + 0.1, "transcript", "Billing", {"speaker": "caller", "final": True}),
        CallEvent(at + 0.2, "tool", "transfer_call('billing')"),
        CallEvent(at + 0.3, "error", "the agent's code raised"),
    ]
    events = [row for row in ladder_of("transfer", *said).rows if not row.messages]
    assert [row.words for row in events if row.label == "agent says"] == ["“How can I help?”"]
    rows = {row.label: row for row in events}
    assert (rows["agent says"].source, rows["agent says"].target) == ("agent", "livekit-sip")
    assert (rows["caller says"].source, rows["caller says"].target) == ("livekit-sip", "agent")
    assert rows["tool call"].words == "transfer_call('billing')"
    assert rows["error"].failed
    assert {"job started", "job ended", "transfer"} <= set(rows)
    ends = [r.label for r in ladder_of("transfer", *said).rows]
    assert ends.index("200 OK") < ends.index("agent says") < ends.index("REFER")


def test_the_agents_request_comes_before_the_refer():
    rows = ladder_of("transfer").rows
    asks = next(i for i, r in enumerate(rows) if r.label == "transfer")
    assert (rows[asks].source, rows[asks].target) == ("agent", "livekit-sip")
    assert rows[asks + 1].label == "REFER"


def test_status_events_are_left_to_the_messages():
    assert not any(row.label in ("active", "dispatched") for row in ladder_of("outbound").rows)


def test_without_messages_it_is_drawn_from_the_events_and_says_so():
    ladder = callflow(call_of("outbound"))
    assert ladder.summary == ONLY_EVENTS
    assert [c.key for c in ladder.columns] == [CALLED, "carrier", "livekit-sip", "agent"]
    assert [r.label for r in ladder.rows if r.source == "livekit-sip"] == [
        "dispatched", "status", "dialing", "ringing", "active", "ended",
    ]  # fmt: skip
    assert ONLY_EVENTS[:40] in ladder.text(200)
    assert ONLY_EVENTS in "".join(Page(ladder.html()).texts)


def test_the_target_is_known_without_messages_too():
    assert callflow(call_of("transfer")).columns[-1].key == BILLING


def test_the_directory_of_the_calls_settings_names_the_numbers():
    call = call_of("transfer")
    call.settings = SimpleNamespace(numbers={"billing": BILLING})
    assert callflow(call, messages_of("transfer")).columns[-1].name == "billing"


def test_nothing_at_all():
    ladder = callflow(None, [])
    assert "nothing to draw" in ladder.summary
    assert ladder.text(80) and ladder.html() and ladder.svg()


# For the learner


def test_find_and_first():
    ladder = ladder_of("transfer")
    refer = ladder.first("REFER")
    assert refer is not None and BILLING in refer.header("Refer-To")
    assert ladder["REFER"] == [refer] == ladder.find("refer", sender="livekit-sip")
    assert len(ladder.find("INVITE")) == 3
    assert len(ladder.find("INVITE", sender="carrier")) == 2
    assert len(ladder.find(180, party=BILLING)) == 1
    assert ladder.first("CANCEL") is None


def test_only_keeps_the_requests_and_their_answers():
    ladder = ladder_of("transfer").only("REFER", "notify")
    assert {m.method for m in ladder.messages} == {"REFER", "NOTIFY"}
    assert len(ladder.rows) == 8
    assert len(ladder.columns) == 5
    assert "(only NOTIFY, REFER)" in ladder.title
    assert [r.label for r in ladder_of("busy").only(486).rows] == ["486 Busy Here"]


def test_it_is_saved_by_the_ending_of_the_name(tmp_path: Path):
    ladder = ladder_of("transfer")
    assert ElementTree.parse(ladder.save(tmp_path / "flow.svg")).getroot().tag.endswith("svg")
    assert ladder.save(str(tmp_path / "flow.html")).read_text().startswith("<!doctype html>")
    assert "REFER" in ladder.save(tmp_path / "flow.txt").read_text()
    with pytest.raises(ValueError, match="not '.png'"):
        ladder.save(tmp_path / "flow.png")


# Pictures


@pytest.mark.parametrize("width", [40, 80, 140])
def test_text_keeps_to_its_width_where_the_lines_leave_room(width: int):
    ladder = ladder_of("transfer")
    lines = ladder.text(width).splitlines()
    allowed = max(width, 95)  # five parties take 95 characters
    assert all(len(line) <= allowed for line in lines)
    assert sum("REFER" in line for line in lines) >= 2


def test_text_marks_what_colour_alone_would_not_tell():
    text = ladder_of("busy").text(160)
    assert "◆ REFER" in text
    assert "✗ 486 Busy Here" in text


def test_the_notebook_gets_text_and_html():
    bundle = ladder_of("transfer")._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "◆ REFER" in bundle["text/plain"]


def test_each_message_opens_in_its_row():
    ladder = ladder_of("transfer")
    page = Page(ladder.html())
    assert page.tags.count("details") == page.tags.count("summary") == page.tags.count("pre") == 28
    text = "".join(page.texts)
    assert all(printable(m.text).rstrip() in text for m in ladder.messages)
    assert "livekit-sip to carrier: " in text
    assert "script" not in page.tags
    assert not any(name == "id" or name.startswith("on") for name, _ in page.attributes)


def test_the_svg_reads_as_text():
    root = ElementTree.fromstring(ladder_of("transfer").svg())
    assert root.get("role") == "img"
    named = {element.get("id"): element.text or "" for element in root}
    title, desc = (named[key] for key in (root.get("aria-labelledby") or "").split())
    assert title == f"Call flow: {CALLER} calls +15550001000"
    assert "livekit-sip to carrier: REFER, asks the carrier to call billing" in desc
    shown = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "◆ NOTIFY: 180 Ringing" in shown


# Hostile input

NASTY = "<script>alert(1)</script>\"'&\x00\x1b[31m\u202e\ud800"


def test_markup_from_the_wire_is_shown_and_not_obeyed():
    text = f"INVITE sip:{NASTY}@x SIP/2.0\r\nFrom: {NASTY}\r\nCSeq: 1 INVITE\r\n\r\n{NASTY}"
    answer = f"SIP/2.0 486 {NASTY}\r\nCSeq: 1 INVITE\r\n\r\n"
    event = CallEvent(0.0, "transcript", NASTY, {"speaker": "caller", "final": True})
    call = SimpleNamespace(events=[event], phone_number=NASTY, settings=None)
    messages = [message(text, party=NASTY), message(answer, seq=2, party=NASTY, remote=NASTY)]
    ladder = callflow(call, messages, names={NASTY: NASTY})
    assert "script" not in Page(ladder.html()).tags
    assert "<script" not in ladder.svg()
    ElementTree.fromstring(ladder.svg())
    for drawn in (ladder.html(), ladder.svg(), ladder.text(140)):
        assert "\x1b" not in drawn and "\x00" not in drawn and "\u202e" not in drawn
        drawn.encode()


def test_secrets_are_masked_whatever_the_source():
    text = (
        "INVITE sip:a@b SIP/2.0\r\nCSeq: 1 INVITE\r\n"
        'Proxy-Authorization: Digest username="u", response="5ec4e7d16e57"\r\n\r\n'
    )
    ladder = callflow(None, [message(text)])
    assert "5ec4e7d16e57" not in ladder.html() + ladder.svg() + ladder.text() + repr(
        ladder.messages
    )


@pytest.mark.parametrize(
    "noise",
    [
        "",
        "\r\n\r\n",
        "SIP/",
        "SIP/2.0",
        "SIP/2.0 \u00b9",
        "SIP/2.0 99 Low",
        "SIP/2.0 " + "9" * 5000,
    ],
)
def test_a_datagram_that_is_no_sip_is_left_out_and_counted(noise: str):
    ladder = callflow(None, [*messages_of("busy"), message(noise, seq=999)])
    assert len(ladder.messages) == len(messages_of("busy"))
    assert "1 datagram that is no SIP message is left out" in ladder.summary
    assert "left out" not in callflow(None, messages_of("busy")).summary


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            message,
            st.one_of(
                st.text(),
                st.text().map(lambda t: f"NOTIFY sip:x SIP/2.0\r\nEvent: refer\r\n\r\n{t}"),
                st.text().map(lambda t: f"SIP/2.0 {t}"),
                st.text().map(lambda t: f"REFER sip:x SIP/2.0\r\nRefer-To: {t}\r\n\r\n"),
                st.text().map(
                    lambda t: f"INVITE x SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n{t}"
                ),
            ),
            party=st.sampled_from(["livekit-sip", CALLER, "unknown"]),
            direction=st.sampled_from(["sent", "received"]),
            time=st.floats(0, 1e9),
        ),
        max_size=5,
    )
)
def test_no_message_breaks_the_drawing(messages: list[WireMessage]):
    ladder = callflow(None, messages)
    ElementTree.fromstring(ladder.svg())
    page = Page(ladder.html())
    assert page.tags.count("details") == len(ladder.rows)
    assert sum(row.repeats for row in ladder.rows) == len(ladder.messages)
    assert "script" not in page.tags
    assert ladder.text(100)
