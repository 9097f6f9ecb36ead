"""The leg of a call that we begin (RFC 3261 section 13.2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiosipua import (
    CSeq,
    Dialog,
    SdpMessage,
    SipDigestAuth,
    SipRequest,
    SipResponse,
    Via,
    generate_branch,
    generate_call_id,
    generate_tag,
    parse_sdp,
    serialize_sdp,
    stringify_cseq,
    stringify_via,
)
from aiosipua.auth import answer_challenge

from vobiz_kit.lab.sip.events import Answered, Ringing
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.target import remote_target_address
from vobiz_kit.lab.sip.transport import Address
from vobiz_kit.lab.sip.validate import reason_phrase

if TYPE_CHECKING:
    from vobiz_kit.lab.sip.endpoint import SipEndpoint

log = logging.getLogger(__name__)


class OutgoingLeg(Leg):
    """An INVITE that we sent. `wait_answered`, or follow `on_event`; `hang_up` at any time."""

    def __init__(
        self,
        endpoint: SipEndpoint,
        request_uri: str,
        remote: Address,
        *,
        from_uri: str,
        to_uri: str,
        sdp: SdpMessage | None,
        headers: Mapping[str, str] | None,
        auth: SipDigestAuth | None,
        call_id: str,
    ) -> None:
        dialog = Dialog(
            call_id=call_id or generate_call_id(endpoint.address[0]),
            local_tag=generate_tag(),
            local_uri=from_uri,
            remote_uri=to_uri,
            remote_target=request_uri,
        )
        super().__init__(endpoint, dialog, remote)
        self.local_sdp = sdp
        self._request_uri = request_uri
        self._headers = dict(headers or {})
        self._auth = auth
        self._proceeding = False
        self._cancel_wanted = False

    def send_invite(self, authorization: tuple[str, str] | None = None) -> None:
        """Send the INVITE (again, with credentials, after a challenge)."""
        dialog, (host, port) = self.dialog, self._endpoint.address
        invite = SipRequest(method="INVITE", uri=self._request_uri)
        via = Via(host=host, port=port, params={"branch": generate_branch(), "rport": None})
        headers = {
            "Via": stringify_via(via),
            "From": f"<{dialog.local_uri}>;tag={dialog.local_tag}",
            "To": f"<{dialog.remote_uri}>",
            "Call-ID": dialog.call_id,
            "CSeq": stringify_cseq(CSeq(dialog.next_cseq(), "INVITE")),
            "Max-Forwards": "70",
            "Contact": self._endpoint.contact(dialog.local_uri),
            "Allow": self._endpoint.allow,
            "User-Agent": self._endpoint.user_agent,
            **self._headers,
        }
        if authorization is not None:
            headers[authorization[0]] = authorization[1]
        if self.local_sdp is not None:
            invite.text = serialize_sdp(self.local_sdp)
            headers["Content-Type"] = "application/sdp"
        for name, value in headers.items():
            invite.headers.set_single(name, value)
        self.invite = invite
        self._proceeding = False
        self._transaction = self._endpoint.transactions.send(
            invite, self.remote, self._response, self._timed_out
        )

    def hang_up(self, reason: str = "", headers: Mapping[str, str] | None = None) -> None:
        """End the leg: BYE if it was answered, else CANCEL (as soon as that is allowed)."""
        if self.is_up:
            why = {"Reason": reason} if reason else {}
            self.send_request("BYE", headers={**why, **(headers or {})})
            self._end("local", 0, reason)
        elif self.ended is None:
            self._cancel_wanted = True
            # Section 9.1: no CANCEL before a provisional response. Silence needs none.
            self._transaction.stop_repeating()
            if self._proceeding:
                self._cancel()
            self._end("local", 487, "cancelled")

    def _cancel(self) -> None:
        self._cancel_wanted = False
        invite = self.invite
        cancel = SipRequest(method="CANCEL", uri=invite.uri)
        for name in ("Via", "From", "To", "Call-ID", "Max-Forwards"):
            cancel.headers.set_single(name, invite.headers.get(name)[0])
        cseq = invite.cseq
        cancel.headers.set_single("CSeq", f"{cseq.seq if cseq else 1} CANCEL")
        cancel.headers.set_single("User-Agent", self._endpoint.user_agent)
        self._endpoint.transactions.send(cancel, self.remote)
        self._transaction.give_up_later()

    def _response(self, response: SipResponse, source: Address) -> None:
        status = response.status_code
        if status < 200:
            self._provisional(response)
        elif status < 300:
            self._success(response, source)
        elif self.ended is not None:
            return  # the 487 of our own CANCEL
        elif not (status in (401, 407) and self._authenticate(response, status)):
            self._end("remote", status, response.reason_phrase or reason_phrase(status), response)

    def _provisional(self, response: SipResponse) -> None:
        self._proceeding = True
        if self._cancel_wanted:
            self._cancel()
        if self.ended is not None or response.status_code == 100:
            return
        to = response.to_addr
        if to is not None and to.tag:
            self.dialog.remote_tag = to.tag
        sdp = self._description(response)
        self.remote_sdp = sdp or self.remote_sdp
        self._tell(Ringing(response.status_code, response.reason_phrase, sdp, response))

    def _success(self, response: SipResponse, source: Address) -> None:
        to = response.to_addr
        tag = (to.tag if to else "") or ""
        if self.answered_at and tag != self.dialog.remote_tag:
            self._refuse_fork(response, tag, source)  # a second phone behind a forking proxy
            return
        if not self.answered_at:
            self.dialog.remote_tag = tag
            self.dialog.route_set = list(reversed(response.headers.get("record-route")))
            self.remote = remote_target_address(response, self.dialog, source)
        self._acknowledge()
        if self.answered_at:
            return  # a repeated 200: our ACK was lost
        if self.ended is not None:
            # The 200 crossed our CANCEL: the other side believes in a call. Tell it otherwise.
            self.answered_at = self.ended_at
            self.send_request("BYE")
            return
        self.remote_sdp = self._description(response) or self.remote_sdp
        self._up()
        self._tell(Answered(self.remote_sdp, response))

    def _acknowledge(self) -> None:
        """ACK of a 2xx: a request of the dialog with the INVITE's CSeq, never repeated."""
        self._endpoint.send_ack(self.dialog, self.invite, self.remote)

    def _refuse_fork(self, response: SipResponse, tag: str, source: Address) -> None:
        fork = Dialog(
            call_id=self.dialog.call_id,
            local_tag=self.dialog.local_tag,
            remote_tag=tag,
            local_uri=self.dialog.local_uri,
            remote_uri=self.dialog.remote_uri,
            local_cseq=self.dialog.local_cseq,
        )
        remote = remote_target_address(response, fork, source)
        self._endpoint.send_ack(fork, self.invite, remote)
        host, port = self._endpoint.address
        self._endpoint.transactions.send(
            fork.create_request("BYE", via_host=host, via_port=port), remote
        )

    def _authenticate(self, response: SipResponse, status: int) -> bool:
        """Send the INVITE again with credentials; once only."""
        if self._auth is None or self.ended is not None:
            return False
        answer = answer_challenge(self._auth, response, status, "INVITE", self._request_uri)
        self._auth = None
        if answer is None:
            return False
        self.send_invite(answer)
        return True

    def _description(self, response: SipResponse) -> SdpMessage | None:
        kind = (response.content_type or "").partition(";")[0].strip().lower()
        if not response.body or kind != "application/sdp":
            return None
        try:
            return parse_sdp(response.text)
        except ValueError as error:
            log.info("%s answered with broken SDP: %s", self.call_id, error)
            return None

    def _timed_out(self) -> None:
        self._end("timeout", 408, reason_phrase(408))
