"""The Ray engine on a local Ray gives what the local engine gives."""

import json
import sys
from pathlib import Path

import pytest

from glinermt.errors import BackendError, ConfigError
from glinermt.synth.backends.base import Reply, Request
from glinermt.synth.engines import asking
from glinermt.synth.engines.ask import Work
from glinermt.synth.engines.ray import ERROR, from_engine, to_engine, to_reply, to_row
from glinermt.synth.generate import Options, generate
from glinermt.synth.recipes import RECIPES
from glinermt.synth.settings import Settings
from glinermt.synth.store import Store
from tests.synth.golden import REPLIES, write_texts


def made(tmp_path: Path, engine: str) -> list[dict[str, object]]:
    replies = tmp_path / "replies.jsonl"
    rows = [{"recipe": task, "reply": reply} for task, reply in REPLIES.items()]
    replies.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    texts = write_texts(tmp_path / "texts.jsonl", 6)
    settings = Settings((str(texts),), str(replies), "scripted", shard_rows=10)
    ask, window = asking(engine, Work(settings, {}, batch=8, workers=2))
    generate(settings, tmp_path / engine, ask, options=Options(window=window))
    return list(Store(tmp_path / engine, "jsonl").read_examples())


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_what_the_local_engine_gives(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    try:
        assert made(tmp_path, "ray") == made(tmp_path, "local")
    finally:
        ray.shutdown()


def test_an_unknown_engine_and_a_missing_ray_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="unknown engine 'rya'"):
        made(tmp_path, "rya")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BackendError, match=r"pip install 'glinermt\[ray\]'"):
        made(tmp_path, "ray")


def test_requests_and_replies_have_the_form_of_rays_vllm_processor() -> None:
    request = Request(
        "r", "entities", "system", "user", RECIPES["entities"].schema, 0.7, 0.9, 50, seed=3
    )
    given = to_engine(to_row(4, request))
    assert given["messages"] == request.messages
    assert given["sampling_params"] == {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 50,
        "seed": 3,
        "structured_outputs": {"json": json.dumps(request.schema)},
    }
    written = {"number": 4, "generated_text": "{}", "num_input_tokens": 9}
    kept = from_engine({**written, "num_generated_tokens": 2, "params": "more"})
    assert (kept["number"], to_reply(kept)) == (4, Reply("{}", 9, 2))
    assert to_reply({"number": 4, ERROR: "ValueError: long"}).error == "engine: ValueError: long"


@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_rays_vllm_processor_takes_our_options(tmp_path: Path) -> None:
    ray = pytest.importorskip("ray")
    pytest.importorskip("vllm")
    settings = Settings((str(tmp_path),), str(tmp_path))
    try:
        ask, window = asking("ray-vllm", Work(settings, {"max_model_len": 2048}, batch=8))
        assert window > 1
        assert callable(ask)
    finally:
        ray.shutdown()
