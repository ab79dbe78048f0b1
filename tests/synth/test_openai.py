"""The openai backend against servers that behave as the known ones do."""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from glinermt.cli import app
from glinermt.errors import BackendError, ConfigError, DataError
from glinermt.synth.backends import connect
from glinermt.synth.backends.base import LLM, Concurrent, Reply, Request
from glinermt.synth.backends.openai import Pace
from glinermt.synth.engines import asking
from glinermt.synth.engines.ask import Work
from glinermt.synth.engines.side_by_side import side_by_side
from glinermt.synth.generate import generate
from glinermt.synth.recipes import RECIPES
from glinermt.synth.settings import Settings
from tests.synth.golden import REPLIES, write_texts

Answer = Callable[[dict[str, Any]], tuple[int, str | dict[str, Any]]]
"""Body of a request -> status, and content of the reply or the answer's whole body."""


def valid(schema: dict[str, Any]) -> str:
    """Return a reply that follows the schema, as a constrained server would."""
    if "kiwi" in schema["properties"]:
        return '{"kiwi": "hello", "zebras": [  \n  \n '  # cut: a small model never ends
    return json.dumps(REPLIES["entities"])


def like_vllm(body: dict[str, Any]) -> tuple[int, str]:
    form = body.get("response_format", {})
    if form.get("type") == "json_schema":
        return 200, valid(form["json_schema"]["schema"])
    if "structured_outputs" in body:
        return 200, valid(body["structured_outputs"]["json"])
    return 200, "Hello!"


def like_llama_cpp(body: dict[str, Any]) -> tuple[int, str]:
    form = body.get("response_format", {})
    if form.get("type") == "json_schema":
        return 500, "validation error"
    if form.get("type") == "json_object" and "schema" in form:
        return 200, valid(form["schema"])
    return 200, "Hello!"


def like_old_vllm(body: dict[str, Any]) -> tuple[int, str]:
    if "structured_outputs" in body:
        return 200, valid(body["structured_outputs"]["json"])
    return (400, "unknown response_format") if "response_format" in body else (200, "Hello!")


def without_schemas(body: dict[str, Any]) -> tuple[int, str]:
    if "zebras" in body["messages"][0]["content"]:
        return 200, "Hello!"
    return 200, json.dumps(REPLIES["entities"])


class Server(ThreadingHTTPServer):
    """Lets all requests of a test wait in line; by default the sixth may be turned away."""

    request_queue_size = 100


@contextmanager
def serving(answer: Answer, usage: bool = True) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, content = answer(body)
            message = {"choices": [{"message": {"role": "assistant", "content": content}}]}
            counts = {"usage": {"prompt_tokens": 11, "completion_tokens": 7}} if usage else {}
            whole = content if isinstance(content, dict) else {**message, **counts}
            data = json.dumps(whole).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def requests(number: int) -> list[Request]:
    return [
        Request(
            f"r{i}", "entities", "system", f"user {i}", RECIPES["entities"].schema, 0.7, 1.0, 100, i
        )
        for i in range(number)
    ]


def ask(llm: LLM, number: int) -> dict[int, Reply]:
    """Ask the server as the factory does, several requests at the same time."""
    assert isinstance(llm, Concurrent)
    given = requests(number)

    async def reply(i: int) -> tuple[int, Reply]:
        return i, await llm.reply(given[i])

    return dict(side_by_side(llm, reply, range(number)))


@pytest.mark.parametrize(
    ("answer", "dialect"),
    [
        (like_vllm, "json_schema"),
        (like_old_vllm, "structured_outputs"),
        (like_llama_cpp, "json_object"),
        (without_schemas, "prompt"),
    ],
)
def test_the_way_a_server_honours_is_found_and_used(
    answer: Answer, dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(answer) as url:
        llm: Any = connect("openai", "m", {"base_url": url, "tries": 1})
        assert llm.dialect == dialect
        assert ("the server follows no schema" in caplog.text) == (dialect == "prompt")
        replies = ask(llm, 20)
    assert sorted(replies) == list(range(20))
    assert all(json.loads(reply.text) == REPLIES["entities"] for reply in replies.values())
    assert {(reply.tokens_in, reply.tokens_out) for reply in replies.values()} == {(11, 7)}


def like_openai(body: dict[str, Any]) -> tuple[int, str | dict[str, Any]]:
    """Answer as OpenAI's models that reason do: their words and codes, 2026."""

    def refused(part: str, code: str, why: str) -> tuple[int, dict[str, Any]]:
        error = {"message": why, "type": "invalid_request_error", "param": part, "code": code}
        return 400, {"error": error}

    if "max_tokens" in body:
        why = "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        return refused(
            "max_tokens", "unsupported_parameter", f"{why}'max_completion_tokens' instead."
        )
    for part in ("temperature", "top_p"):
        if part in body:
            return refused(part, "unsupported_value", f"'{part}' does not support {body[part]}")
    if body["max_completion_tokens"] < 100:  # all of it went into reasoning
        message = {"role": "assistant", "content": ""}
        return 200, {"choices": [{"message": message, "finish_reason": "length"}]}
    return like_vllm(body)


