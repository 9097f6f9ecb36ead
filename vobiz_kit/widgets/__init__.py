"""Widgets to place a call, transfer it and watch it: ipywidgets with a model beneath each.

Importing this package imports no ipywidgets; asking it for a widget does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vobiz_kit.widgets.call_panel import CallPanel as CallPanel
    from vobiz_kit.widgets.transcript_view import TranscriptView as TranscriptView
    from vobiz_kit.widgets.transfer_panel import TransferPanel as TransferPanel

_HOMES = {
    "CallPanel": "vobiz_kit.widgets.call_panel",
    "TranscriptView": "vobiz_kit.widgets.transcript_view",
    "TransferPanel": "vobiz_kit.widgets.transfer_panel",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
