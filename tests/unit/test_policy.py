"""What may be dialled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vobiz_kit.directory import Destination, Directory, UnknownDestination
from vobiz_kit.errors import NumberRefused
from vobiz_kit.policy import CallLimit, check_destination
from vobiz_kit.settings import Settings

DOMAIN = "1a2b3c4d.sip.vobiz.ai"
SETTINGS = Settings(
    "cloud",
    vobiz_sip_domain=DOMAIN,
    vobiz_outbound_number="+15550001000",
    may_dial="+15550009900,+4930*",
    directory_numbers=(("billing", "+15550002222"), ("myself", "+15550001000")),
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
    with pytest.raises(NumberRefused, match="your own number"):
        check_destination(text, SETTINGS)


@pytest.mark.parametrize(
    "text", ["911", "112", "999", "100", "9-1-1", "tel:112", "sip:112@example.com", "+112", "+911"]
)
def test_emergency_numbers_are_for_people(text: str) -> None:
    with pytest.raises(NumberRefused, match="emergency number"):
        check_destination(text, SETTINGS)


def test_an_emergency_number_in_the_directory_cannot_be() -> None:
    with pytest.raises(NumberRefused):
        Directory({"police": "112"})


def test_foreign_hosts_unknown_names_and_nonsense_are_refused() -> None:
    with pytest.raises(NumberRefused, match=r"evil\.example"):
        check_destination("sip:+15550002222@evil.example", SETTINGS)
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
def test_what_the_settings_list_may_be_dialled_on_the_cloud(number: str) -> None:
    assert check_destination(number, SETTINGS).number == number


@pytest.mark.parametrize("number", ["+15550009901", "+4989123456"])
def test_nothing_else_is_dialled_on_the_cloud(number: str) -> None:
    with pytest.raises(NumberRefused, match="cost money") as refused:
        check_destination(number, SETTINGS)
    assert f"VOBIZ_KIT_MAY_DIAL={number}" in refused.value.fix


def test_the_lab_costs_nothing_and_dials_any_number() -> None:
    lab = replace(SETTINGS, backend="lab", may_dial="")
    assert check_destination("+15550009901", lab).number == "+15550009901"


def test_real_calls_are_limited_by_the_hour() -> None:
    now = 0.0
    limit = CallLimit(2, clock=lambda: now)
    limit.count(SETTINGS)
    now = 1800.0
    limit.count(SETTINGS)
    with pytest.raises(NumberRefused, match="2 real calls") as refused:
        limit.count(SETTINGS)
    assert "Wait 30 minutes" in refused.value.fix
    now = 3601.0
    limit.count(SETTINGS)  # the first is over an hour old


def test_the_lab_has_no_limit() -> None:
    limit = CallLimit(0)
    limit.count(replace(SETTINGS, backend="lab"))
