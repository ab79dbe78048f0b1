"""The Python blocks of the pages run as they stand, and the map lists every file."""

import importlib
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import glinermt

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"serve", "spacy", "presidio", "haystack", "langchain", "llama-index", "mcp"}
"""Pages whose blocks tests/integrations/test_howto.py runs: they need a server or extras."""
PAGES = sorted(
    page
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")]
    if page.stem not in ELSEWHERE
)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
NEEDS = {"onnx", "spacy", "presidio_analyzer", "haystack", "langchain_core", "pandas", "mcp", "ray"}
"""Packages that a block may need and this environment need not have."""
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_a_page_runs(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in NEEDS & set(re.findall(r"^\s*(?:from|import) (\w+)", block, re.M)):
        pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "page", "exec"), {"__name__": "page"})  # our own pages


@pytest.mark.slow  # the shipped weights change more often than the pages
@pytest.mark.parametrize("page", ["index", "tutorials/invoices"])
def test_a_page_shows_what_its_block_prints(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```python\n(.*?)^```\n\nprints\n\n((?: {4}[^\n]*\n)+)", text, re.M | re.S)
    assert shown
    for block, printed in shown:
        exec(compile(block, page, "exec"), {"__name__": "page"})  # our own pages
        assert capsys.readouterr().out == textwrap.dedent(printed)


def test_the_map_lists_every_file() -> None:
    command = [sys.executable, str(ROOT / "docs" / "file_list.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_reference_has_every_public_name() -> None:
    pages = (ROOT / "docs" / "reference").glob("*.md")
    paths = re.findall(r"^::: (\S+)", "\n".join(p.read_text("utf-8") for p in pages), re.M)
    there = {path.rsplit(".", 1)[-1] for path in paths}
    for whole in paths:  # a module's page shows all that is its own
        if (ROOT / f"{whole.replace('.', '/')}.py").is_file():
            members = vars(importlib.import_module(whole)).items()
            there |= {name for name, each in members if getattr(each, "__module__", "") == whole}
    assert not set(glinermt.__all__) - there


def test_a_version_of_the_changelog_has_each_of_its_headings_once() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for version in text.split("\n## ")[1:]:
        headings = re.findall(r"^### (.+)", version, re.M)
        assert headings
        assert len(headings) == len(set(headings)), version[:20]


@pytest.mark.parametrize("file", ["pyproject.toml", "CITATION.cff", "mkdocs.yml", "README.md"])
def test_a_published_file_has_no_placeholder_for_an_address(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert not re.findall(r".*\b(?:ADDRESS|SITE|OWNER)\b.*", text)
