"""The widgets without a browser: buttons are clicked by code, a call's state is real."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any

import ipywidgets
import pytest
from ipywidgets.widgets.widget import _instances

from tests.unit.call_fakes import cloud_settings
from vobiz_kit.call_events import CallEvent, Line
from vobiz_kit.call_state import CallState
from vobiz_kit.errors import CallError, NumberRefused, TransferError
from vobiz_kit.outcomes import DialOutcome, TransferOutcome
from vobiz_kit.widgets import CallPanel, TranscriptView, TransferPanel
from vobiz_kit.widgets import panel as panel_module
from vobiz_kit.widgets.call_model import STATUS_WORDS, CallModel
from vobiz_kit.widgets.panel import Panel, duration_text

SETTINGS = cloud_settings()
BILLING = "billing (+15550002222)"
NASTY = "<script>alert('1')</script>"


class ScriptedCall(CallState):
    """A call without a network: the real state, and actions that only do as the test says."""

    settings = SETTINGS

    def __init__(self) -> None:
        super().__init__("vobiz-out-test", phone_number="+15550001234", direction="outbound")
        self.outcome_to_come = TransferOutcome("completed", BILLING, seconds=1.0)
        self.go_on = asyncio.Event()
        self.go_on.set()

    def become(self, sip_status: str) -> None:
        self.phone_seen({"sip.callStatus": sip_status}, "phone")

    def speak(self, speaker: Any, text: str, *, final: bool = True, segment: str = "") -> None:
        self.said(Line(time.time(), speaker, text, final), segment or text)

    async def hang_up(self) -> None:
        self.room_ended("ROOM_DELETED")

    async def transfer(self, destination: str) -> TransferOutcome:
        if destination == "nobody":
            raise NumberRefused("The directory has no destination called 'nobody'.")
        text = f"asking the carrier to connect {destination}"
        self.told(CallEvent(time.time(), "transfer", text, {"to": "+15550002222"}))
        await self.go_on.wait()
        self.concluded(self.outcome_to_come, time.time())
        return self.outcome_to_come


class DialPanel(CallPanel):
    """A call panel whose calls are scripted."""

    def __init__(self, *args: Any, fails: Exception | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.placed: list[str] = []
        self.fails = fails

    async def _place_call(self, number: str) -> ScriptedCall:
        self.placed.append(number)
        await asyncio.sleep(0)
        if self.fails:
            raise self.fails
        return ScriptedCall()


async def until(true: Callable[[], object]) -> None:
    """Let the event loop run until it is true."""
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it did not come true")


@pytest.fixture
async def close() -> AsyncIterator[Callable[[Panel], Panel]]:
    """Closes the panels of a test, and checks that nothing of them is left."""
    panels: list[Any] = []

    def keep(panel: Any) -> Any:
        panels.append(panel)
        return panel

    yield keep
    for panel in panels:
        await panel.aclose()
        assert len(panel.tasks) == 0
        assert panel.comm is None


def words(widget: ipywidgets.HTML) -> str:
    return str(widget.value)


# The model


async def test_the_model_follows_a_call_from_its_beginning():
    call, model = ScriptedCall(), CallModel()
    call.become("dialing")
    model.follow(call)
    assert model.status == "dialing"
    call.become("active")
    call.speak("agent", "Hello")
    await until(lambda: model.lines == (("agent", "Hello", True),))
    assert model.status == "active"
    assert model.answered_at > 0
    await call.hang_up()
    await until(lambda: model.status == "ended")
    assert model.duration() == model.ended_at - model.answered_at
    assert model.over


async def test_the_model_catches_up_with_a_call_that_is_under_way():
    call, model = ScriptedCall(), CallModel()
    call.become("active")
    call.speak("caller", "Billing please")
    model.follow(call)
    assert model.lines == (("caller", "Billing please", True),)
    assert model.duration(now=model.answered_at + 65) == 65


async def test_a_growing_sentence_is_one_line():
    call, model = ScriptedCall(), CallModel()
    model.follow(call)
    call.speak("caller", "Please", final=False, segment="1")
    call.speak("caller", "Please transfer me", final=True, segment="1")
    await until(lambda: model.lines == (("caller", "Please transfer me", True),))


async def test_an_unfollowed_call_changes_nothing():
    call, model = ScriptedCall(), CallModel()
    model.follow(call)
    model.unfollow()
    call.become("active")
    await asyncio.sleep(0)
    assert model.status == "dispatched"
    assert call._subscribers == []


async def test_a_failed_call_has_its_reason():
    call, model = ScriptedCall(), CallModel()
    model.follow(call)
    call.concluded(DialOutcome("busy", "+15550004486", 486, "Busy Here"), time.time())
    await until(lambda: model.status == "failed")
    assert "486 Busy Here" in model.reason


def test_every_status_of_a_call_has_a_sign_and_words():
    from typing import get_args

    from vobiz_kit.call_events import Status

    assert set(STATUS_WORDS) == {"", *get_args(Status)}
    assert all(sign and text for sign, text in STATUS_WORDS.values())


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (3600, "60:00")])
def test_durations_are_minutes_and_seconds(seconds: float, text: str):
    assert duration_text(seconds) == text


# The call panel


async def test_a_number_is_judged_while_it_is_typed(close: Any):
    panel = close(DialPanel())
    assert panel.place_button.disabled
    panel.number.value = "+1 555 000"
    assert "Cannot be dialled" in words(panel._verdict)
    assert panel.place_button.disabled
    panel.number.value = "+1 (555) 000-1234"
    assert "Will dial" in words(panel._verdict)
    assert "+15550001234" in words(panel._verdict)
    assert not panel.place_button.disabled


async def test_with_settings_aliases_count_and_the_policy_too(close: Any):
    panel = close(DialPanel(SETTINGS, "Billing"))
    assert BILLING in words(panel._verdict)
    panel.number.value = SETTINGS.vobiz_outbound_number
    assert "in a circle" in words(panel._verdict)
    assert panel.place_button.disabled


async def test_the_button_places_a_call(close: Any):
    panel = close(DialPanel(number="+15550001234"))
    panel.place_button.click()
    assert panel.place_button.disabled or panel.call is None
    await until(lambda: panel.call is not None)
    assert panel.placed == ["+15550001234"]
    assert panel.place_button.disabled
    assert not panel.hang_up_button.disabled
    assert "Dispatched" in words(panel._status)


async def test_code_does_what_the_button_does(close: Any):
    panel = close(DialPanel(number="+15550001234"))
    call = await panel.place()
    assert call is panel.call
    call.become("active")
    await until(lambda: "Answered" in words(panel._status))
    call.speak("agent", "Hello there")
    await until(lambda: "Hello there" in words(panel._transcript))
    assert "Duration: 0:0" in words(panel._duration)
    assert len(panel.tasks) == 1  # it counts the seconds
    panel.hang_up_button.click()
    await until(lambda: "Ended" in words(panel._status))
    assert panel.hang_up_button.disabled
    assert not panel.place_button.disabled


async def test_a_second_call_waits_for_the_first(close: Any):
    panel = close(DialPanel(number="+15550001234"))
    await panel.place()
    with pytest.raises(CallError, match="still in progress"):
        await panel.place()
    assert panel.placed == ["+15550001234"]
    await panel.hang_up()
    await until(lambda: panel.model.over)
    await panel.place()
    assert len(panel.placed) == 2


async def test_two_clicks_place_one_call(close: Any):
    panel = close(DialPanel(number="+15550001234"))
    panel.place_button.click()
    panel.place_button.click()
    await until(lambda: panel.call is not None and len(panel.tasks) == 0)
    assert len(panel.placed) == 1


async def test_an_error_of_a_button_is_shown_and_kept(close: Any):
    error = CallError("LiveKit did not take the call.", fix="Is it running?")
    panel = close(DialPanel(number="+15550001234", fails=error))
    panel.place_button.click()
    await until(lambda: panel.error is error)
    assert 'role="alert"' in words(panel._problem)
    assert "Is it running?" in words(panel._problem)
    assert not panel.place_button.disabled
    panel.fails = None
    await panel.place()
    assert panel.error is None
    assert words(panel._problem) == ""


async def test_an_error_in_code_is_raised_and_shown(close: Any):
    panel = close(DialPanel(number="nonsense"))
    with pytest.raises(NumberRefused):
        await panel.place()
    assert isinstance(panel.error, NumberRefused)
    with pytest.raises(CallError, match="no call to hang up"):
        await panel.hang_up()


async def test_a_panel_can_be_put_on_a_call_that_is_there(close: Any):
    call = ScriptedCall()
    call.become("active")
    panel = close(CallPanel(call=call))
    assert "Answered" in words(panel._status)
    assert panel.place_button.disabled


async def test_the_reason_of_a_failure_is_shown(close: Any):
    panel = close(DialPanel(number="+15550004486"))
    call = await panel.place()
    call.concluded(DialOutcome("busy", "+15550004486", 486, "Busy Here"), time.time())
    await until(lambda: "Failed" in words(panel._status))
    assert "486 Busy Here" in words(panel._status)
    assert "486 Busy Here" in panel.text()


# The transfer panel


def on_a_call(close: Any) -> tuple[ScriptedCall, TransferPanel]:
    call = ScriptedCall()
    call.become("active")
    return call, close(TransferPanel(call))


async def test_the_directory_is_the_buttons(close: Any):
    _, panel = on_a_call(close)
    assert list(panel.buttons) == ["billing", "sales"]
    assert [b.description for b in panel.buttons.values()] == ["billing", "sales"]
    assert not panel.buttons["billing"].disabled
    assert panel.number_button.disabled
    panel.number.value = "+15550004486"
    assert not panel.number_button.disabled


async def test_only_an_answered_call_can_be_transferred(close: Any):
    call = ScriptedCall()
    panel = close(TransferPanel(call))
    assert panel.buttons["billing"].disabled
    call.become("active")
    await until(lambda: not panel.buttons["billing"].disabled)


async def test_a_click_transfers_and_the_outcome_is_told(close: Any):
    call, panel = on_a_call(close)
    call.go_on.clear()
    panel.buttons["billing"].click()
    await until(lambda: "asking the carrier to connect billing" in words(panel._result))
    assert panel.buttons["sales"].disabled
    assert "Transferring" in words(panel._status)
    call.go_on.set()
    await until(lambda: panel.outcome is not None)
    assert "✓ Billing (+15550002222) answered" in words(panel._result)
    call.job_over(panel._concluded + 0.31)
    await until(lambda: "compute: ended after 0.31 s" in words(panel._result))
    assert "compute: ended after 0.31 s" in panel.text()


async def test_code_gets_the_outcome(close: Any):
    call, panel = on_a_call(close)
    call.outcome_to_come = TransferOutcome("busy", BILLING, 486, "Busy Here")
    outcome = await panel.transfer("billing")
    assert outcome is panel.outcome
    assert not outcome.ok
    assert panel.error is None
    assert "✗ Billing (+15550002222) is busy" in words(panel._result)
    await until(lambda: not panel.buttons["billing"].disabled)
    assert "compute" not in words(panel._result)


async def test_the_number_field_transfers_too(close: Any):
    _, panel = on_a_call(close)
    panel.number.value = "+15550004486"
    panel.number_button.click()
    await until(lambda: panel.outcome is not None)
    assert "connect +15550004486" in words(panel._result)


async def test_a_refused_destination_is_an_error(close: Any):
    _, panel = on_a_call(close)
    with pytest.raises(NumberRefused):
        await panel.transfer("nobody")
    assert "no destination called" in words(panel._problem)
    assert not panel.buttons["billing"].disabled


async def test_one_transfer_at_a_time(close: Any):
    call, panel = on_a_call(close)
    call.go_on.clear()
    first = asyncio.create_task(panel.transfer("billing"))
    await until(lambda: panel._busy)
    with pytest.raises(TransferError, match="already under way"):
        await panel.transfer("sales")
    call.go_on.set()
    assert (await first).ok


async def test_the_agents_own_transfer_is_shown(close: Any):
    call, panel = on_a_call(close)
    await call.transfer("billing")
    await until(lambda: panel.outcome is call.outcome)
    assert "asking the carrier" in words(panel._result)
    late = close(TransferPanel(call))
    assert late.outcome is call.outcome


async def test_a_new_transfer_clears_the_last_one(close: Any):
    call, panel = on_a_call(close)
    call.outcome_to_come = TransferOutcome("busy", BILLING, 486, "Busy Here")
    await panel.transfer("billing")
    await until(lambda: call.status == "active" and panel._concluded)
    call.outcome_to_come = TransferOutcome("completed", BILLING)
    await panel.transfer("sales")
    await until(lambda: "connect sales" in words(panel._result))
    assert "connect billing" not in words(panel._result)


# The transcript


async def test_the_transcript_names_its_speakers(close: Any):
    call = ScriptedCall()
    view = close(TranscriptView(call))
    assert "Nothing has been said yet" in words(view._transcript)
    call.speak("agent", "Hello", segment="1")
    call.speak("caller", "I", final=False, segment="2")
    await until(lambda: "still speaking" in words(view._transcript))
    assert "<strong>agent</strong> <span>Hello" in words(view._transcript)
    assert view.text().splitlines()[1:] == [" agent: Hello", "caller: I …"]


async def test_a_long_call_shows_its_last_lines(close: Any):
    call = ScriptedCall()
    for i in range(100):
        call.speak("agent", f"line {i}")
    html = words(close(TranscriptView(call))._transcript)
    assert "40 earlier lines" in html
    assert "line 39<" not in html and "line 40<" in html and "line 99<" in html


async def test_the_status_is_set_only_when_it_changes(close: Any):
    """A screen reader announces it each time it is set."""
    call = ScriptedCall()
    view = close(TranscriptView(call))
    call.become("active")
    await until(lambda: "Answered" in words(view._status))
    seen: list[Any] = []
    view._status.observe(seen.append, "value")
    for i in range(5):
        call.speak("agent", f"line {i}")
    await until(lambda: "line 4" in words(view._transcript))
    assert seen == []


# All of them


async def every_panel(close: Any) -> list[Panel]:
    call = ScriptedCall()
    call.become("active")
    call.speak("caller", NASTY)
    await asyncio.sleep(0)
    return [close(CallPanel(call=call)), close(TransferPanel(call)), close(TranscriptView(call))]


def controls(widget: Any) -> list[Any]:
    inner = [c for child in getattr(widget, "children", ()) for c in controls(child)]
    return inner + [widget] * isinstance(widget, ipywidgets.Button | ipywidgets.Text)


async def test_every_control_has_a_name_in_words(close: Any):
    for panel in await every_panel(close):
        for control in controls(panel):
            assert len(control.description) > 3
            assert not getattr(control, "icon", "")


async def test_what_people_say_is_not_obeyed(close: Any):
    for panel in await every_panel(close):
        assert "<script" not in panel.html()
        for child in panel.children:
            assert "<script" not in getattr(child, "value", "")


async def test_there_is_something_to_read_without_a_kernel(close: Any):
    for panel in await every_panel(close):
        bundle = panel._repr_mimebundle_()
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert "Answered" in bundle["text/plain"] and "Answered" in bundle["text/html"]


async def test_a_closed_panel_leaves_nothing_behind():
    call = ScriptedCall()
    call.become("active")
    before = dict(_instances)
    panels = [CallPanel(call=call), TransferPanel(call), TranscriptView(call)]
    assert len(call._subscribers) == 3
    for panel in panels:
        await panel.aclose()
        await panel.aclose()  # twice does no harm
    assert call._subscribers == []
    assert dict(_instances) == before
    assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("vobiz-widget")]


async def test_running_a_cell_again_closes_what_it_made(monkeypatch: pytest.MonkeyPatch):
    parent = {"metadata": {"cellId": "cell-1"}, "header": {"msg_id": "run-1"}}
    shell = SimpleNamespace(get_parent=lambda: parent)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(panel_module, "_BY_CELL", {})
    call = ScriptedCall()
    first, beside = TranscriptView(call), CallPanel(call=call)
    assert first.comm is not None and beside.comm is not None
    for run in range(20):
        parent["header"] = {"msg_id": f"run-{run + 2}"}
        last = TranscriptView(call)
    assert first.comm is None and beside.comm is None
    assert len(call._subscribers) == 1
    parent["metadata"] = {"cellId": "cell-2"}
    other = TranscriptView(call)
    assert last.comm is not None
    for panel in (last, other):
        await panel.aclose()


def test_asking_for_the_package_imports_no_widgets():
    code = (
        "import sys, vobiz_kit, vobiz_kit.widgets;"
        "sys.exit(any(name in sys.modules for name in ('ipywidgets', 'traitlets', 'livekit')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
