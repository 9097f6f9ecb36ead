"""vobiz-kit: voice agents on the phone network with LiveKit Agents and a Vobiz SIP trunk.

Notebooks use this flat namespace: ``import vobiz_kit as vk``. A name is imported when it is first
used (PEP 562), so that this import is quick and pulls in no LiveKit, no widgets, no HTTP client.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors; tests/unit/test_exports.py compares the lists
    from vobiz_kit.agent import entrypoint as entrypoint
    from vobiz_kit.audit import audit_log as audit_log
    from vobiz_kit.callflow import Ladder as Ladder
    from vobiz_kit.callflow import callflow as callflow
    from vobiz_kit.calls import Call as Call
    from vobiz_kit.calls import place_call as place_call
    from vobiz_kit.checks import check as check
    from vobiz_kit.checks import choose as choose
    from vobiz_kit.directory import Directory as Directory
    from vobiz_kit.errors import NumberRefused as NumberRefused
    from vobiz_kit.errors import VobizKitError as VobizKitError
    from vobiz_kit.jobs import report_dial_failure as report_dial_failure
    from vobiz_kit.numbers import transfer_uri as transfer_uri
    from vobiz_kit.pictures import picture as picture
    from vobiz_kit.reset import reset as reset
    from vobiz_kit.serving import serve as serve
    from vobiz_kit.settings import Settings as Settings
    from vobiz_kit.tools import CallingTools as CallingTools
    from vobiz_kit.tools import TransferTools as TransferTools
    from vobiz_kit.trunks import apply_trunks as apply_trunks
    from vobiz_kit.trunks import destroy_trunks as destroy_trunks
    from vobiz_kit.trunks import find_outbound_trunk as find_outbound_trunk
    from vobiz_kit.trunks import list_trunks as list_trunks
    from vobiz_kit.vobiz import VobizClient as VobizClient
    from vobiz_kit.vobiz import cdrs as cdrs
    from vobiz_kit.voice_pipeline import voice_pipeline as voice_pipeline
    from vobiz_kit.widgets import CallPanel as CallPanel
    from vobiz_kit.widgets import TranscriptView as TranscriptView
    from vobiz_kit.widgets import TransferPanel as TransferPanel

_HOMES = {  # name -> the module that it comes from
    "Call": "calls",
    "CallPanel": "widgets",
    "CallingTools": "tools",
    "Directory": "directory",
    "Ladder": "callflow",
    "NumberRefused": "errors",
    "Settings": "settings",
    "TranscriptView": "widgets",
    "TransferPanel": "widgets",
    "TransferTools": "tools",
    "VobizClient": "vobiz",
    "VobizKitError": "errors",
    "apply_trunks": "trunks",
    "audit_log": "audit",
    "callflow": "callflow",
    "cdrs": "vobiz",
    "check": "checks",
    "choose": "checks",
    "destroy_trunks": "trunks",
    "entrypoint": "agent",
    "find_outbound_trunk": "trunks",
    "list_trunks": "trunks",
    "picture": "pictures",
    "place_call": "calls",
    "report_dial_failure": "jobs",
    "reset": "reset",
    "serve": "serving",
    "transfer_uri": "numbers",
    "voice_pipeline": "voice_pipeline",
}
__all__ = sorted(_HOMES)


class _Namespace(ModuleType):
    """The package, where a public name keeps its place before a module of the same name.

    The import system puts every module that it loads into its package: loading
    ``vobiz_kit/callflow.py`` would otherwise make ``vk.callflow`` the module, not the function.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOMES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Namespace


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("vobiz-kit")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # the next look-up finds it without coming here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