@pytest.mark.parametrize("dialect", ["probe", "json_schema"])
def test_what_a_model_that_reasons_refuses_is_left_out(
    dialect: str, caplog: pytest.LogCaptureFixture
) -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> tuple[int, str | dict[str, Any]]:
        bodies.append(body)
        return like_openai(body)

    with serving(answer) as url:
        llm: Any = connect("openai", "m", {"base_url": url, "tries": 1, "dialect": dialect})
        replies = ask(llm, 30)
        assert llm.dialect == "json_schema"
        assert all(json.loads(reply.text) == REPLIES["entities"] for reply in replies.values())
        asked = len(bodies)
        ask(llm, 5)
    assert len(bodies) == asked + 5, "what was refused once is not tried again"
    assert {*bodies[-1]} == {
        "model", "messages", "max_completion_tokens", "seed", "response_format"
    }  # fmt: skip
    assert "refuses temperature" in caplog.text


def test_the_length_of_replies_can_be_named() -> None:
    def answer(body: dict[str, Any]) -> tuple[int, str]:
        return (200, json.dumps(sorted(body))) if "max_tokens" not in body else (500, "no")

    options = {"dialect": "prompt", "length": "max_completion_tokens"}
    with serving(answer) as url:
        reply = ask(connect("openai", "m", {"base_url": url, **options}), 1)[0]
    assert "max_completion_tokens" in json.loads(reply.text)
    with pytest.raises(ConfigError, match="unknown length 'words'"):
        connect("openai", "m", {"length": "words"})


def test_failures_of_the_server_are_tried_again() -> None:
    failing = {f"user {i}": 2 for i in range(3)}

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        user = body["messages"][1]["content"]
        if failing.get(user, 0):
            failing[user] -= 1
            return 503, "busy"
        return like_vllm(body)

    with serving(answer) as url:
        options = {"base_url": url, "pause": 0.01, "dialect": "json_schema"}
        replies = ask(connect("openai", "m", options), 4)
        assert all(not reply.error for reply in replies.values())
        failing.update({"user 1": 9})
        replies = ask(connect("openai", "m", options), 2)
    assert (replies[1].error, replies[1].transient) == ("HTTP 503", True)


def test_seeds_are_sent_unless_told_otherwise() -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        bodies.append(body)
        return like_vllm(body)

    with serving(answer) as url:
        for seeds in (True, False):
            options = {"base_url": url, "dialect": "json_schema", "seeds": seeds}
            ask(connect("openai", "m", options), 1)
    assert [body.get("seed") for body in bodies] == [0, None]


