"""Reads markdown, and says what in it is not true of this repository: links, names, commands.

For the notebooks' text (`tests.notebook_lint`) and the documents (`tests/unit/test_docs.py`).
Only what stands in a `code span` is taken for a name; sentences are left alone.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import inspect
import re
import sysconfig
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]

# What a name in the notebooks stands for, so that `call.transfer` in a sentence can be looked up:
# a module, or (with a colon) the class of an object.
ROOTS = {
    "vk": "vobiz_kit",
    "vobiz_kit": "vobiz_kit",
    "lab": "vobiz_kit.lab",
    "settings": "vobiz_kit:Settings",
    "directory": "vobiz_kit:Directory",
    "call": "vobiz_kit:Call",
    "agent": "vobiz_kit.serving:ServedAgent",
    "phone": "vobiz_kit.lab.handsets.phone:Phone",
    "caller": "vobiz_kit.lab.handsets.phone:Phone",
    "callee": "vobiz_kit.lab.handsets.phone:Phone",
}
MADE_BY_THE_READER = {".env", "~/.cache/vobiz-kit"}

_DOTTED = re.compile(rf"(?<![\w./-])({'|'.join(ROOTS)})((?:\.[A-Za-z_]\w*)+)(?![\w/])")
_ENDINGS = "py|md|ipynb|toml|yml|yaml|lock|txt|json|env|example|svg|png|mod|css|js"
_FILE = re.compile(rf"[\w./-]*[\w-]\.(?:{_ENDINGS})|[\w.-]+(?:/[\w.-]+)*/")
_SETTING = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?==|$)")


@dataclass
class Prose:
    """One piece of markdown, taken apart. ``bullets`` maps a paragraph to the list below it."""

    headings: list[tuple[int, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)  # source, alt text
    spans: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)  # lines of ```sh blocks, without comments
    bullets: dict[str, list[str]] = field(default_factory=dict)
    text: str = ""


class _Tags(HTMLParser):
    def __init__(self, prose: Prose) -> None:
        super().__init__()
        self._prose = prose

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag in ("img", "source"):
            source = given.get("src") or given.get("srcset") or ""
            self._prose.images.append((source, given.get("alt", "" if tag == "img" else "source")))
        elif tag == "a" and "href" in given:
            self._prose.links.append(given["href"])


def read_markdown(text: str) -> Prose:
    """Take a markdown text apart."""
    prose = Prose(text=text)
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for position, token in enumerate(tokens):
        before = tokens[position - 1] if position else None
        if token.type == "inline":
            _read_inline(token, prose)
            if before is not None and before.type == "heading_open":
                prose.headings.append((int(before.tag[1:]), _plain(token)))
        elif token.type == "html_block":
            _Tags(prose).feed(token.content)
        elif token.type == "fence" and token.info.strip() in ("sh", "bash", "console"):
            lines = (line.split(" #")[0].strip() for line in token.content.splitlines())
            prose.commands += [line for line in lines if line and not line.startswith("#")]
        elif token.type == "bullet_list_open" and position >= 2:
            prose.bullets[_plain(tokens[position - 2])] = _items(tokens, position)
    return prose


def _read_inline(token: Token, prose: Prose) -> None:
    for child in token.children or []:
        if child.type == "link_open":
            prose.links.append(str(child.attrs["href"]))
        elif child.type == "image":
            prose.images.append((str(child.attrs["src"]), child.content))
        elif child.type == "code_inline":
            prose.spans.append(child.content)
        elif child.type == "html_inline":
            _Tags(prose).feed(child.content)


def _plain(token: Token) -> str:
    parts = (c.content if c.type != "softbreak" else " " for c in token.children or [])
    return "".join(parts).strip()


def _items(tokens: list[Token], opened: int) -> list[str]:
    items = []
    for token in tokens[opened + 1 :]:
        if token.type == "bullet_list_close" and token.level == tokens[opened].level:
            break
        if token.type == "inline":
            items.append(token.content)
    return items


def untrue(prose: Prose, folder: Path, page: list[Prose] | None = None) -> Iterator[str]:
    """What this piece of prose claims and the repository does not have, one sentence each.

    Args:
        prose: the text, taken apart.
        folder: where relative links start.
        page: what stands on the same page, for links within it; by default only this text.
    """
    for link in prose.links:
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):  # the network is not asked
            continue
        target = folder / path if path else None
        if target is not None and not target.exists():
            yield f"link to {link}, which does not exist"
        elif anchor and (target is None or target.suffix == ".md"):
            pieces = [read_markdown(_read(target))] if target else page or [prose]
            known = {_anchor(text) for piece in pieces for _, text in piece.headings}
            if anchor.lower() not in known:
                yield f"link to {link}: there is no such heading"
    for source, alt in prose.images:
        if not re.match(r"(https?|data):", source) and not (folder / source).exists():
            yield f"image {source}, which does not exist"
        if len(alt.strip()) < 5:
            yield f"image {source} needs an alt text that says what it shows"
    for span in prose.spans:
        yield from untrue_span(span, folder)
    for line in prose.commands:
        yield from untrue_command(line)


def untrue_span(span: str, folder: Path) -> Iterator[str]:
    """What one code span names and the repository does not have."""
    if span in MADE_BY_THE_READER:
        return
    if re.match(r"(make|vobiz-kit|python) ", span):
        yield from untrue_command(span)
    elif _FILE.fullmatch(span):
        places = (ROOT, folder, Path(sysconfig.get_path("purelib")))
        if not any((place / span).exists() for place in places) and not _known_file(span):
            yield f"`{span}` is no file here"
    elif setting := _SETTING.match(span):
        if setting.group() not in _settings():
            yield f"`{setting.group()}` is no setting: neither .env.example nor the package has it"
    else:
        for root, path in _DOTTED.findall(span):
            if not exists(root + path):
                yield f"`{root}{path}` does not exist"


def untrue_command(line: str) -> Iterator[str]:
    """What a command line names that there is not: a make target, a subcommand, a module."""
    words = line.removeprefix("$ ").split()
    if words[:1] == ["make"]:
        targets = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
        made = set(re.findall(r"^([\w-]+):(?!=)", _read(ROOT / "Makefile"), re.M))
        yield from (f"`{line}`: the Makefile makes no {t}" for t in targets if t not in made)
    elif words and words[0].endswith("vobiz-kit"):
        yield from _untrue_subcommand(words[1:], line)
    elif "-m" in words[:3] and "python" in words[0]:
        module = words[words.index("-m") + 1]
        if importlib.util.find_spec(module) is None:
            yield f"`{line}`: there is no module {module}"


def _untrue_subcommand(words: list[str], line: str) -> Iterator[str]:
    import click
    import typer.main

    here: Any = typer.main.get_command(importlib.import_module("vobiz_kit.cli").app)
    for word in words:
        options = {name for parameter in here.params for name in parameter.opts}
        if word.startswith("-"):
            if word.split("=")[0] not in options | {"--help"}:
                yield f"`{line}`: no option {word}"
        elif isinstance(here, click.Group) or hasattr(here, "commands"):
            if word not in here.commands:
                yield f"`{line}`: no command {word}"
                return
            here = here.commands[word]


def exists(dotted: str) -> bool:
    """Whether a dotted name that begins with one of `ROOTS` exists in the installed package."""
    root, *names = dotted.split(".")
    module_name, _, class_name = ROOTS[root].partition(":")
    thing: Any = importlib.import_module(module_name)
    for name in [class_name, *names] if class_name else names:
        if inspect.isclass(thing):
            # what a member is in turn, only a type checker knows
            return _is_member(thing, name)
        if not hasattr(thing, name) and inspect.ismodule(thing):
            if importlib.util.find_spec(f"{thing.__name__}.{name}") is None:
                return False
            importlib.import_module(f"{thing.__name__}.{name}")
        if not hasattr(thing, name):
            return False
        thing = getattr(thing, name)
    return True


def _is_member(kind: type, name: str) -> bool:
    if hasattr(kind, name) or name in typing.get_type_hints(kind):
        return True
    return any(name in _assigned(base) for base in kind.__mro__[:-1])


@functools.cache
def _assigned(kind: type) -> set[str]:
    """The attributes that a class's own methods assign to ``self``."""
    try:
        tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(kind)))
    except (OSError, TypeError):  # built in, or made at run time: it has no source
        return set()
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@functools.cache
def _settings() -> set[str]:
    texts = [_read(ROOT / ".env.example")]
    texts += [_read(path) for path in (ROOT / "vobiz_kit").rglob("*.py")]
    return {name for text in texts for name in re.findall(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", text)}


@functools.cache
def _known_file(name: str) -> bool:
    """Whether the code names a file that exists only at run time, such as ``lab.json``."""
    return any(f'"{name}"' in _read(path) for path in (ROOT / "vobiz_kit").rglob("*.py"))


@functools.cache
def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
