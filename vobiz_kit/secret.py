"""A password, key or token that does not show itself."""

from __future__ import annotations

import hmac


class Secret:
    """A secret value: masked wherever it is printed, formatted or logged; `reveal` gives it.

    It is not a ``str`` on purpose: passing one on by mistake (into JSON, a header, an f-string)
    fails or shows the mask, it never leaks the value.

    Args:
        value: The secret; "" for one that is not set (such a `Secret` is false).
    """

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        if not isinstance(value, str):
            raise TypeError(f"a Secret is made of a str, not {type(value).__name__}")
        object.__setattr__(self, "_value", value)

    _value: str

    def reveal(self) -> str:
        """The value itself, for the one place that sends it."""
        return self._value

    def __str__(self) -> str:
        if not self._value:
            return ""
        # The last four of a short, human-made password would say too much of it.
        tail = self._value[-4:] if len(self._value) >= 20 else ""
        head = "sk-" if self._value.startswith("sk-") and tail else ""
        return f"{head}…{tail}"

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Secret does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Secret does not change")

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return Secret, (self._value,)
