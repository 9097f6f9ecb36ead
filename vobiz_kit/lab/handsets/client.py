"""A phone of the lab in a notebook or a test: what `lab.phone("+15550009999")` gives.

    caller = lab.phone("+15550009999")
    await caller.dial(settings.vobiz_outbound_number)
    await caller.says("Please transfer me to billing")
    print(await caller.hears("how can I help", within=10))
    await caller.hang_up()

The phone itself, its SIP and its sound, lives in the handsets' process: a busy notebook does not
make it stutter. This is only its remote control, and works from any event loop.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from vobiz_kit.errors import CallError, NumberRefused, VobizKitError
from vobiz_kit.lab.handsets.phone import Awaited, NotAnswered, NotHeard, Side, Until
from vobiz_kit.numbers import parse_number

if TYPE_CHECKING:
    import httpx
    from IPython.display import Audio

#: The handsets answer so many seconds after the time that was given them, at the latest: what was
#: heard last is still being recognised.
_GRACE_S = 30.0

# Plain HTTP on loopback: no proxy on the way, no certificates to load (which takes 20 ms).
_LOOPBACK: dict[str, Any] = {"trust_env": False, "verify": False}

_UNREACHABLE = "Is the lab running? `await lab.up()`, or `vobiz-kit lab status`."


class Handset:
    """One phone of the lab.

    Args:
        number: Its number, in any form that `vobiz_kit.numbers.parse_number` reads.
        base_url: The handsets' HTTP address, e.g. ``http://127.0.0.1:40123``.

    Attributes:
        number: E.164.
        wav: What `recording` fetched last, as a WAV file; b"" before that.

    Raises:
        NumberRefused: that cannot be a number.
    """

    def __init__(self, number: str, base_url: str) -> None:
        self.number = parse_number(number)
        self.wav = b""
        self._base = base_url.rstrip("/")
        self._path = f"/phones/{quote(self.number, safe='')}"
        self._seen: dict[str, Any] = {}

    def plug_in(self) -> Handset:
        """Connect the phone to the network now, so that it can be rung from here on.

        Everything else does so too. This one blocks, for some milliseconds: it is for where the
        phone is made, before any ``await``.

        Returns:
            The phone itself.

        Raises:
            NumberRefused: no phone can have that number, e.g. the DID.
            CallError: the lab cannot be reached, or the carrier does not accept the phone.
        """
        import httpx

        try:
            response = httpx.post(self._base + self._path, timeout=10.0, **_LOOPBACK)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        self._note(self._checked(response).json())
        return self

    async def dial(
        self, number: str, within: float = 20.0, until: Until = "answered"
    ) -> dict[str, Any]:
        """Call a number and wait until it is answered; a call in progress is hung up first.

        Args:
            number: Whom to call, in any form that `vobiz_kit.numbers.parse_number` reads.
            within: Seconds; then the phone hangs up.
            until: "ringing" to return as soon as the other end rings.

        Returns:
            The phone's status: ``["call"]["rang"]``, ``["call"]["answered_after"]`` (seconds), …

        Raises:
            NotAnswered: it was refused, or not answered in time.
            NumberRefused: that cannot be a number; nothing was sent.
        """
        body = {"number": parse_number(number), "within": within, "until": until}
        return self._note(await self._do("dial", within, body))

    async def answer(self, within: float = 20.0) -> dict[str, Any]:
        """Wait so many seconds for the phone to ring and answer it; gives the phone's status.

        Raises:
            NotAnswered: nobody called in time.
        """
        return self._note(await self._do("answer", within, {"within": within}))

    async def says(self, text: str) -> float:
        """Say something; returns when the last word has left the phone.

        Returns:
            When that was, in Unix seconds.

        Raises:
            CallError: the phone is not in a call, or the call ended meanwhile.
        """
        answer = await self._do("says", len(text) / 4, {"text": text})
        return float(answer["said_at"])

    async def hears(self, words: str = "", within: float = 10.0) -> str:
        """Wait until these words have reached the phone, by the recogniser.

        Words are compared with a tolerance (see `vobiz_kit.lab.handsets.words`), and what was
        heard once is not heard again: the next `hears` listens from there on.

        Args:
            words: What is expected; "" for anything that is said.
            within: Seconds.

        Returns:
            All that was heard with the words, as the recogniser wrote it.

        Raises:
            NotHeard: not in time; ``.transcript`` is what was heard instead.
        """
        answer = await self._do("hears", within, {"expect": words, "within": within})
        return str(answer["heard"])

    async def press(self, digits: str) -> None:
        """Press keys (0-9, *, #, A-D), as telephone events (RFC 4733).

        Raises:
            CallError: the phone is not in a call, or there is no such key.
        """
        self._note(await self._do("press", len(digits), {"digits": digits}))

    async def hang_up(self) -> None:
        """End the call, decline it if the phone only rings, give up if it is dialing."""
        self._note(await self._do("hang_up", 0, {}))

    async def behave(self, **changes: Any) -> dict[str, Any]:
        """Change what the person at this phone does when it rings.

        Args:
            **changes: ``answer_after`` (seconds; None: only by `answer`), ``says`` (on
                answering), ``busy`` (486), ``declines`` (603), ``silence`` and ``longest`` (hang
                up after so many seconds of silence, or in all).

        Raises:
            VobizKitError: there is no such behaviour.
        """
        return self._note(await self._do("behave", 0, changes))

    async def wait_until(self, state: Awaited, within: float = 20.0) -> dict[str, Any]:
        """Wait until the phone is "ringing", "talking" or "ended".

        Raises:
            CallError: it did not get there in time.
        """
        query = {"until": state, "within": str(within)}
        return self._note((await self._ask("GET", "", within, params=query)).json())

    async def status(self) -> dict[str, Any]:
        """What the phone is doing: ``["state"]``, and ``["call"]``, its newest call."""
        return self._note((await self._ask("GET", "", 0)).json())

    async def recording(self, side: Side = "heard") -> Audio:
        """The newest call's sound, to be played in a notebook; `wav` has it as a file.

        Args:
            side: "heard" (what reached the phone), "said" (what it sent), or "both" (stereo).

        Raises:
            CallError: there was no call with sound yet.
        """
        self.wav = (await self._ask("GET", "/recording.wav", 0, params={"side": side})).content
        from IPython.display import Audio

        return Audio(data=self.wav)

    def __repr__(self) -> str:
        return f"<Handset {self.number}: {self._line()}>"

    def _repr_html_(self) -> str:
        return (
            f'<div role="status">Phone <strong>{escape(self.number)}</strong>: '
            f"{escape(self._line())}</div>"
        )

    def _line(self) -> str:
        """What was last known, in a few words: a repr cannot ask."""
        call = self._seen.get("call")
        if not call:
            return str(self._seen.get("state", "not asked yet"))
        direction = "called by" if call["direction"] == "incoming" else "calling"
        status = f"{call['sip_status']} {call['sip_reason']}".strip() if call["sip_status"] else ""
        return f"{self._seen['state']}, {direction} {call['other']}" + (
            f" ({status})" if status else ""
        )

    def _note(self, status: dict[str, Any]) -> dict[str, Any]:
        self._seen = status
        return status

    async def _do(self, action: str, within: float, body: dict[str, Any]) -> dict[str, Any]:
        response = await self._ask("POST", f"/{action}", within, json=body)
        answer: dict[str, Any] = response.json()
        return answer

    async def _ask(self, method: str, path: str, within: float, **request: Any) -> httpx.Response:
        import httpx

        timeout = httpx.Timeout(10.0, read=within + _GRACE_S)
        try:
            # A client of its own for each request: it belongs to the loop that runs now.
            async with httpx.AsyncClient(timeout=timeout, **_LOOPBACK) as client:
                response = await client.request(method, self._base + self._path + path, **request)
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        return self._checked(response)

    def _unreachable(self, error: Exception) -> CallError:
        return CallError(
            "The lab's phones cannot be reached.",
            evidence=f"{self._base}: {type(error).__name__} {error}".strip(),
            fix=_UNREACHABLE,
        )

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        try:
            raise_error(response.json()["error"])
        except (ValueError, LookupError, TypeError) as error:
            raise CallError(
                "The lab's phones gave an answer that makes no sense.",
                evidence=f"HTTP {response.status_code}: {response.text[:200]}",
                fix="Look at `vobiz-kit lab logs handsets`.",
            ) from error


async def reset(base_url: str) -> dict[str, Any]:
    """Hang up all phones of a lab, forget learners' phones, let people behave as they used to.

    Args:
        base_url: The handsets' HTTP address.

    Returns:
        ``{"calls": how many were ended, "phones": [numbers that were forgotten]}``.

    Raises:
        CallError: the lab cannot be reached.
    """
    import httpx

    try:
        async with httpx.AsyncClient(timeout=20.0, **_LOOPBACK) as client:
            response = await client.post(base_url.rstrip("/") + "/reset")
            response.raise_for_status()
    except httpx.HTTPError as error:
        raise CallError(
            "The lab's phones cannot be reached.",
            evidence=f"{base_url}: {type(error).__name__} {error}".strip(),
            fix=_UNREACHABLE,
        ) from error
    ended: dict[str, Any] = response.json()
    return ended


def raise_error(described: dict[str, Any]) -> NoReturn:
    """Raise what the handsets reported, as the exception that it was there."""
    what, evidence, fix = described["what"], described["evidence"], described["fix"]
    match described["type"]:
        case "NotHeard":
            raise NotHeard(
                what, evidence=evidence, fix=fix, transcript=list(described["transcript"])
            )
        case "NotAnswered":
            raise NotAnswered(what, evidence=evidence, fix=fix, sip_status=described["sip_status"])
        case "NumberRefused":
            raise NumberRefused(what, evidence=evidence, fix=fix)
        case "CallError":
            raise CallError(what, evidence=evidence, fix=fix, sip_status=described["sip_status"])
    raise VobizKitError(what, evidence=evidence, fix=fix)
