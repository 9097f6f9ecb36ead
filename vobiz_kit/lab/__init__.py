"""The lab: a real LiveKit stack, a stand-in carrier, phones and speech on this machine.

Notebooks use it through these functions; ``Lab`` is the same as an object, for more than one lab.

    from vobiz_kit import lab

    await lab.up()
    caller = lab.phone("+15550009999")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vobiz_kit.lab.current import cdrs, down, logs, phone, status, trace, up
    from vobiz_kit.lab.lab import Lab

__all__ = ["Lab", "cdrs", "down", "logs", "phone", "status", "trace", "up"]


def __getattr__(name: str) -> Any:
    # Lazily: importing the package costs nothing (PEP 562).
    if name == "Lab":
        from vobiz_kit.lab.lab import Lab

        return Lab
    if name in __all__:
        from vobiz_kit.lab import current

        return getattr(current, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