def test_a_refused_request_costs_one_row_and_is_not_tried_again() -> None:
    asked: list[str] = []

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        asked.append(body["messages"][1]["content"])
        return (400, "prompt too long") if asked[-1] == "user 1" else like_vllm(body)

    with serving(answer) as url:
        options = {"base_url": url, "dialect": "json_schema"}
        replies = ask(connect("openai", "m", options), 3)
    assert [replies[i].error for i in range(3)] == ["", "HTTP 400", ""]
    assert not replies[1].transient
    assert "prompt too long" in replies[1].text
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("body", "error", "transient"),
    [
        ({"error": {"message": "no room", "code": 400}}, "HTTP 200 with error 400", False),
        ({"error": "no room"}, "HTTP 200 with error", False),
        ({"error": {"message": "no room", "code": "429"}}, "HTTP 200 with error 429", True),
        (
            {"choices": [{"error": {"message": "no room", "code": 502}, "message": {}}]},
            "HTTP 200 with error 502",
            True,
        ),
        ({"choices": [], "about": "no room"}, "the server's answer is no chat completion", True),
    ],
)
def test_an_error_that_comes_as_status_200_is_told_in_the_servers_words(
    body: dict[str, Any], error: str, transient: bool
) -> None:
    asked: list[Any] = []

    def answer(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        asked.append(request)
        return 200, body

    with serving(answer) as url:
        options = {"base_url": url, "dialect": "json_schema", "tries": 2, "pause": 0.0}
        reply = ask(connect("openai", "m", options), 1)[0]
    assert (reply.error, reply.transient) == (error, transient)
    assert "no room" in reply.text
    assert len(asked) == (2 if transient else 1)


@pytest.mark.parametrize(
    ("usage", "cause"),
    [
        ({}, "reply: cut at max_tokens"),
        ({"completion_tokens": 1024}, "reply: cut at max_tokens"),
        (
            {"completion_tokens": 90},
            "reply: cut before max_tokens, at the end of what the LLM can hold",
        ),
    ],
)
def test_a_reply_that_the_server_calls_cut_is_no_broken_json(
    tmp_path: Path, usage: dict[str, int], cause: str
) -> None:
    choice = {"message": {"content": '{"entities": ['}, "finish_reason": "length"}
    texts, out = write_texts(tmp_path / "texts.jsonl", 1), tmp_path / "out"
    settings = Settings((str(texts),), "m", "openai", tasks=("entities",), retries=0)
    with serving(lambda _: (200, {"choices": [choice], "usage": usage})) as url:
        ask, _ = asking("local", Work(settings, {"base_url": url, "dialect": "prompt"}, batch=9))
        manifest = generate(settings, out, ask)
    assert manifest["shards"]["part-00000"]["failed"] == {cause: 1}


def test_a_key_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret\n")

    def answer(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status = 401 if body["model"] == "m" else 400
        return status, {"error": {"message": "wrong key: sk-secret"}}

    with serving(answer) as url:
        options = {"base_url": url.replace("//", "//me:password@"), "dialect": "prompt"}
        with pytest.raises(BackendError, match="wrong key") as caught:
            ask(connect("openai", "m", options), 1)
        reply = ask(connect("openai", "other", options), 1)[0]
    said = f"{caught.value} {reply}"
    assert "sk-secret" not in said
    assert "password" not in said


def test_what_was_under_way_when_a_server_refuses_the_key_is_kept(tmp_path: Path) -> None:
    texts, out = write_texts(tmp_path / "texts.jsonl", 30), tmp_path / "out"
    settings = Settings((str(texts),), "m", "openai", tasks=("entities",))
    asked: list[int] = []
    numbers = count(1)

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        number = next(numbers)
        asked.append(number)
        if number == 2:
            return 401, "expired"
        time.sleep(0.1)
        return like_vllm(body)

    with serving(answer) as url:
        options = {"base_url": url, "concurrency": 4, "dialect": "json_schema"}
        ask, _ = asking("local", Work(settings, options, batch=100))
        with pytest.raises(BackendError, match="expired"):
            generate(settings, out, ask)
    lines = (out / "work/raw/part-00000.jsonl").read_text("utf-8").splitlines()
    assert len(lines) == len(asked) - 1
    assert len(asked) < 30


def test_what_was_under_way_when_the_plan_cannot_be_read_on_is_kept() -> None:
    begun: list[int] = []
    given = requests(4)

    def items() -> Iterator[int]:
        yield from range(4)
        raise DataError("plan.jsonl:5: not JSON")

    with serving(like_vllm) as url:
        options = {"base_url": url, "concurrency": 2, "dialect": "json_schema"}
        llm = connect("openai", "m", options)
        assert isinstance(llm, Concurrent)

        async def reply(i: int) -> int:
            begun.append(i)
            await llm.reply(given[i])
            return i

        done: list[int] = []
        with pytest.raises(DataError, match=r"plan\.jsonl:5"):
            done.extend(side_by_side(llm, reply, chain(range(4), range(4), items())))
    assert sorted(done) == sorted(begun)
    assert begun


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(like_vllm) as proxy:
        monkeypatch.setenv("http_proxy", proxy.removesuffix("/v1").replace("//", "//me:secret@"))
        options = {"base_url": "http://llm.invalid/v1", "dialect": "json_schema", "tries": 1}
        assert not ask(connect("openai", "m", options), 1)[0].error
    reply = ask(connect("openai", "m", options), 1)[0]  # the proxy is gone
    assert "Error" in reply.error
    assert "secret" not in reply.error


def test_a_server_can_be_asked_from_a_running_event_loop() -> None:
    async def notebook(url: str) -> dict[int, Reply]:
        return ask(connect("openai", "m", {"base_url": url, "concurrency": 1}), 3)

    with serving(like_vllm) as url:
        replies = asyncio.run(notebook(url))
    assert [replies[i].error for i in range(3)] == [""] * 3


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("concurrency", 0, "concurrency must be at least 1, got 0"),
        ("tries", 0, "tries must be at least 1, got 0"),
        ("base_url", "localhost:8000/v1", "base_url must begin with http:// or https://"),
    ],
)
def test_options_that_would_ask_nothing_are_refused(name: str, value: Any, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        connect("openai", "m", {name: value})


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(BackendError, match=r"aiohttp: pip install 'glinermt\[synth\]'"):
        connect("openai", "m", {"dialect": "prompt"})


def test_answers_without_usage_or_content_are_no_error_of_ours() -> None:
    with serving(lambda _: (200, ""), usage=False) as url:
        options = {"base_url": url, "dialect": "prompt"}
        reply = ask(connect("openai", "m", options), 1)[0]
    assert (reply.text, reply.tokens_in, reply.error) == ("", 0, "")


def test_a_refused_key_and_a_missing_server_are_named() -> None:
    refused = pytest.raises(BackendError, match=r"refuses model 'm' with HTTP 401")
    with serving(lambda _: (401, "no key")) as url, refused:
        connect("openai", "m", {"base_url": url})
    with pytest.raises(BackendError, match=r"ClientConnectorError"):
        connect("openai", "m", {"base_url": url, "tries": 1})
    with pytest.raises(ConfigError, match="unknown dialect 'jsonschema'"):
        connect("openai", "m", {"dialect": "jsonschema"})


def test_replies_that_come_after_an_interrupt_are_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts, out = write_texts(tmp_path / "texts.jsonl", 30), tmp_path / "out"
    settings = Settings((str(texts),), "m", "openai", tasks=("entities",))
    asked: list[str] = []
    numbers = count(1)

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        asked.append(body["messages"][1]["content"])
        if next(numbers) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return like_vllm(body)

    def records() -> list[str]:
        return (out / "work/raw/part-00000.jsonl").read_text("utf-8").splitlines()

    with serving(answer) as url:
        options = {"base_url": url, "concurrency": 4, "dialect": "json_schema"}
        ask, _ = asking("local", Work(settings, options, batch=100))
        with pytest.raises(KeyboardInterrupt):
            generate(settings, out, ask)
        assert "waiting for the replies under way" in caplog.text
        assert 6 <= len(records()) == len(asked) < 30
        generate(settings, out, ask)
    assert len(records()) == len(asked) == len(set(asked)) == 30


def test_requests_begin_no_faster_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def begin() -> None:
        pace = Pace(60)
        for _ in range(4):
            await pace.wait()

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(begin())
    assert pauses == pytest.approx([0, 1, 2, 3], abs=0.2)


def test_a_run_whose_server_goes_away_reports_what_it_has(tmp_path: Path) -> None:
    asked: list[Any] = []

    def goes_away(body: dict[str, Any]) -> tuple[int, str]:
        asked.append(body)
        return (200, json.dumps(REPLIES["entities"])) if len(asked) <= 4 else (503, "")

    texts, out = write_texts(tmp_path / "texts.jsonl", 12), tmp_path / "out"
    with serving(goes_away) as url:
        options = {"base_url": url, "concurrency": 1, "tries": 1, "dialect": "json_schema"}
        command = ["generate", str(texts), "--out", str(out), "--llm", "openai"]
        command += [f"--llm-option={key}={value}" for key, value in options.items()]
        command += ["--tasks", "entities", "--set", "shard_rows=2", "--batch", "5"]
        result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, BackendError)
    assert "rows 4 of 12 planned" in result.output
    assert json.loads((out / "report.json").read_text())["examples"] == 4


