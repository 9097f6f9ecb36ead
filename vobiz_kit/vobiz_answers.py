"""Reading Vobiz's answers: where a list is, and what an error says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vobiz_kit.errors import VobizApiError

if TYPE_CHECKING:
    import httpx

_FIXES = {
    401: "Copy VOBIZ_AUTH_ID and VOBIZ_AUTH_TOKEN again (Vobiz console → Account → API"
    " credentials).",
    402: "Top up the account's balance in the Vobiz console.",
    403: "See in the Vobiz console whether the account is active and may do this.",
    404: "Check the id, and that VOBIZ_API_URL ends in /api/v1 (letter case matters at Vobiz).",
    422: "Correct what Vobiz names, then ask again.",
    429: "Wait a minute, then ask again, less often.",
}


def items(answer: Any) -> list[dict[str, Any]]:
    """The records of a list answer: Vobiz's lists differ in the name that holds them.

    Raises:
        VobizApiError: there is no list of records in it.
    """
    if isinstance(answer, Mapping):
        for name in ("data", "objects", "items", "cdrs", "trunks", "numbers"):
            if isinstance(answer.get(name), list):
                answer = answer[name]
                break
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise unreadable(200, str(answer))
    return answer


def refused(response: httpx.Response) -> VobizApiError:
    """The error for an answer that is no success: Vobiz's message, code and request id."""
    try:
        body = response.json()
    except ValueError:
        body = response.text
    error: Any = body
    request_id = ""
    if isinstance(body, Mapping):
        request_id = str(body.get("requestId") or body.get("request_id") or "")
        error = body.get("error") or body.get("message") or body.get("detail") or body
    if isinstance(error, Mapping) and (error.get("message") or error.get("code")):
        said = ": ".join(str(error[k]) for k in ("code", "message") if error.get(k))
        said += f" ({error['details']})" if error.get("details") else ""
    else:
        said = str(error).strip()[:200] or "(nothing)"
    status = response.status_code
    fix = "Vobiz has trouble of its own; try again later." if status >= 500 else ""
    return VobizApiError(
        "Vobiz's REST API answered with an error.",
        status=status,
        evidence=f"HTTP {status}, {said}" + (f", request {request_id}" if request_id else ""),
        fix=_FIXES.get(status, fix),
    )


def unreadable(status: int, text: str) -> VobizApiError:
    """The error for an answer that is not what the API gives."""
    return VobizApiError(
        "Vobiz's REST API answered with something that cannot be read.",
        status=status,
        evidence=ascii(text[:120]),
        fix="Check that VOBIZ_API_URL is the API (https://api.vobiz.ai/api/v1), not a web page.",
    )
