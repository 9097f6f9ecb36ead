"""The public namespace, the quick import, and who may import whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest

import vobiz_kit as vk

PACKAGE = Path(vk.__file__).parent
HEAVY = ["livekit", "ipywidgets", "aiohttp", "httpx", "phonenumbers", "IPython", "dotenv"]


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


class TestNames:
    @pytest.mark.parametrize("name", vk.__all__)
    def test_every_name_is_there_and_lives_where_it_is_said_to(self, name: str) -> None:
        value = getattr(vk, name)
        assert not isinstance(value, ModuleType)
        assert value.__name__ == name
        assert value.__module__.startswith(f"vobiz_kit.{vk._HOMES[name]}")
        assert value.__doc__
        assert name in dir(vk)

    def test_the_list_is_sorted_and_small(self) -> None:
        assert vk.__all__ == sorted(set(vk.__all__))
        assert 20 <= len(vk.__all__) <= 32

    def test_type_checkers_see_the_same_names(self) -> None:
        tree = ast.parse((PACKAGE / "__init__.py").read_text())
        block = next(node for node in tree.body if isinstance(node, ast.If))
        seen = {
            alias.asname: node.module
            for node in block.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if alias.asname == alias.name
        }
        assert seen == {name: f"vobiz_kit.{home}" for name, home in vk._HOMES.items()}

    def test_a_function_keeps_its_place_before_the_module_of_its_name(self) -> None:
        code = (
            "import vobiz_kit as vk, vobiz_kit.callflow, vobiz_kit.reset, vobiz_kit.voice_pipeline;"
            "assert all(map(callable, (vk.callflow, vk.reset, vk.voice_pipeline)));"
            "from vobiz_kit import callflow, reset; assert callable(callflow) and callable(reset);"
            "from vobiz_kit import settings; assert settings.Settings is vk.Settings"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_what_is_not_there_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="no attribute 'nothing'"):
            vk.nothing  # noqa: B018

    def test_version(self) -> None:
        assert vk.__version__ == version("vobiz-kit")


def test_import_is_light() -> None:
    code = (
        "import sys; before = set(sys.modules); import vobiz_kit; dir(vobiz_kit);"
        "print(*sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "vobiz_kit" in loaded
    assert not set(loaded) & set(HEAVY)


@pytest.mark.parametrize(
    "module",
    ["settings", "numbers", "directory", "policy", "trunks", "vobiz", "checks", "tables"],
)
def test_foundations_load_nothing_heavy(module: str) -> None:
    code = (
        f"import sys, vobiz_kit.{module};"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not set(done.stdout.split()) & set(HEAVY)


def imports(name: str, *, at_load: bool) -> Iterator[str]:
    """The modules of this package that a module imports, when it is loaded or at any time."""
    tree = ast.parse(MODULES[name].read_text())
    is_package = MODULES[name].name == "__init__.py"
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if at_load and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            todo += node.orelse
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".") if is_package else name.split(".")[:-1]
                base = ".".join(here[: len(here) - node.level + 1] + ([base] if base else []))
            inner = [f"{base}.{a.name}" for a in node.names if f"{base}.{a.name}" in MODULES]
            yield from inner
            if base in MODULES and len(inner) < len(node.names):
                yield base


def test_the_reader_of_imports_reads_them() -> None:
    assert len(MODULES) > 20
    assert "vobiz_kit.numbers" in set(imports("vobiz_kit.directory", at_load=True))
    assert "vobiz_kit.settings" not in set(imports("vobiz_kit.directory", at_load=False))
    assert "vobiz_kit.trunk_plan" not in set(imports("vobiz_kit.trunks", at_load=True))
    assert "vobiz_kit.trunk_plan" in set(imports("vobiz_kit.trunks", at_load=False))


def test_the_kit_never_imports_the_lab() -> None:
    # The command line is the one door to both; it is no part of what notebooks import.
    outside = [m for m in MODULES if not m.startswith("vobiz_kit.lab") and m != "vobiz_kit.cli"]
    assert len(outside) > 15
    guilty = {
        (module, other)
        for module in outside
        for other in imports(module, at_load=False)
        if other.startswith("vobiz_kit.lab")
    }
    assert not guilty


def test_there_are_no_import_cycles() -> None:
    graph = {module: set(imports(module, at_load=True)) - {module} for module in MODULES}
    # Loading a.b loads a first; that is no cycle as long as a does not need b.
    while leaves := {module for module, needs in graph.items() if not needs}:
        graph = {m: needs - leaves for m, needs in graph.items() if m not in leaves}
    assert not graph, f"in or above a cycle: {sorted(graph)}"
