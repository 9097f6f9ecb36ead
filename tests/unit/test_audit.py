"""The audit log: nothing is lost, nothing secret is in it, and it never costs a call."""

from __future__ import annotations

import json
import logging
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.call_fakes import CALLER, FakePhone, FakeRoom, cloud_settings
from vobiz_kit import audit, kit_log
from vobiz_kit.asked import Asked, asked_by_tool
from vobiz_kit.audit import audit_log, mask_numbers, read_audit, record_decision, record_outcome
from vobiz_kit.call_reports import CallReport
from vobiz_kit.directory import Destination
from vobiz_kit.outcomes import DialOutcome, TransferOutcome
from vobiz_kit.policy import check_destination
from vobiz_kit.secret import Secret
from vobiz_kit.settings import Settings

SETTINGS = cloud_settings()
BILLING = Destination("billing", "+15550002222")
ASKED = Asked(
    "transfer_call",
    "transfer",
    "vobiz-in-_+15550009999_abc",
    "SCL_1234567890",
    "123-4567-8901@carrier",
    "call plus one nine zero zero five five five, that is +1 (900) 555-1234",
    "+15550009999",
)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of each test's own, in a folder that is not there yet."""
    monkeypatch.setattr(audit, "log_folder", lambda: tmp_path / "logs")
    return tmp_path / "logs" / "audit.jsonl"


def decide(
    destination: str = "billing", asked: Asked = ASKED, settings: Settings = SETTINGS
) -> None:
    record_decision(asked, destination, settings, rule="directory", why="It is.", to=BILLING)


def test_each_line_is_one_json_object_that_only_the_owner_may_read(file: Path) -> None:
    decide()
    decide("line\nbreak \u2028 \x1b[31m \ud800")
    lines = file.read_bytes().decode("ascii").splitlines()
    assert [json.loads(line)["asked"] for line in lines][1] == "line\nbreak \u2028 \x1b[31m \ud800"
    assert len(lines) == 2
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_outcome_follows_its_decision_with_the_sip_evidence_and_both_ids() -> None:
    decide()
    busy = TransferOutcome("busy", str(BILLING), 486, "Busy Here", "call transfer failed", 1.5)
    record_outcome(busy, "transfer", ASKED.room, ASKED.sip_call_id, ASKED.bridge_uuid)
    decision, outcome = read_audit()
    assert (outcome["outcome"], outcome["sip_status"], outcome["sip_reason"]) == (
        "busy",
        486,
        "Busy Here",
    )
    for name in ("room", "sip_call_id", "bridge_uuid", "to"):
        assert decision[name] == outcome[name] != ""
    assert decision["time"] <= outcome["time"]


def test_what_the_policy_refused_has_no_outcome_besides(file: Path) -> None:
    record_outcome(TransferOutcome("refused_by_policy", "911"), "transfer", "room")
    assert not file.exists()


