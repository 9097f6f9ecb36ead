"""The documents are true: links, names, command lines, settings, minutes and versions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.notebook_book import Book, notebooks
from tests.prose import ROOT, read_markdown, untrue

DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = read_markdown((ROOT / "README.md").read_text())


def name(path: Path) -> str:
    """A document's name in the test's id."""
    return path.name


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_document_claims_nothing_untrue(path: Path) -> None:
    assert list(untrue(read_markdown(path.read_text()), path.parent)) == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_document_has_one_title_and_ordered_headings(path: Path) -> None:
    levels = [level for level, _ in read_markdown(path.read_text()).headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_document_names_no_one_computer(path: Path) -> None:
    assert re.findall(r"/(?:home|root|work|tmp|Users)/\S+", path.read_text()) == []


def test_readme_first_screen() -> None:
    """What it is, the two commands, the picture, the notebooks: before any other heading."""
    first = (ROOT / "README.md").read_text().split("\n## ")[0]
    assert len(first.splitlines()) <= 30
    assert read_markdown(first).commands == ["make lab", "make test"]
    assert [source for source, _ in read_markdown(first).images] == [
        "docs/images/transferred-call.png"
    ]


def test_readme_lists_every_notebook_with_its_minutes() -> None:
    text = (ROOT / "README.md").read_text()
    listed = re.findall(r"^\| \[.*\]\((notebooks/\S+)\) \|.*\| (\d+) \|$", text, re.M)
    expected = []
    for path in notebooks():
        minutes = Book.read(path).node.metadata["vobiz_kit"]["minutes"]
        total = minutes["teaching"] + minutes["exercises"]
        expected.append((path.relative_to(ROOT).as_posix(), str(total)))
    assert listed == expected


def test_notebook_tables_of_minutes_agree_with_the_notebooks() -> None:
    row = re.compile(r"^\| \[.*\]\((\w+\.ipynb)\) \|.*\| (\d+) \|$", re.M)
    rows: dict[str, str] = {}
    for path in notebooks():
        for prose in Book.read(path).prose.values():
            rows |= dict(row.findall(prose.text))
    for file, said in rows.items():
        minutes = Book.read(ROOT / "notebooks" / file).node.metadata["vobiz_kit"]["minutes"]
        assert int(said) == minutes["teaching"] + minutes["exercises"], file
    assert rows, "notebook 00 ends with a table of the others"


def test_changelog_has_the_package_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    released = [text for _, text in read_markdown((ROOT / "CHANGELOG.md").read_text()).headings]
    assert any(text.startswith(f"[{version}]") for text in released)


def test_env_example_documents_every_setting() -> None:
    """Each line has words above it, and each cloud setting that the package reads is there."""
    example = (ROOT / ".env.example").read_text()
    names = re.findall(r"^([A-Z_]+)=(.*)$", example, re.M)
    assert all(value == "" for _, value in names), "an example holds no values"
    issue = (
        "LIVEKIT_URL LIVEKIT_API_KEY LIVEKIT_API_SECRET OPENAI_API_KEY OPENAI_BASE_URL "
        "DEEPGRAM_API_KEY DEEPGRAM_BASE_URL VOBIZ_SIP_DOMAIN VOBIZ_USERNAME VOBIZ_PASSWORD "
        "VOBIZ_OUTBOUND_NUMBER VOBIZ_AUTH_ID VOBIZ_AUTH_TOKEN OUTBOUND_TRUNK_ID BILLING_NUMBER"
    )
    assert {known for known, _ in names} >= set(issue.split())


def test_make_help_lists_what_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in README.commands:
        if line.startswith("make "):
            target = line.split()[1]
            assert re.search(rf"^{target}:.*## ", makefile, re.M), f"make help omits {target}"