def command(url: str, tmp_path: Path, *more: str) -> Result:
    texts = write_texts(tmp_path / "texts.jsonl", 12)
    given = ["generate", str(texts), "--out", str(tmp_path / "out"), "--llm", "openai"]
    given += [f"--llm-option=base_url={url}", "--llm-option=concurrency=1", "--tasks", "entities"]
    given += ["--set", "retries=0"]
    return CliRunner().invoke(app, [*given, *more])


def test_a_finished_run_asks_the_server_nothing_and_reports_again(tmp_path: Path) -> None:
    asked: list[Any] = []

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        asked.append(body)
        return (200, "no JSON") if len(asked) <= 6 else without_schemas(body)

    with serving(answer) as url:
        first = command(url, tmp_path)
        assert first.exit_code == 0, first.output
        number = len(asked)
        again = command(url, tmp_path)
        assert again.exit_code == 0, again.output
        assert len(asked) == number
        assert "rows 12 of 12 planned" in again.output
        failed = json.loads((tmp_path / "out/report.json").read_text())["failed"]
        assert failed == {"reply: not JSON": 2}  # the first four requests try the server
        retried = command(url, tmp_path, "--retry-failed")
        assert retried.exit_code == 0, retried.output
        assert len(asked) > number


def test_a_run_stopped_with_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    numbers = count(1)

    def answer(body: dict[str, Any]) -> tuple[int, str]:
        if next(numbers) == 6:
            os.kill(os.getpid(), signal.SIGINT)
        return like_vllm(body)

    with serving(answer) as url:
        stopped = command(url, tmp_path, "--set", "shard_rows=2")
        assert stopped.exit_code == 130
        assert "of 12 planned" in stopped.stdout
        assert "stopped; run the same command again to go on" in stopped.stderr
        assert command(url, tmp_path, "--set", "shard_rows=2").exit_code == 0
