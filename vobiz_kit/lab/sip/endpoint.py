"""A SIP endpoint on one UDP socket: what the stand-in carrier and the handsets are made of.

    endpoint = SipEndpoint("127.0.0.1", 0, user_agent="vobiz-lab phones")
    endpoint.on_invite = ring_somebody          # called with an IncomingLeg, must not block
    await endpoint.start()
    leg = endpoint.invite("sip:+15550001000@127.0.0.1:5060", ("127.0.0.1", 5060),
                          from_uri="sip:+15550009999@lab", sdp=rtp.offer())
    await leg.wait_answered()                   # CallRefused(status, reason) if not
    rtp.accept_answer(leg.remote_sdp)
    leg.hang_up()
    await endpoint.aclose()

Parsing, dialogs, digest answers and registrations are aiosipua's. Transactions (retransmission,
ACK of refusals) are in `transactions`, legs in `legs`, `incoming` and `outgoing`, REFER in
`refer`; `dispatch` decides who gets what comes in, after the checks in `validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiosipua import Dialog, Registration, SdpMessage, SipDigestAuth, SipRequest, parse_uri

from vobiz_kit.lab.sip.dispatch import Dispatcher, OutOfDialogRequest
from vobiz_kit.lab.sip.incoming import IncomingLeg
from vobiz_kit.lab.sip.leg_table import LegTable
from vobiz_kit.lab.sip.legs import Leg
from vobiz_kit.lab.sip.outgoing import OutgoingLeg
from vobiz_kit.lab.sip.registration import RegistrationRefused, ThroughTransactions, register
from vobiz_kit.lab.sip.transactions import TransactionLayer
from vobiz_kit.lab.sip.transport import Address, TraceHook, UdpTransport

__all__ = ["OutOfDialogRequest", "RegistrationRefused", "SipEndpoint"]


class SipEndpoint:
    """One socket's worth of SIP.

    Args:
        host: Address to bind.
        port: Port to bind; 0 picks a free one.
        user_agent: What the User-Agent header says.
        on_trace: Called for every datagram, see `transport.TraceHook`.
        send_delay: Seconds that every datagram waits before it leaves, see `UdpTransport`.

    Attributes:
        on_invite: Called with each new `IncomingLeg`. Whatever it has not answered when it
            returns gets a 100. None refuses all calls with 480.
        on_register: Called with each REGISTER. None means 405: this is no registrar.
        transactions: The transaction layer, for requests outside dialogs.
        uac: aiosipua's user agent client, which keeps the registrations.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        user_agent: str = "vobiz-kit",
        on_trace: TraceHook | None = None,
        send_delay: float = 0.0,
    ) -> None:
        self.user_agent = user_agent
        self.on_invite: Callable[[IncomingLeg], None] | None = None
        self.on_register: Callable[[OutOfDialogRequest], None] | None = None
        self._transport = UdpTransport(host, port, on_trace=on_trace, send_delay=send_delay)
        self.transactions = TransactionLayer(self._transport)
        self._legs = LegTable()
        dispatcher = Dispatcher(self, self._transport, self.transactions, self._legs)
        self._transport.on_message = dispatcher.message
        # aiosipua's registrations need aiosipua's UAC; its requests go through our transactions.
        self.uac = ThroughTransactions(self.transactions).uac

    @property
    def address(self) -> Address:
        """Host and port that the socket is bound to."""
        return self._transport.local_addr

    @property
    def legs(self) -> list[Leg]:
        """The legs that live, oldest first."""
        return self._legs.live

    @property
    def allow(self) -> str:
        """The methods that are understood here, for the Allow header."""
        methods = "INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, INFO, UPDATE"
        return methods + (", REGISTER" if self.on_register else "")

    def contact(self, uri: str) -> str:
        """Our Contact header for somebody who is known here by that URI."""
        user = parse_uri(uri).user
        host, port = self.address
        return f"<sip:{user}@{host}:{port}>" if user else f"<sip:{host}:{port}>"

    async def start(self) -> None:
        """Bind the socket.

        Raises:
            OSError: the port is taken.
        """
        await self._transport.start()
        self.uac.transport.local_addr = self.address

    async def aclose(self) -> None:
        """Hang up every leg, stop every timer and close the socket."""
        self.uac.close()
        for leg in self.legs:
            leg.hang_up()
        self._legs.close()
        self.transactions.close()
        await self._transport.stop()

    def invite(
        self,
        request_uri: str,
        remote: Address,
        *,
        from_uri: str,
        to_uri: str = "",
        sdp: SdpMessage | None = None,
        headers: Mapping[str, str] | None = None,
        auth: SipDigestAuth | None = None,
        call_id: str = "",
    ) -> OutgoingLeg:
        """Call somebody. The INVITE leaves at once; set ``on_event`` before the next await.

        Args:
            request_uri: Whom to call, e.g. ``sip:+15550002222@127.0.0.1:5060``.
            remote: Where to send it.
            from_uri: Who calls, e.g. ``sip:+15550009999@lab``.
            to_uri: The To header, if it is not the Request-URI.
            sdp: The offer.
            headers: More headers for the INVITE.
            auth: Answers a 401 or 407, once.
            call_id: The Call-ID; a new one by default.
        """
        leg = OutgoingLeg(
            self,
            request_uri,
            remote,
            from_uri=from_uri,
            to_uri=to_uri or request_uri,
            sdp=sdp,
            headers=headers,
            auth=auth,
            call_id=call_id,
        )
        self._legs.add(leg)
        leg.send_invite()
        return leg

    async def register(
        self,
        aor: str,
        registrar: Address,
        *,
        password: str,
        expires: int = 300,
        within: float = 5.0,
    ) -> Registration:
        """Register at a registrar and stay registered; ``.unregister()`` ends it.

        Args:
            aor: Address of record; its user part is also the digest username.
            registrar: Where the registrar is.
            password: The digest password.
            expires: Seconds asked for.
            within: Seconds to wait for the answer.

        Raises:
            RegistrationRefused: the registrar said no.
            TimeoutError: it said nothing.
        """
        return await register(
            self.uac,
            aor,
            registrar,
            password=password,
            expires=expires,
            user_agent=self.user_agent,
            within=within,
        )

    # What legs use

    def leg_ended(self, leg: Leg) -> None:
        """Keep an ended leg for a while: a BYE or a late 200 may still be on its way."""
        self._legs.linger(leg)

    def send_ack(self, dialog: Dialog, invite: SipRequest, remote: Address) -> None:
        """Send the ACK of a 2xx."""
        host, port = self.address
        cseq = invite.cseq
        counter = dialog.local_cseq
        ack = dialog.create_request("ACK", via_host=host, via_port=port)
        dialog.local_cseq = counter  # an ACK has its INVITE's number, and counts for none itself
        ack.headers.set_single("CSeq", f"{cseq.seq if cseq else 1} ACK")
        ack.headers.set_single("Contact", self.contact(dialog.local_uri))
        ack.headers.set_single("User-Agent", self.user_agent)
        self._transport.send(ack, remote)
