"""Who may import whom: glinermt <- tasks <- all others, and eval <- training."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"glinermt", "tasks", "synth", "eval", "training", "annotate", "serve", "integrations"}
MAY_IMPORT = {
    "glinermt": {"glinermt"},
    "tasks": {"glinermt", "tasks"},
    "synth": {"glinermt", "tasks", "synth"},
    "eval": {"glinermt", "tasks", "eval"},
    "training": {"glinermt", "tasks", "eval", "training"},
    "annotate": {"glinermt", "tasks", "annotate"},
    "serve": {"glinermt", "tasks", "serve"},
    "integrations": {"glinermt", "tasks", "integrations"},
}
LIGHT = "types errors config default_model jsonl overrides contamination"
WITHOUT_TORCH = {f"glinermt.{name}" for name in LIGHT.split()}
ABOVE_EVERYTHING = {ROOT / "glinermt" / name for name in ("cli.py", "__init__.py", "__main__.py")}


def sources() -> list[tuple[str, Path]]:
    files = [(folder, path) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    linked = {ROOT / "glinermt" / name for name in FOLDERS}
    return sorted((f, p) for f, p in files if not linked & set(p.parents))


def imports(path: Path) -> Iterator[str]:
    """Give the full names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or ""


def folder_of(module: str) -> str | None:
    """Give the folder of one of our modules, None for other packages."""
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
        if path not in ABOVE_EVERYTHING and path.name != "cli.py"
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
        if folder in {"tasks", "synth"} and path.name != "cli.py"
        for module in imports(path)
        if folder_of(module) == "glinermt" and module not in WITHOUT_TORCH
    ]
    assert not wrong


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
    ["glinermt", "glinermt.types", "glinermt.default_model", "glinermt.tasks", "glinermt.synth"],
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
