"""The benchmark's table: its rows, how figures are written, and the page."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil
from bench_sound import percentile


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, what came out, and what was aimed at."""

    what: str
    measured: str
    target: str = ""
    holds: bool | None = None

    def cells(self) -> tuple[str, str, str]:
        """The row as text; whether the target is met as a word."""
        met = {None: "", True: ": holds", False: ": MISSED"}[self.holds]
        return self.what, self.measured, self.target + met


def seconds(values: Sequence[float]) -> str:
    """Measured times as text: p50, p95 and how many."""
    middle, high = percentile(values, 50), percentile(values, 95)
    return f"p50 {middle:.3f} s, p95 {high:.3f} s (n = {len(values)})"


def megabytes(count: float) -> str:
    """Bytes as MB of 2**20."""
    return f"{count / 2**20:.0f} MB"


def machine() -> str:
    """What this was measured on, in a sentence; nothing that names the computer."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        processor = names[0].partition(":")[2].strip() if names else processor
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{psutil.cpu_count()} cores of {processor}, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release().partition('-')[0]}, Python {platform.python_version()}, "
        f"livekit-agents {version('livekit-agents')}"
    )


def page(rows: Sequence[Row], where: str, when: date) -> str:
    """The page with all figures."""
    lines = [f"| {' | '.join(row.cells())} |" for row in rows]
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Made by `make bench`, on loopback. Latencies of speech are read off the phone's own",
            "recording; p50 and p95 are measured values (nearest rank).",
            "",
            f"Measured on {when.isoformat()} on {where}.",
            "",
            "| what | measured | target |",
            "| --- | --- | --- |",
            *lines,
            "",
        ]
    )
