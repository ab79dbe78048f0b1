"""The Python blocks of the how-to pages run as they stand, with the shipped model."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.extras
PAGES = Path(__file__).parents[2] / "docs" / "howto"
NEEDS = {
    "spacy": "spacy",
    "presidio": "presidio_anonymizer",
    "haystack": "haystack",
    "langchain": "langchain_core",
    "llama-index": "llama_index.core",
    "pandas": "pandas",
    "mcp": "mcp",
}


def blocks(page: str) -> list[str]:
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)


def test_the_page_on_serving_asks_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fastapi", reason="needs the extra [serve]")
    from glinermt.default_model import load_extractor
    from glinermt.serve.app import create_app
    from tests.serve.running import running

    (block,) = blocks("serve")
    with running(create_app({"glinermt": load_extractor(None)})) as address:
        there = block.replace("http://127.0.0.1:8000/", address)
        exec(compile(there, "serve.md", "exec"), {"__name__": "__main__"})
    assert "Curie" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")  # what other packages deprecate is not the page's matter
@pytest.mark.parametrize("page", NEEDS)
def test_a_howto_page_runs(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(NEEDS[page], reason=f"needs the extra [{page}]")
    (block,) = blocks(page)
    exec(compile(block, f"{page}.md", "exec"), {"__name__": "__main__"})  # our own page
    printed = capsys.readouterr().out
    assert "Maria" not in printed if page == "presidio" else "Curie" in printed
