"""The tutorials are followed: their Python and their commands, block by block, in one folder."""

import re
import shlex
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from glinermt.cli import app

PAGES = Path(__file__).parents[1] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(python|sh)\n(.*?)^```", re.M | re.S)
QUICK = {"knowledge-graph", "invoices"}
NEEDS = {"redact-presidio": "presidio_anonymizer", "invoices": "price_parser"}
SLOW = [pytest.param(p, marks=() if p.stem in QUICK else pytest.mark.slow, id=p.stem)
        for p in sorted(PAGES.glob("*.md"))]  # fmt: skip


@pytest.mark.filterwarnings("default")  # what other packages deprecate is not the page's matter
@pytest.mark.parametrize("page", SLOW)
def test_a_tutorial_can_be_followed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.stem in NEEDS:
        pytest.importorskip(NEEDS[page.stem])
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": page.stem}
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    assert blocks
    for language, block in blocks:
        if language == "python":
            exec(compile(block, page.name, "exec"), names)  # our own page
            continue
        for line in block.splitlines():
            command, *arguments = shlex.split(line)
            assert command == "glinermt"
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, (line, done.output, done.exception)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["first_steps", "annotate_and_learn"])
def test_a_notebook_runs(name: str) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    path = PAGES.parent / "notebooks" / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel's own packages
        nbclient.NotebookClient(notebook, timeout=600).execute()
