"""Where the requests of a dialog go (RFC 3261 section 12.1, RFC 3581)."""

from __future__ import annotations

from aiosipua import Dialog, SipRequest, SipResponse, parse_uri, stringify_uri

from vobiz_kit.lab.sip.transport import Address


def remote_target_address(
    message: SipRequest | SipResponse, dialog: Dialog, source: Address
) -> Address:
    """Take the remote target from a message's Contact; say where to send to.

    The Contact's port counts if it names the host that the message came from; otherwise (a phone
    behind NAT, a name that only the other side can resolve) answers go where messages come from.
    """
    try:
        contacts = message.contact
    except ValueError:
        return source
    if not contacts or not contacts[0].uri.host:
        return source
    uri = contacts[0].uri
    dialog.remote_target = stringify_uri(uri)
    if uri.host == source[0] and not dialog.route_set:
        return (uri.host, uri.port or 5060)
    return source


def user_of(uri: str) -> str:
    """Whom a URI names: the user of ``sip:user@host``, the number of ``tel:+1555``, or ""."""
    scheme, _, rest = uri.partition(":")
    if scheme.lower() == "tel":
        return rest.partition(";")[0]
    return parse_uri(uri).user or ""
