"""``model``: a loaded one, a folder or hub id, or none for the shipped one, loaded once."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from glinermt import default_model
from glinermt.model import GlinerMT
from glinermt.tasks import answer, answers, extract_entities, summarize
from glinermt.types import Extractor
from tests.stub import StubExtractor
from tests.tasks.texts import TEXTS


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what is loaded from now on, slowly, as the folder asked for."""
    asked: list[object] = []

    def load(path: object = None) -> Extractor:
        asked.append(path)
        time.sleep(0.05)
        return StubExtractor(lambda query: [(query.text, query.labels[0], 0.9)])

    monkeypatch.setattr(GlinerMT, "from_pretrained", load)
    monkeypatch.setattr(default_model, "_shipped", [])
    monkeypatch.setattr(default_model, "_last", {})
    return asked


def test_the_shipped_model_is_loaded_once_by_many_threads(loads: list[object]) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda i: extract_entities(f"Ann{i}", ["person"]), range(16)))
    assert loads == [None]
    assert [spans[0].text for spans in found] == [f"Ann{i}" for i in range(16)]
    answer("Who?", "Ann")
    summarize("Ann.")
    assert loads == [None]


@pytest.mark.parametrize("path", ["somebody/some-model", Path("models/best")])
def test_a_folder_or_hub_id_is_loaded(loads: list[object], path: str | Path) -> None:
    extract_entities("Ann", ["person"], model=path)
    assert loads == [path]


def test_the_last_folder_or_hub_id_is_loaded_once(loads: list[object], tmp_path: Path) -> None:
    def ask(model: str | Path) -> None:
        extract_entities("Ann", ["person"], model=model)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: ask("somebody/some-model"), range(16)))
    assert loads == ["somebody/some-model"]
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"1")
    ask(tmp_path)
    ask(str(tmp_path / ".." / tmp_path.name))
    assert loads == ["somebody/some-model", tmp_path]
    os.utime(weights, ns=(1, 1))
    ask(tmp_path)
    ask("somebody/some-model")
    assert loads == ["somebody/some-model", tmp_path, tmp_path, "somebody/some-model"]


def test_what_is_no_model_is_refused(loads: list[object]) -> None:
    wrong: Any = 42
    with pytest.raises(TypeError, match=r"model must be a loaded model, a folder, .* got int: 42"):
        extract_entities("Ann", ["person"], model=wrong)
    assert loads == []


def test_a_loaded_model_is_used_as_it_is(loads: list[object]) -> None:
    model = StubExtractor(lambda _: [])
    assert extract_entities("Ann", ["person"], model=model) == []
    assert loads == []


def test_nothing_is_loaded_before_it_is_needed(loads: list[object]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        answers("Who?", "Ann", top_k=0)
    with pytest.raises(ValueError, match="at least 1"):
        summarize("Ann.", sentences=0)
    assert loads == []


def test_threads_that_share_a_model_get_what_one_alone_gets() -> None:
    model = GlinerMT.from_pretrained()
    texts = list(TEXTS.values())[:4]
    labels = ["person", "place", "date"]
    alone = [extract_entities(text, labels, model=model) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda t: extract_entities(t, labels, model=model), texts))
    assert together == alone
