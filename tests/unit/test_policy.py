"""What may be dialled."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

import vobiz_kit
from vobiz_kit.asked import Asked
from vobiz_kit.audit import audit_file, read_audit
from vobiz_kit.dial_limits import DialLimits
from vobiz_kit.directory import Destination, Directory, UnknownDestination
from vobiz_kit.errors import NotAllowed, NumberRefused
from vobiz_kit.policy import check_destination
from vobiz_kit.settings import Settings

DOMAIN = "1a2b3c4d.sip.vobiz.ai"
SETTINGS = Settings(
    "cloud",
    vobiz_sip_domain=DOMAIN,
    vobiz_outbound_number="+15550001000",
    may_dial="+15550009900,+4930*",
    directory_numbers=(("billing", "+15550002222"), ("myself", "+15550001000")),
)
LAB = replace(SETTINGS, backend="lab", may_dial="")
AMERICAN = replace(SETTINGS, vobiz_outbound_number="+12025550123", may_dial="")
INDIAN = replace(SETTINGS, vobiz_outbound_number="+918012345678", may_dial="")
BY_TOOL = Asked(
    "transfer_call", "transfer", "vobiz-in-1", "SCL_1", "1@carrier", "to billing please"
)


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("the billing department", Destination("billing", "+15550002222")),
        ("+15550002222", Destination("billing", "+15550002222")),
        ("+1 555 000 9900", Destination(None, "+15550009900")),
        (f"sip:+15550009900@{DOMAIN}", Destination(None, "+15550009900")),
    ],
)
def test_what_may_be_dialled_is_resolved(text: str, destination: Destination) -> None:
    assert check_destination(text, SETTINGS) == destination


@pytest.mark.parametrize(
    "text", ["+15550001000", "tel:+1-555-000-1000", f"sip:+15550001000@{DOMAIN}", "myself"]
)
def test_ones_own_number_would_loop(text: str) -> None:
    for settings in (SETTINGS, LAB, replace(SETTINGS, may_dial="+15550001000")):
        with pytest.raises(NotAllowed, match="your own number") as refused:
            check_destination(text, settings)
        assert refused.value.rule == "own_number"


@pytest.mark.parametrize(
    "text",
    ["911", "112", "999", "100", "9-1-1", "nine one one", "tel:112", "sip:112@example.com"]
    + ["+112", "+911", "+44 999", "+91 112", "\uff19\uff11\uff11", "tel:911;phone-context=+1"],
)
def test_emergency_numbers_are_for_people(text: str) -> None:
    with pytest.raises(NotAllowed, match="emergency number") as refused:
        check_destination(text, replace(SETTINGS, may_dial="+9*,+1*,+4*"))
    assert "hang up and dial them yourself" in refused.value.spoken


@pytest.mark.parametrize("text", ["+911123456789", "+4911212345678", "+4989112"])
def test_a_number_that_only_contains_an_emergency_number_is_none(text: str) -> None:
    assert check_destination(text, replace(SETTINGS, may_dial=text)).number == text


def test_an_emergency_number_in_the_directory_cannot_be() -> None:
    with pytest.raises(NumberRefused):
        Directory({"police": "112"})
    with pytest.raises(NotAllowed, match="emergency"):
        check_destination("911", SETTINGS, Directory({"911": "+15550002222"}))


def test_foreign_hosts_unknown_names_and_nonsense_are_refused() -> None:
    for directory in (None, Directory({"billing": "+15550002222"})):
        with pytest.raises(NumberRefused, match=r"evil\.example"):
            check_destination("sip:+15550002222@evil.example", SETTINGS, directory)
    with pytest.raises(NumberRefused, match="not set"):
        check_destination(f"sip:+15550002222@{DOMAIN}", replace(SETTINGS, vobiz_sip_domain=""))
    with pytest.raises(UnknownDestination, match="billing"):
        check_destination("biling", SETTINGS)
    with pytest.raises(NumberRefused, match="control"):
        check_destination("+15550002222\r\nX-Evil: 1", SETTINGS)


def test_a_directory_of_ones_own_counts() -> None:
    own = Directory({"kitchen": "+15550007777"})
    assert check_destination("kitchen", SETTINGS, own).number == "+15550007777"
    with pytest.raises(UnknownDestination, match="kitchen"):
        check_destination("billing", SETTINGS, own)


@pytest.mark.parametrize("number", ["+15550009900", "+493012345678"])
def test_what_the_settings_list_may_be_dialled(number: str) -> None:
    for settings in (SETTINGS, replace(SETTINGS, backend="lab")):
        assert check_destination(number, settings).number == number


@pytest.mark.parametrize("number", ["+15550009901", "+4989123456"])
def test_nothing_else_is_dialled_on_the_cloud(number: str) -> None:
    with pytest.raises(NotAllowed, match="do not allow that number") as refused:
        check_destination(number, SETTINGS)
    assert f"add {number} to VOBIZ_KIT_MAY_DIAL" in refused.value.fix


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        (AMERICAN, "+14155552671"),
        (INDIAN, "+919876543210"),
        (INDIAN, "+911123456789"),
        (replace(SETTINGS, vobiz_outbound_number="+18765551234", may_dial=""), "+18765551235"),
        (replace(SETTINGS, vobiz_outbound_number="+37122345678", may_dial=""), "+37122345679"),
    ],
)
def test_ordinary_numbers_of_ones_own_country_may_be_dialled(
    settings: Settings, number: str
) -> None:
    assert check_destination(number, settings).number == number


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        (AMERICAN, "+919876543210"),
        (AMERICAN, "+12042345678"),  # Canada
        (AMERICAN, "+18765551234"),  # Jamaica
        (AMERICAN, "+19002345678"),
        (AMERICAN, "+12129761234"),
        (AMERICAN, "+12025551212"),
        (AMERICAN, "+18002345678"),  # freephone is no person's line
        (AMERICAN, "+15550009901"),
        (AMERICAN, "+19112345678"),
        (INDIAN, "+12025550123"),
        (INDIAN, "+918600000000000"),
        (INDIAN, "+911860123456"),
    ],
)
def test_all_other_numbers_may_not(settings: Settings, number: str) -> None:
    with pytest.raises(NumberRefused):
        check_destination(number, settings)


def test_the_labs_number_plan_may_be_dialled_in_the_lab_and_nothing_else() -> None:
    assert check_destination("+15550009901", LAB).number == "+15550009901"
    for number in ("+61491570156", "+12025550123", "+919876543210"):
        with pytest.raises(NotAllowed):
            check_destination(number, LAB)


DEAR = [
    ("+19002345678", "premium"),
    ("+12129761234", "premium"),
    ("+41900123456", "premium"),
    ("+979123456789", "premium"),
    ("+80812345678", "premium"),
    ("+447012345678", "premium"),
    ("+870773111632", "satellite"),
    ("+881612345678", "satellite"),
    ("+8821612345678", "satellite"),
    ("+883510001234567", "global_service"),
    ("+18765551234", "revenue_share"),
    ("+5351234567", "revenue_share"),
    ("+19112345678", "unassigned"),
]


@pytest.mark.parametrize(("number", "rule"), DEAR)
def test_dear_numbers_are_allowed_by_their_whole_number_only(number: str, rule: str) -> None:
    for prefix in (number[:3], number[:-1], number):
        with pytest.raises(NotAllowed, match="whole number") as refused:
            check_destination(number, replace(SETTINGS, may_dial=f"{prefix}*"))
        assert refused.value.rule == rule
    assert check_destination(number, replace(SETTINGS, may_dial=f"+1,{number}")).number == number
    listed = Directory({"the ship": number})
    assert check_destination("the ship", SETTINGS, listed).number == number


def test_freephone_and_foreign_lines_are_allowed_by_a_prefix() -> None:
    for number in ("+18002345678", "+12042345678", "+17875551234"):
        assert check_destination(number, replace(AMERICAN, may_dial="+1*")).number == number


# What is counted


def ask(room: str = "vobiz-in-1", kind: str = "transfer") -> Asked:
    return replace(BY_TOOL, room=room, kind=kind)  # type: ignore[arg-type]


def test_transfers_of_one_call_are_limited_everywhere() -> None:
    limits = DialLimits()
    settings = replace(LAB, transfers_per_call=2)
    for _ in range(2):
        check_destination("billing", settings, asked=ask(), limits=limits)
    with pytest.raises(NotAllowed, match="2 transfers have been tried") as refused:
        check_destination("billing", settings, asked=ask(), limits=limits)
    assert refused.value.rule == "transfers_per_call"
    assert "too often" in refused.value.spoken
    check_destination("billing", settings, asked=ask("vobiz-in-2"), limits=limits)


def test_who_asks_for_what_is_forbidden_uses_up_his_attempts_and_who_is_misheard_does_not() -> None:
    limits = DialLimits()
    settings = replace(LAB, transfers_per_call=2)
    for _ in range(9):
        for misheard in ("the moon", "+1555", "5550002222"):
            with pytest.raises(NumberRefused):
                check_destination(misheard, settings, asked=ask(), limits=limits)
    for _ in range(2):
        with pytest.raises(NotAllowed, match="satellite"):
            check_destination("+870773111632", settings, asked=ask(), limits=limits)
    with pytest.raises(NotAllowed, match="have been tried"):
        check_destination("billing", settings, asked=ask(), limits=limits)
    # An emergency keeps its own sentence, whatever was counted.
    with pytest.raises(NotAllowed, match="emergency"):
        check_destination("911", settings, asked=ask(), limits=limits)


@pytest.mark.parametrize("kind", ["call", "transfer"])
def test_real_calls_and_transfers_are_limited_by_the_hour(kind: str) -> None:
    now = 0.0
    limits = DialLimits(clock=lambda: now)
    settings = replace(SETTINGS, calls_per_hour=2, transfers_per_hour=2)
    check_destination("billing", settings, asked=ask("1", kind), limits=limits)
    now = 1800.0
    check_destination("billing", settings, asked=ask("2", kind), limits=limits)
    with pytest.raises(NotAllowed, match=f"2 real {kind}s") as refused:
        check_destination("billing", settings, asked=ask("3", kind), limits=limits)
    assert "Wait 30 minutes" in refused.value.fix
    assert f"VOBIZ_KIT_{kind.upper()}S_PER_HOUR" in refused.value.fix
    other = "transfer" if kind == "call" else "call"
    check_destination("billing", settings, asked=ask("4", other), limits=limits)
    now = 3601.0  # the first is over an hour old
    check_destination("billing", settings, asked=ask("5", kind), limits=limits)


def test_the_steps_of_one_call_count_as_one_call() -> None:
    limits = DialLimits()
    settings = replace(SETTINGS, calls_per_hour=1)
    for by in ("place_call", "dial", "dial"):
        asked = Asked(by, "call", "vobiz-out-1")
        check_destination("billing", settings, asked=asked, limits=limits)
    with pytest.raises(NotAllowed, match="1 real calls"):
        check_destination("billing", settings, asked=ask("2", "call"), limits=limits)


def test_a_limit_of_nothing_allows_nothing() -> None:
    with pytest.raises(NotAllowed, match="limit") as refused:
        check_destination("billing", replace(SETTINGS, calls_per_hour=0), asked=ask(kind="call"))
    assert "is 0" in refused.value.evidence


def test_the_lab_is_free_by_the_hour() -> None:
    settings = replace(LAB, calls_per_hour=0, transfers_per_hour=0)
    for kind in ("call", "transfer"):
        check_destination("billing", settings, asked=ask(kind=kind), limits=DialLimits())


def test_looking_costs_nothing_and_leaves_no_trace() -> None:
    before = len(read_audit())
    settings = replace(SETTINGS, calls_per_hour=0, transfers_per_hour=0, transfers_per_call=0)
    assert check_destination("billing", settings).alias == "billing"
    assert len(read_audit()) == before


# What is written down


def test_every_decision_is_in_the_audit_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vobiz_kit.audit.log_folder", lambda: tmp_path)
    limits = DialLimits()
    settings = replace(SETTINGS, transfers_per_call=3)
    tries = ["billing", "+15550009900", "911", "biling", "12", "+19002345678", "billing"]
    for text in tries:
        try:
            check_destination(text, settings, asked=BY_TOOL, limits=limits)
        except NumberRefused as refusal:
            assert read_audit()[-1]["why"].startswith(refusal.what)
    entries = read_audit()
    assert [(entry["asked"], entry["decision"], entry["rule"]) for entry in entries] == [
        ("billing", "allowed", "directory"),
        ("+15550009900", "allowed", "may_dial"),
        ("911", "refused", "emergency"),
        ("biling", "refused", "unknown_name"),
        ("12", "refused", "no_number"),
        ("+19002345678", "refused", "premium"),
        ("billing", "refused", "transfers_per_call"),
    ]
    for entry in entries:
        assert (entry["event"], entry["by"], entry["kind"]) == (
            "decision",
            "transfer_call",
            "transfer",
        )
        assert (entry["room"], entry["sip_call_id"], entry["bridge_uuid"], entry["said"]) == (
            "vobiz-in-1",
            "SCL_1",
            "1@carrier",
            "to billing please",
        )
    assert entries[0]["to"] == "billing (+15550002222)"
    assert audit_file().parent == tmp_path


def test_whoever_dials_says_who_asks() -> None:
    """Without it a call would be neither counted nor in the audit log."""
    package = Path(vobiz_kit.__file__).parent
    silent = []
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "check_destination":
                named = any(keyword.arg == "asked" for keyword in node.keywords)
                if not named and len(node.args) < 4:
                    silent.append(path.relative_to(package).as_posix())
    assert silent == ["widgets/call_panel.py"]  # which says what would be dialled, as one types