def test_lines_of_threads_and_processes_do_not_mix(file: Path) -> None:
    def decide_often() -> None:
        for _ in range(100):
            decide("y" * 1500)

    decide()
    code = (
        "import sys; from pathlib import Path; from vobiz_kit import audit;"
        "from vobiz_kit.outcomes import DialOutcome;"
        f"audit.log_folder = lambda: Path({str(file.parent)!r});"
        "[audit.record_outcome(DialOutcome('busy', 'x' * 1500), 'call', 'p') for _ in range(200)]"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    threads = [Thread(target=decide_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert process.wait(60) == 0
    assert len(read_audit()) == len(file.read_bytes().splitlines()) == 1 + 200 + 400


def test_a_folder_that_cannot_be_written_costs_no_call(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.parent.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING, logger="vobiz_kit.audit"):
        assert check_destination("billing", SETTINGS, asked=ASKED) == BILLING
    assert "could not be written" in caplog.text
    assert "+15550002222" not in caplog.text
    assert read_audit() == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_costs_no_call(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.parent.mkdir()
    file.symlink_to("/dev/full")
    with caplog.at_level(logging.WARNING, logger="vobiz_kit.audit"):
        assert check_destination("billing", SETTINGS, asked=ASKED) == BILLING
    assert "No space left" in caplog.text


def test_a_line_that_was_cut_off_loses_only_itself(file: Path) -> None:
    decide()
    with file.open("a") as log:
        log.write('{"half": \n17\n')
    decide()
    assert len(read_audit()) == 2


def test_no_secret_is_in_it_whatever_was_said(file: Path) -> None:
    settings = replace(SETTINGS, vobiz_password=Secret("correct-horse"))
    asked = replace(ASKED, said="the password is correct-horse, isn't it?")
    decide("sip:correct-horse@x", asked, settings)
    assert "correct-horse" not in file.read_text()
    assert read_audit()[0]["said"] == "the password is •••, isn't it?"
    for field in ("livekit_api_secret", "openai_api_key", "deepgram_api_key"):
        decide(getattr(SETTINGS, field).reveal())
        assert getattr(SETTINGS, field).reveal() not in file.read_text()


def test_numbers_are_masked_everywhere_on_request() -> None:
    decide("+1 900 555 1234")
    (entry,) = read_audit(masked=True)
    assert entry["asked"] == "+1900•••1234"
    assert entry["to"] == "billing (+1555•••2222)"
    assert entry["room"] == "vobiz-in-_+1555•••9999_abc"
    assert entry["phone"] == "+1555•••9999"
    assert entry["said"] == "call •••, that is +1900•••1234"
    assert entry["sip_call_id"] == ASKED.sip_call_id  # by which the call is found
    assert entry["bridge_uuid"] == ASKED.bridge_uuid
    assert read_audit()[0]["asked"] == "+1 900 555 1234"


def test_it_is_a_table_for_a_notebook() -> None:
    decide()
    record_outcome(DialOutcome("busy", "+15550004486", 486, "Busy Here"), "call", "vobiz-out-1")
    text = str(audit_log())
    for words in ("✓ allowed", "directory: It is.", "! busy", "486 Busy Here", "SCL_1234567890"):
        assert words in text
    assert "+15550004486" in text
    assert "+15550004486" not in str(audit_log(masked=True))
    assert str(audit_log(Path("nowhere.jsonl"))).count("(none)") == 1


@given(st.text(), st.integers(10**6, 10**15), st.sampled_from(["", " ", "-", ".", ") ", "\u00a0"]))
def test_no_number_survives_the_mask(words: str, digits: int, gap: str) -> None:
    masked = mask_numbers(f"{words} +{gap.join(str(digits))} {words}")
    assert not re.search(r"\d(?:[\s().\-/]*\d){7,}", masked)


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    assert mask_numbers(mask_numbers(text)) == mask_numbers(text)


def test_it_lies_beside_the_agents_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit_log, "_handler", None)
    monkeypatch.chdir(tmp_path)
    assert kit_log.log_folder() == tmp_path / "logs"
    elsewhere = tmp_path / "elsewhere"
    handler = logging.handlers.RotatingFileHandler(elsewhere / "agent.log", delay=True)
    monkeypatch.setattr(kit_log, "_handler", handler)
    assert kit_log.log_folder() == elsewhere


def test_a_tool_says_in_which_call_and_what_the_caller_said() -> None:
    phone = FakePhone()
    phone.attributes |= {
        "sip.callID": "SCL_9",
        "sip.callIDFull": "9@carrier",
        "sip.phoneNumber": "+15550009999",
    }
    room = FakeRoom(phone)

    class Item:
        type, role, text_content = "message", "user", "billing please"

    class Run:
        session = type("Session", (), {"history": type("History", (), {"items": [Item()]})})
        function_call = type("Call", (), {"name": "cold_transfer"})

    job = type("Job", (), {"room": room})
    assert asked_by_tool(job, Run()) == Asked(  # type: ignore[arg-type]
        "cold_transfer",
        "transfer",
        room.name,
        "SCL_9",
        "9@carrier",
        "billing please",
        "+15550009999",
    )


def test_an_outbound_call_that_is_answered_is_written_down_once() -> None:
    phone = FakePhone("ringing")
    phone.attributes = {"sip.callStatus": "ringing", "sip.phoneNumber": "+15550001234"}
    room = FakeRoom(phone)
    report = CallReport(room)  # type: ignore[arg-type]
    report.look()
    phone.attributes |= {"sip.callStatus": "active", "sip.callID": "SCL_7"}
    report.look()
    report.look()
    (entry,) = read_audit()
    assert (entry["kind"], entry["outcome"], entry["to"]) == ("call", "completed", "+15550001234")
    assert entry["sip_call_id"] == "SCL_7"


def test_an_inbound_call_is_nothing_that_we_dialled() -> None:
    report = CallReport(FakeRoom(FakePhone("active", CALLER)))  # type: ignore[arg-type]
    report.look()
    assert report.was_active
    assert read_audit() == []
