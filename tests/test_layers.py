"""Who may import whom: glinermt <- tasks <- all others, and eval <- training."""

import ast
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = set("tasks formats synth eval training annotate serve integrations glinermt".split())
MAY_IMPORT = {
    "glinermt": {"glinermt"},
    "tasks": {"glinermt", "tasks"},
    "synth": {"glinermt", "tasks", "formats", "synth"},
    "eval": {"glinermt", "tasks", "formats", "eval"},
    "training": {"glinermt", "tasks", "formats", "eval", "training"},
    "annotate": {"glinermt", "tasks", "annotate"},
    "serve": {"glinermt", "tasks", "serve"},
    "integrations": {"glinermt", "tasks", "integrations"},
    "formats": {"glinermt", "tasks", "formats"},
}
LIGHT = (
    "types queries results examples structures errors config default_model jsonl long_texts "
    "overrides contamination outputs console"
)
WITHOUT_TORCH = {f"glinermt.{name}" for name in LIGHT.split()}
ABOVE_EVERYTHING = {ROOT / "glinermt" / name for name in ("cli.py", "__init__.py", "__main__.py")}
"""The command line puts all parts together; the package's face names them."""


def home(folder: str) -> Path:
    """Return where a folder is: linked into the package, but in an sdist moved into it."""
    return ROOT / folder if (ROOT / folder).is_dir() else ROOT / "glinermt" / folder


def sources() -> list[tuple[str, Path]]:
    files = [(folder, path) for folder in FOLDERS for path in home(folder).rglob("*.py")]
    linked = {ROOT / "glinermt" / name for name in FOLDERS}
    return sorted((f, p) for f, p in files if f != "glinermt" or not linked & set(p.parents))


@cache
def statements(path: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    """Return the imports of a file, wherever in it."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return tuple(node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))


def imports(path: Path) -> Iterator[str]:
    """Yield the full names of all modules that a file imports, wherever in it."""
    for node in statements(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or ""


def imported(path: Path, ours: Collection[str]) -> set[str]:
    """Return which of our modules a file imports; ``from package import module`` is the module."""
    found = set()
    for node in statements(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= names & set(ours) or {node.module}
    return found & set(ours)


def folder_of(module: str) -> str | None:
    """Return the folder of one of our modules, None for other packages."""
    package, *rest = module.split(".")
    if package != "glinermt":
        return None
    return rest[0] if rest and rest[0] in FOLDERS else "glinermt"


def test_the_rule_sees_the_files_of_every_folder() -> None:
    assert {folder for folder, _ in sources()} == FOLDERS
    assert len(sources()) > 40


def test_a_folder_imports_only_from_folders_below_it() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for folder, path in sources()
        if path not in ABOVE_EVERYTHING
        for module in imports(path)
        if (target := folder_of(module)) and target not in MAY_IMPORT[folder]
    ]
    assert not wrong


def test_our_modules_are_imported_by_their_full_names() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for _, path in sources()
        for module in imports(path)
        if module.split(".")[0] in FOLDERS - {"glinermt"}
    ]
    assert not wrong


def test_tasks_and_synth_know_only_the_light_part_of_the_engine() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for folder, path in sources()
        if folder in {"tasks", "synth"}
        for module in imports(path)
        if folder_of(module) == "glinermt" and module not in {"glinermt", *WITHOUT_TORCH}
    ]
    assert not wrong


def modules() -> dict[str, Path]:
    """Return all our modules but the package's face, which every import runs first."""
    found = {}
    for folder, path in sources():
        parts = path.relative_to(home(folder)).with_suffix("").parts
        names = ("glinermt", *parts) if folder == "glinermt" else ("glinermt", folder, *parts)
        names = names[:-1] if names[-1] == "__init__" else names
        found[".".join(names)] = path
    del found["glinermt"]
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of nodes that reach one another (Tarjan 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            place = stack.index(node)
            group = stack[place:]
            del stack[place:]
            if len(group) > 1 or node in edges[node]:
                found.append(sorted(group))

    for node in edges:
        if node not in index:
            visit(node)
    return found


def test_a_circle_is_seen() -> None:
    edges = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": {"e"}}
    assert sorted(circles(edges)) == [["a", "b", "c"], ["e"]]


def test_no_module_imports_itself_through_others() -> None:
    """Imports in functions and for types count: they only hide a circle."""
    ours = modules()
    assert not circles({name: imported(path, ours) for name, path in ours.items()})


def test_heads_never_import_the_model() -> None:
    heads = [path for _, path in sources() if path.parent.name == "heads"]
    assert len(heads) >= 4
    assert not [path for path in heads if "glinermt.model" in imports(path)]


def test_nothing_imports_the_command_line() -> None:
    assert not [
        path
        for _, path in sources()
        if path not in ABOVE_EVERYTHING and "glinermt.cli" in set(imports(path))
    ]


@pytest.mark.parametrize(
    "module",
    "glinermt glinermt.types glinermt.default_model glinermt.text_model glinermt.tasks "
    "glinermt.synth".split(),
)
def test_importing_the_light_parts_loads_no_torch(module: str) -> None:
    code = (
        f"import sys, {module}; "
        "print([m for m in ('torch', 'transformers', 'vllm') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
