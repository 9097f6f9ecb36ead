"""The directory: names that people say ("billing") and the numbers that are dialled for them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from vobiz_kit.errors import NumberRefused
from vobiz_kit.numbers import parse_number, parse_numbers, sip_user_and_host
from vobiz_kit.tables import Table

if TYPE_CHECKING:
    from vobiz_kit.settings import Settings

_ARTICLES = frozenset({"the", "our", "your", "my", "a", "an"})
# What people and language models put around the name of a destination.
_FILLERS = _ARTICLES | {"department", "dept", "team", "desk", "line", "office", "people", "staff"}


class UnknownDestination(NumberRefused):
    """No alias of the directory fits; nothing has been sent.

    Attributes:
        aliases: Every alias that there is, sorted.
        nearest: The alias that was most likely meant, or None.
    """

    def __init__(self, text: str, aliases: tuple[str, ...], nearest: str | None) -> None:
        self.aliases = aliases
        self.nearest = nearest
        known = ", ".join(aliases) or "(none)"
        hint = f"Did you mean {nearest!r}? " if nearest else ""
        shown = ascii(text if len(text) <= 60 else text[:57] + "...")
        super().__init__(
            f"The directory has no destination called {shown}.",
            evidence=f"the directory knows: {known}",
            fix=f"{hint}Use one of these, a number like +15550002222, or add "
            "<ALIAS>_NUMBER=+... to .env.",
        )


@dataclass(frozen=True, slots=True)
class Destination:
    """Who is to be reached: an alias of the directory (None if a number was given) and a number.

    Attributes:
        alias: The alias as the directory spells it, or None.
        number: The number in E.164.
        then: Further numbers, to be tried one after the other while nobody answers.
        ringing_s: Whole seconds that each of them may ring; None leaves that to who asks.
    """

    alias: str | None
    number: str
    then: tuple[str, ...] = ()
    ringing_s: int | None = None

    def hunt(self) -> Iterator[Destination]:
        """Each number to be tried, in order, as a destination of its own."""
        for number in (self.number, *self.then):
            yield Destination(self.alias, number, ringing_s=self.ringing_s)

    def __str__(self) -> str:
        return f"{self.alias} ({self.number})" if self.alias else self.number


class Directory(Mapping[str, str]):
    """Aliases and their numbers; look-up as people speak.

    ``Directory({"billing": "+15550002222"}).resolve("the Billing department").number`` is
    ``"+15550002222"``. A directory is also a plain mapping of alias to E.164 number.

    Several numbers by commas make a hunt list: ``{"billing": "+15550002222, +15550003333"}`` tries
    the second where the first is busy or does not answer.

    Args:
        numbers: Number for each alias, or several by commas. Aliases may be of several words
            ("tech support").
        domain: The trunk's SIP domain; a SIP URI with another host is then refused.
        ringing_s: Whole seconds that an alias' numbers may ring, where they differ from what who
            asks takes: ``{"billing": 15}``.

    Raises:
        NumberRefused: a number cannot be one, or two aliases differ only in case and spacing.
    """

    def __init__(
        self,
        numbers: Mapping[str, str],
        *,
        domain: str | None = None,
        ringing_s: Mapping[str, int] | None = None,
    ) -> None:
        self._hunts = {alias: parse_numbers(numbers[alias]) for alias in sorted(numbers)}
        self._numbers = {alias: hunt[0] for alias, hunt in self._hunts.items()}
        self._ringing_s = dict(ringing_s or {})
        if strangers := sorted(set(self._ringing_s) - set(self._hunts)):
            raise NumberRefused(
                "A time to ring is given for a destination that the directory does not have.",
                evidence=", ".join(map(ascii, strangers)),
                fix=f"The directory has: {', '.join(self._hunts) or '(none)'}.",
            )
        self._domain = domain.lower() if domain else None
        self._index: dict[str, set[str]] = {}
        seen: dict[str, str] = {}
        for alias in self._numbers:
            keys = _keys(alias)
            if not keys:
                raise NumberRefused("An alias needs a letter or a digit.", evidence=ascii(alias))
            if other := seen.get(keys[0]):
                raise NumberRefused(
                    "Two aliases of the directory would be heard as the same.",
                    evidence=f"{other!r} and {alias!r}",
                    fix="Rename one of them.",
                )
            seen[keys[0]] = alias
            for key in keys:
                self._index.setdefault(key, set()).add(alias)

    @classmethod
    def from_settings(cls, settings: Settings) -> Directory:
        """The directory that the ``<ALIAS>_NUMBER`` settings make."""
        return cls(settings.numbers, domain=settings.vobiz_sip_domain or None)

    @property
    def aliases(self) -> tuple[str, ...]:
        """Every alias, sorted."""
        return tuple(self._numbers)

    @property
    def all_numbers(self) -> frozenset[str]:
        """Every number that stands in it, those of the hunt lists included."""
        return frozenset(number for hunt in self._hunts.values() for number in hunt)

    def resolve(self, text: str) -> Destination:
        """Find the destination that somebody named.

        Args:
            text: An alias, without regard to case, spaces, hyphens and words like "the ...
                department"; or a number in any form that `parse_number` reads.

        Raises:
            UnknownDestination: no alias fits; names the nearest one and all there are.
            NumberRefused: it is a number that cannot be dialled, or a SIP URI of another host.
        """
        if text.isprintable() and len(text) <= 100:
            hits = self._hits(text)
            if len(hits) == 1:
                return self._destination(hits.pop())
            if len(hits) > 1:
                raise NumberRefused(
                    "More than one destination could be meant.",
                    evidence=f"{ascii(text)} fits {' and '.join(sorted(hits))}",
                    fix="Use the full name of one of them.",
                )
        if not _could_be_number(text):
            raise UnknownDestination(text, self.aliases, self._nearest(text))
        self._refuse_foreign_host(text)
        number = parse_number(text)
        alias = next((a for a, hunt in self._hunts.items() if number in hunt), None)
        return Destination(alias, number, ringing_s=self._ringing_s.get(alias or ""))

    def _hits(self, text: str) -> set[str]:
        # From the most literal reading to the loosest; the first that fits anything decides.
        return next((set(self._index[k]) for k in _keys(text) if k in self._index), set())

    def _destination(self, alias: str) -> Destination:
        first, *then = self._hunts[alias]
        return Destination(alias, first, tuple(then), self._ringing_s.get(alias))

    def _nearest(self, text: str) -> str | None:
        for key in _keys(text[:100]):
            if close := get_close_matches(key, self._index, n=1, cutoff=0.6):
                return min(self._index[close[0]])
        return None

    def _refuse_foreign_host(self, text: str) -> None:
        if self._domain is None or not re.match(r"\s*sips?:", text, re.IGNORECASE):
            return
        host = sip_user_and_host(text.strip())[1]
        if host != self._domain:
            raise NumberRefused(
                "That SIP URI names a host other than your trunk's SIP domain; nothing was sent.",
                evidence=f"host {host}, the trunk's domain is {self._domain}",
                fix="Give the number alone, like +15550002222.",
            )

    def __getitem__(self, alias: str) -> str:
        return self._numbers[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def table(self) -> Table:
        """The directory as a table."""
        rows = [(alias, ", then ".join(hunt)) for alias, hunt in self._hunts.items()]
        return Table("Directory", ("Alias", "Number"), rows)

    def __repr__(self) -> str:
        return f"Directory({', '.join(a + '=' + ','.join(h) for a, h in self._hunts.items())})"

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _keys(text: str) -> list[str]:
    """The spellings to look up, from literal to loose, without those that say nothing."""
    words = re.findall(r"[^\W_]+", text.casefold())
    readings = (
        words,
        [word for word in words if word not in _ARTICLES],
        [word for word in words if word not in _FILLERS],
    )
    return list(dict.fromkeys(key for key in ("".join(r) for r in readings) if key))


def _could_be_number(text: str) -> bool:
    """Whether to read it as a number: a URI, a leading +, or no letters at all."""
    if re.match(r"\s*(\+|tel:|sips?:)", text, re.IGNORECASE):
        return True
    return not re.search(r"[^\W\d_]", text)
