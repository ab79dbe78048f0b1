"""The server answers as the library does, and refuses what it should in words of use."""

import asyncio
import gzip
import http.client
import json
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")

import httpx
from fastapi.testclient import TestClient
from pydantic import ValidationError

from glinermt import tasks
from glinermt.serve.access import read_keys
from glinermt.serve.app import create_app
from glinermt.serve.endpoints import ENDPOINTS
from glinermt.serve.requests import EntitiesRequest
from glinermt.serve.service import ServeSettings
from glinermt.types import Ask, Found, Query, Span
from tests.serve.running import running
from tests.stub import StubExtractor

TEXT = "Zoë 🎉 Müller joined Acme in Paris. Acme is big."
PEOPLE = {"Zoë 🎉 Müller": "person", "Acme": "company", "Paris": "city"}


def script(query: Query) -> list[Span]:
    """Find the known names under the labels asked for; with another label, the first name."""
    if "boom" in query.text:
        raise RuntimeError("/secret/path exploded")
    found = []
    for name, label in PEOPLE.items():
        place = query.text.find(name)
        if place < 0:
            continue
        for asked in query.labels:
            if asked.split(":")[0] == label or asked in ("match", "answer", "summary", "keyphrase"):
                found.append(Span(place, place + len(name), name, asked, 0.9))
            elif asked == "Zoë 🎉 Müller <> works for" and name == "Acme":
                found.append(Span(place, place + len(name), name, asked, 0.8))
    return found[:1] if query.labels == ("answer",) else found


class Reader(StubExtractor):
    """A stub that also classifies: the longer a class's name, the surer."""

    kinds = frozenset({"spans", "classes"})

    def read(self, queries: Sequence[Query], ask: Ask) -> list[Found]:
        spans = self.extract(queries, threshold=ask.threshold)
        classes = [{name: len(name) - 5.0 for name in query.classes} for query in queries]
        return [Found(tuple(s), classes=c) for s, c in zip(spans, classes, strict=True)]


@pytest.fixture
def stub() -> StubExtractor:
    return Reader(script)


@pytest.fixture
def client(stub: StubExtractor) -> Iterator[TestClient]:
    with serving(stub) as client:
        yield client


def serving(model: Any, **settings: Any) -> TestClient:
    app = create_app(
        {"small": model, "other": StubExtractor(lambda _: [])}, ServeSettings(**settings)
    )
    return TestClient(app, raise_server_exceptions=False)


def plain(result: Any) -> Any:
    return [plain(item) for item in result] if isinstance(result, list) else result.to_dict()


BODIES: dict[str, dict[str, Any]] = {
    "entities": {"labels": {"person": "a human", "city": {"threshold": 0.95}, "company": {}}},
    "open-entities": {"instruction": "all names"},
    "relations": {"relations": {"works for": {"head": ["person"], "tail": ["company"]}}},
    "answer": {"question": "Who joined?"},
    "summary": {"sentences": 1},
    "matches": {"instruction": "all names"},
    "keyphrases": {"top_k": 2},
    "classify": {"labels": {"sport": "games", "politics": ""}, "multi_label": True},
    "records": {
        "schema": {
            "type": "object",
            "properties": {"person": {"type": "string"}, "city": {"type": "string"}},
        }
    },
    "read": {
        "schema": {
            "entities": {"person": "a human", "city": {"threshold": 0.95}},
            "classes": {"news": ["sport", "politics"]},
            "records": {
                "stay": {"type": "object", "properties": {"city": {"type": "string"}}},
            },
        }
    },
    "redact": {"labels": ["person", "city"], "placeholder": "<{label} {number}>"},
}
FUNCTIONS = {
    "entities": tasks.extract_entities,
    "open-entities": tasks.extract_open_entities,
    "relations": tasks.extract_relations,
    "answer": tasks.answer,
    "summary": tasks.summarize,
    "matches": tasks.extract_matches,
    "keyphrases": tasks.extract_keyphrases,
    "classify": tasks.classify,
    "records": tasks.extract_records,
    "read": tasks.read,
    "redact": tasks.redact,
}


@pytest.mark.parametrize("text", [TEXT, [TEXT, "Nothing here.", ""]], ids=["one", "many"])
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_an_endpoint_gives_what_the_function_gives(
    endpoint: Any, text: Any, client: TestClient, stub: StubExtractor
) -> None:
    body = BODIES[endpoint.path]
    reply = client.post(f"/v1/{endpoint.path}", json={"text": text, **body})
    assert reply.status_code == 200, reply.text
    function: Any = FUNCTIONS[endpoint.path]
    expected = plain(function(text=text, **body, model=stub))
    assert expected
    found = reply.json()
    if endpoint.path == "records":  # an empty error is left out by the library
        for records in [found["result"]] if isinstance(text, str) else found["result"]:
            for record in records:
                assert record.pop("error") == ""
    if endpoint.path == "read":
        for one in [found["result"]] if isinstance(text, str) else found["result"]:
            for record in one["records"]["stay"]:
                assert record.pop("error") == ""
    assert found == {"model": "small", "offset_unit": "codepoint", "result": expected}


def test_offsets_count_what_the_client_counts(client: TestClient) -> None:
    units: dict[str, Any] = {
        "codepoint": TEXT,
        "utf16": TEXT.encode("utf-16-le"),
        "utf8": TEXT.encode(),
    }
    for unit, sequence in units.items():
        body = {"text": TEXT, "labels": ["city", "person"], "offset_unit": unit}
        size = 2 if unit == "utf16" else 1
        for span in client.post("/v1/entities", json=body).json()["result"]:
            piece = sequence[span["start"] * size : span["end"] * size]
            assert piece in (span["text"], span["text"].encode("utf-16-le"), span["text"].encode())


def test_given_entities_have_offsets_in_the_clients_unit(client: TestClient) -> None:
    end = len("Zoë 🎉 Müller".encode())
    start = TEXT.encode().index(b"Acme")
    body = {
        "text": TEXT,
        "relations": ["works for"],
        "offset_unit": "utf8",
        "entities": [
            {"start": 0, "end": end, "text": "Zoë 🎉 Müller", "label": "person"},
            {"start": start, "end": start + 4, "label": "company"},
        ],
    }
    (found,) = client.post("/v1/relations", json=body).json()["result"]
    assert (found["head"]["end"], found["tail"]["start"]) == (end, start)
    body["entities"][0]["end"] = 3  # inside ë
    refused = client.post("/v1/relations", json=body)
    assert refused.status_code == 422
    assert refused.json()["error"]["field"] == "entities.0"
    assert "inside a character" in refused.json()["error"]["message"]


def test_several_answers_are_a_list(client: TestClient) -> None:
    asked = {"question": "Who?", "text": TEXT}
    assert isinstance(client.post("/v1/answer", json=asked).json()["result"], dict)
    for top_k in (1, 3):
        result = client.post("/v1/answer", json={**asked, "top_k": top_k}).json()["result"]
        assert [answer["span"]["text"] for answer in result] == ["Zoë 🎉 Müller"]


def test_a_model_is_chosen_by_its_name(client: TestClient) -> None:
    names = client.get("/v1/models").json()
    assert [card["name"] for card in names["models"]] == ["small", "other"]
    body = {"text": TEXT, "labels": ["city"], "model": "other"}
    assert client.post("/v1/entities", json=body).json() == {
        "model": "other",
        "offset_unit": "codepoint",
        "result": [],
    }
    refused = client.post("/v1/entities", json={**body, "model": "/etc/passwd"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "model")


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"labels": ["x"]}, 422, "text"),
        ({"text": "a", "labels": "x"}, 422, "labels"),
        ({"text": "a", "labels": [""]}, 422, "labels.0"),
        ({"text": "a", "labels": ["x"], "treshold": 0.5}, 422, "treshold"),
        ({"text": "a", "labels": {"x": {"threshold": 2}}}, 422, "labels.x.threshold"),
        ({"text": "a", "labels": ["x"], "threshold": 1.5}, 422, "threshold"),
        ({"text": "a", "labels": ["x"], "threshold": "high"}, 422, "threshold"),
        ({"text": "a", "labels": ["x"], "overlap": "some"}, 422, "overlap"),
        ({"text": ["a", 1], "labels": ["x"]}, 422, "text.1"),
        ({"text": "a" * 51, "labels": ["x"]}, 413, "text"),
        ({"text": ["a", "a" * 51], "labels": ["x"]}, 413, "text.1"),
        ({"text": ["a"] * 6, "labels": ["x"]}, 413, "text"),
        ({"text": "a", "labels": list("abcdef")}, 422, "labels"),
        ({"text": "a", "labels": dict.fromkeys("abcdef", "letter")}, 422, "labels"),
        ({"text": "a" * 5000, "labels": ["x"]}, 413, "body"),
    ],
)
def test_what_is_too_much_or_wrong_is_refused_by_field(
    body: Any, status: int, field: str, stub: StubExtractor
) -> None:
    limits = {"max_text_chars": 50, "max_texts": 5, "max_labels": 5, "max_body_bytes": 2000}
    with serving(stub, **limits) as client:
        reply = client.post("/v1/entities", json=body)
    assert reply.status_code == status, reply.text
    assert reply.json()["error"]["field"] == field
    assert not stub.queries


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff",
        b'{"text": NaN}',
        b'"\\ud800"',
        b"[" * 100_000,
        b"1" * 9999,
    ],
)
def test_a_body_that_is_no_request_is_refused(content: bytes, client: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    reply = client.post("/v1/entities", content=content, headers=headers)
    assert reply.status_code in (400, 422)
    assert reply.json()["error"]["message"]


def test_what_is_sent_by_habit_is_answered_in_words_of_use(client: TestClient) -> None:
    asked = {"texts": [TEXT], "labels": ["city"]}
    error = client.post("/v1/entities", json=asked).json()["error"]
    assert error["field"] == "texts"
    assert error["message"] == "texts: unknown field; /docs lists those that there are"
    form = client.post("/v1/entities", content=json.dumps({"text": TEXT, "labels": ["city"]}))
    assert "sent with Content-Type: application/json" in form.json()["error"]["message"]
    half = b'{"text": "a\\ud800", "labels": ["city"]}'
    headers = {"Content-Type": "application/json"}
    error = client.post("/v1/entities", content=half, headers=headers).json()["error"]
    assert "half of a surrogate pair" in error["message"]


@pytest.mark.parametrize("place", ["name", "$ref"])
def test_a_schema_from_outside_has_no_patterns_and_no_circles(
    place: str, client: TestClient
) -> None:
    field = {"type": "string", "pattern": "(a+)+$"} if place == "name" else {"$ref": "#"}
    schema = {"type": "object", "properties": {"a": field}}
    reply = client.post("/v1/records", json={"text": "a" * 40, "schema": schema})
    assert reply.status_code == 422, reply.text


FAR = "http://192.0.2.1/schema.json"
TWICE = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(60)}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"not": {"$ref": FAR}}, f"there is no '{FAR}' in it"),
        ({"not": {"$ref": "file:///etc/hosts"}}, "there is no 'file:///etc/hosts' in it"),
        ({"not": {"$ref": "#/$defs/a0"}, "$defs": {**TWICE, "a60": {}}}, "more than 100,000 parts"),
        ({"not": {"$ref": "#/not"}}, "refers to itself without end"),
        ({"properties": {f"field {i}": {} for i in range(1001)}}, "schema: 1001; at most 1000"),
        ({"properties": {f"field {i}": {} for i in range(5000)}}, "schema: 5000; at most 1000"),
    ],
)
@pytest.mark.parametrize("path", ["records", "read"])
def test_a_schema_from_outside_fetches_nothing_and_ends(
    path: str, more: Any, message: str, client: TestClient
) -> None:
    schema = {"type": "object", "properties": {"company": {"type": "string"}}, **more}
    asked = schema if path == "records" else {"records": {"job": schema}}
    reply = client.post(f"/v1/{path}", json={"text": TEXT, "schema": asked})
    assert reply.status_code == 422, reply.text
    assert message in reply.json()["error"]["message"]


MANY = 100_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": [1] * MANY},
        {"labels": [1] * MANY},
        {"labels": [["city"], [1] * MANY]},
        {"labels": dict.fromkeys(map(str, range(MANY)), 1)},
        {"labels": {"city": dict.fromkeys(map(str, range(MANY)))}},
        {"threshold": dict.fromkeys(map(str, range(MANY)), 2)},
        dict.fromkeys(map(str, range(MANY))),
    ],
)
def test_of_very_many_faults_only_a_few_are_looked_at(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as raised:
        EntitiesRequest.model_validate({"text": TEXT, "labels": ["city"], **wrong})
    assert raised.value.error_count() < 1000


def test_a_body_that_is_nested_without_end_is_refused(client: TestClient) -> None:
    deep = b'{"text": "a", "schema": ' + b'{"a": ' * 400 + b"1" + b"}" * 401
    headers = {"Content-Type": "application/json"}
    reply = client.post("/v1/records", content=deep, headers=headers)
    assert reply.status_code == 422
    assert "nested more than 50 levels deep" in reply.text


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "schema asks for nothing"),
        ({"relations": ["met"]}, "no relations in the same pass"),
        ({"records": {"a": {"type": "object", "properties": {"b": {"pattern": "x"}}}}}, "patterns"),
        ({"entities": [f"type {i}" for i in range(2000)]}, "schema: 2000; at most"),
        ({"entities": {"x": {"pattern": "(a+)+$"}}}, "unknown field; /docs lists"),
    ],
)
def test_a_read_is_limited_as_its_tasks_are(asked: Any, message: str, client: TestClient) -> None:
    reply = client.post("/v1/read", json={"text": TEXT, "schema": asked})
    assert reply.status_code == 422, reply.text
    assert message in reply.text


@pytest.mark.parametrize(
    ("path", "asked", "field"),
    [
        ("read", {}, "schema"),
        ("read", {"schema": {"entities": 5}}, "schema.entities"),
        ("read", {"schema": {"relations": {"met": {"head": [""]}}}}, "schema.relations.met.head.0"),
        (
            "read",
            {"schema": {"classes": {"mood": {"multi_label": 3}}}},
            "schema.classes.mood.multi_label",
        ),
        ("records", {"schema": []}, "schema"),
        ("relations", {"relations": ["met"], "entities": [{"start": -1}]}, "entities.0.start"),
    ],
)
def test_a_fault_is_named_by_its_place_in_the_request(
    path: str, asked: Any, field: str, client: TestClient
) -> None:
    body = {"text": TEXT, **asked}
    reply = client.post(f"/v1/{path}", json=body)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, field), reply.text
    line = client.post(f"/v1/{path}/batch", content=json.dumps(body).encode())
    assert json.loads(line.text)["error"]["field"] == field


def test_a_property_may_be_called_pattern(client: TestClient) -> None:
    schema = {"type": "object", "properties": {"pattern": {"type": "string"}}}
    reply = client.post("/v1/records", json={"text": TEXT, "schema": schema})
    assert reply.status_code == 200, reply.text


def test_what_the_library_refuses_is_told_in_its_words(client: TestClient) -> None:
    reply = client.post("/v1/summary", json={"text": "A. B.", "sentences": 1, "words": 5})
    assert reply.status_code == 422
    assert reply.json()["error"]["message"] == "give one budget, not sentences and words"


def test_a_failing_model_is_an_error_without_its_reasons_and_not_the_end(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    reply = client.post("/v1/entities", json={"text": "boom", "labels": ["x"]})
    assert reply.status_code == 500
    assert "secret" not in reply.text
    assert "Traceback" not in reply.text
    assert "/secret/path exploded" in caplog.text
    ok = client.post("/v1/entities", json={"text": TEXT, "labels": ["city"]})
    assert ok.status_code == 200
    assert client.get("/ready").status_code == 200


class Slow(StubExtractor):
    """A stub that reads nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__(script)
        self.entered, self.go = threading.Event(), threading.Event()

    def extract(self, queries: Sequence[Query], **options: Any) -> list[list[Span]]:  # type: ignore[override]
        self.entered.set()
        assert self.go.wait(60)
        return super().extract(queries, **options)


def test_a_full_queue_asks_to_try_again_later() -> None:
    slow = Slow()
    body = {"text": TEXT, "labels": ["city"]}
    with serving(slow, max_queue=2) as client, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(client.post, "/v1/entities", json=body) for _ in range(2)]
        slow.entered.wait(60)
        end = time.monotonic() + 60
        while client.app.state.service.under_way < 2:  # type: ignore[attr-defined]
            assert time.monotonic() < end
        refused = client.post("/v1/entities", json=body)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        assert client.get("/health").status_code == 200
        slow.go.set()
        assert [done.result().status_code for done in waiting] == [200, 200]


def test_streams_leave_room_for_requests() -> None:
    slow = Slow()
    line = json.dumps({"text": TEXT, "labels": ["city"]})
    with serving(slow, max_queue=4) as client, ThreadPoolExecutor(2) as pool:
        stream = pool.submit(client.post, "/v1/entities/batch", content="\n".join([line] * 20))
        slow.entered.wait(60)
        end = time.monotonic() + 60
        while client.app.state.service.under_way < 2:  # type: ignore[attr-defined]
            assert time.monotonic() < end
        request = pool.submit(client.post, "/v1/entities", json=json.loads(line))
        slow.go.set()
        assert request.result().status_code == 200
        assert len(stream.result().text.splitlines()) == 20


def test_a_late_request_is_given_up() -> None:
    slow = Slow()
    body = {"text": TEXT, "labels": ["city"]}
    with serving(slow, timeout=1.5) as client:
        reply = client.post("/v1/entities", json=body)
        slow.go.set()
        assert (reply.status_code, reply.json()["error"]["code"]) == (504, "timeout")
        assert client.post("/v1/entities", json=body).status_code == 200


def test_without_a_key_only_the_harmless_is_answered(stub: StubExtractor) -> None:
    body = {"text": TEXT, "labels": ["city"]}
    with serving(stub, api_keys=["secret-1", "schlüssel"]) as client:
        for headers in ({}, {"Authorization": "Bearer secret-2"}, {"X-API-Key": ""}):
            reply = client.post("/v1/entities", json=body, headers=headers)
            assert reply.status_code == 401
            assert reply.json()["error"]["code"] == "unauthorized"
        assert client.get("/metrics").status_code == 401
        assert client.post("/v1/entities/batch", content=b"{}").status_code == 401
        assert not stub.queries
        for good in ({"Authorization": "Bearer secret-1"}, {"X-API-Key": "secret-1"}):
            assert client.post("/v1/entities", json=body, headers=good).status_code == 200
        for path in ("/", "/health", "/ready", "/openapi.json", "/docs"):
            assert client.get(path).status_code == 200
        for path in ("/health", "/ready"):
            assert client.head(path).status_code == 200


def test_a_file_of_keys_may_have_comments_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("\ufeffone\n  # a comment\n\n two \n", encoding="utf-8")
    assert read_keys(file) == {"one", "two"}


def test_other_sites_may_not_ask_unless_named(stub: StubExtractor) -> None:
    origin = {"Origin": "https://site.example"}
    with serving(stub) as client:
        assert "access-control-allow-origin" not in client.get("/health", headers=origin).headers
    with serving(stub, cors_origins=["https://site.example"]) as client:
        headers = client.get("/health", headers=origin).headers
        assert headers["access-control-allow-origin"] == "https://site.example"
        assert "Retry-After" in headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("entities", {"labels": []}),
        ("entities", {"labels": {}}),
        ("open-entities", {"instruction": "all names", "labels": []}),
        ("relations", {"relations": []}),
        ("classify", {"labels": []}),
        ("redact", {"labels": []}),
        ("read", {"schema": {"classes": {"mood": []}}}),
        ("read", {"schema": {"entities": []}}),
    ],
)
def test_a_request_that_names_nothing_to_look_for_is_refused(
    client: TestClient, path: str, body: dict[str, Any]
) -> None:
    reply = client.post(f"/v1/{path}", json={"text": TEXT, **body})
    assert reply.status_code == 422
    assert re.search("expected at least one|asks for nothing", reply.json()["error"]["message"])


def test_a_text_of_a_request_may_be_asked_for_nothing(client: TestClient) -> None:
    body = {"text": [TEXT, TEXT], "labels": [["city"], []]}
    first, second = client.post("/v1/entities", json=body).json()["result"]
    assert ([span["text"] for span in first], second) == (["Paris"], [])


def test_a_stream_answers_line_by_line_in_order(client: TestClient) -> None:
    lines = [{"text": f"{i} in Paris", "labels": ["city"]} for i in range(100)]
    content = b"\n".join(json.dumps(line).encode() for line in lines)
    content += b'\n\n{"text": 1}\n{"text": "boom", "labels": ["x"]}\nno json'
    reply = client.post("/v1/entities/batch", content=content)
    assert reply.status_code == 200
    replies = [json.loads(line) for line in reply.text.splitlines()]
    assert [line["line"] for line in replies] == [*range(1, 101), 102, 103, 104]
    assert all(line["result"][0]["text"] == "Paris" for line in replies[:100])
    assert [line["error"]["code"] for line in replies[100:]] == [
        "invalid",
        "internal",
        "bad_request",
    ]


def test_a_stream_may_begin_with_a_byte_order_mark(client: TestClient) -> None:
    content = b'\xef\xbb\xbf{"text": "in Paris", "labels": ["city"]}\r\n'
    reply = client.post("/v1/entities/batch", content=content)
    assert json.loads(reply.text)["result"][0]["text"] == "Paris"


def test_a_stream_that_the_server_ends_says_so_in_its_last_line(stub: StubExtractor) -> None:
    line = json.dumps({"text": "in Paris", "labels": ["city"]}).encode() + b"\n"
    with running(create_app({"small": stub}), grace=1) as address:
        connection = http.client.HTTPConnection(httpx.URL(address).netloc.decode(), timeout=60)
        connection.putrequest("POST", "/v1/entities/batch")
        connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        connection.send(b"%x\r\n%s\r\n" % (len(line), line))  # and the body does not end
        reply = connection.getresponse()
        assert json.loads(reply.readline())["result"][0]["text"] == "Paris"
    (last,) = map(json.loads, reply.read().splitlines())
    connection.close()
    assert (last["line"], last["error"]["code"]) == (None, "unavailable")
    assert "the server stops" in last["error"]["message"]


def test_a_request_that_a_stopped_server_does_not_finish_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slow = Slow()
    with ThreadPoolExecutor(1) as pool:
        with running(create_app({"small": slow}), grace=1) as address:
            body = {"text": TEXT, "labels": ["city"]}
            waiting = pool.submit(httpx.post, f"{address}v1/entities", json=body, timeout=60)
            waiting.add_done_callback(lambda _: slow.go.set())
            assert slow.entered.wait(60)
        assert waiting.result().json()["error"]["code"] == "unavailable"
    assert "Traceback" not in caplog.text


def test_what_a_stream_read_is_counted_and_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "glinermt.serve")
    lines = [{"text": ["in Paris", "in"], "labels": ["city"]}, {"text": "a", "labels": ["city"]}]
    content = "\n".join(["no json", *map(json.dumps, lines)])
    client.post("/v1/entities/batch", content=content)
    logged = json.loads(caplog.messages[-1])
    assert {name: logged[name] for name in ("lines", "texts", "chars")} == {
        "lines": 3,
        "texts": 3,
        "chars": 11,
    }
    assert 'glinermt_texts_total{path="/v1/entities/batch"} 3.0' in client.get("/metrics").text


@pytest.mark.parametrize("path", ["/v1/entities", "/v1/entities/batch"])
def test_a_packed_body_is_refused_by_name(path: str, client: TestClient) -> None:
    content = gzip.compress(b'{"text": "in Paris", "labels": ["city"]}')
    reply = client.post(path, content=content, headers={"Content-Encoding": "gzip"})
    assert reply.status_code == 415
    assert "Content-Encoding 'gzip' is not read" in reply.json()["error"]["message"]


def test_a_line_without_end_is_not_kept(stub: StubExtractor) -> None:
    with serving(stub, max_body_bytes=1000) as client:
        reply = client.post("/v1/entities/batch", content=b"x" * 5000)
    assert json.loads(reply.text)["error"]["code"] == "too_large"


def test_a_line_that_is_too_long_costs_no_other_its_reply(stub: StubExtractor) -> None:
    app = create_app({"small": stub}, ServeSettings(max_body_bytes=1000))
    good = b'{"text": "in Paris", "labels": ["city"]}\n'

    async def parts() -> AsyncIterator[bytes]:
        for part in (good + b"x" * 600, b"x" * 600, b"x" * 600, b"x\n" + good):
            yield part

    async def ask() -> str:
        transport = httpx.ASGITransport(app)
        client = httpx.AsyncClient(transport=transport, base_url="http://testserver")
        async with app.router.lifespan_context(app), client:
            return (await client.post("/v1/entities/batch", content=parts())).text

    replies = [json.loads(line) for line in asyncio.run(ask()).splitlines()]
    assert [reply["line"] for reply in replies] == [1, 2, 3]
    assert replies[1]["error"]["code"] == "too_large"
    assert [replies[i]["result"][0]["text"] for i in (0, 2)] == ["Paris", "Paris"]


@pytest.mark.parametrize(
    ("text", "entities", "message"),
    [
        ([TEXT, TEXT], [{"start": 0, "end": 3}] * 2, "give a list of them for each text"),
        (TEXT, [[{"start": 0, "end": 3}]], "one text takes one list"),
    ],
)
def test_spans_whose_texts_are_not_clear_are_refused(
    text: Any, entities: Any, message: str, client: TestClient
) -> None:
    body = {"text": text, "relations": ["works for"], "entities": entities}
    reply = client.post("/v1/relations", json=body)
    assert (reply.status_code, reply.json()["error"]["field"]) == (422, "entities")
    assert message in reply.json()["error"]["message"]


def test_the_log_has_no_text_unless_asked(
    stub: StubExtractor, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "glinermt.serve")
    body = {"text": TEXT, "labels": ["city"]}
    with serving(stub) as client:
        number = client.post("/v1/entities", json=body).headers["X-Request-ID"]
        client.get("/forged%0Aline")
    line = json.loads(caplog.messages[0])
    assert line.pop("ms") >= 0
    assert line == {
        "request": number,
        "method": "POST",
        "path": "/v1/entities",
        "status": 200,
        "texts": 1,
        "chars": len(TEXT),
    }
    assert "\n" not in caplog.messages[1]
    assert "Paris" not in caplog.text
    caplog.clear()
    with serving(stub, log_texts=True) as client:
        client.post("/v1/entities", json=body)
        client.post("/v1/read", json={"text": TEXT, "schema": {"entities": ["city"]}})
    assert json.loads(caplog.messages[0])["body"]["text"] == TEXT
    assert json.loads(caplog.messages[1])["body"]["schema"] == {"entities": ["city"]}


def test_metrics_count_requests_texts_and_batches(client: TestClient) -> None:
    client.post("/v1/entities", json={"text": [TEXT, TEXT], "labels": ["city"]})
    client.post("/v1/entities", json={})
    client.get("/nowhere/at/all")
    text = client.get("/metrics").text
    for line in (
        'glinermt_requests_total{path="/v1/entities",status="200"} 1.0',
        'glinermt_requests_total{path="/v1/entities",status="422"} 1.0',
        'glinermt_requests_total{path="other",status="404"} 1.0',
        'glinermt_texts_total{path="/v1/entities"} 2.0',
        "glinermt_batch_requests_count 1.0",
    ):
        assert line in text


def test_unknown_paths_and_methods_are_errors_of_the_same_form(client: TestClient) -> None:
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"
    assert client.get("/v1/entities").json()["error"]["code"] == "method_not_allowed"


def test_the_description_of_the_api_is_shown_without_a_network(client: TestClient) -> None:
    page = client.get("/docs")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    places = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert len(places) == 3
    for place in places:
        reply = client.get(place)  # a path of this server
        assert place.startswith("docs/")
        assert reply.status_code == 200
        assert len(reply.content) > 100
    assert "'openapi.json'" in page.text


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_the_example_of_the_description_is_answered(endpoint: Any, client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    (example,) = schemas[endpoint.request.__name__]["examples"]
    reply = client.post(f"/v1/{endpoint.path}", json=example)
    assert reply.status_code == 200, reply.text


def test_the_description_says_how_a_key_is_sent_where_one_is_needed(stub: StubExtractor) -> None:
    with serving(stub, api_keys=["secret-1"]) as client:
        document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert document["paths"]["/v1/entities"]["post"]["security"] == [{"HTTPBearer": []}]
    assert document["paths"]["/v1/entities/batch"]["post"]["security"] == [{"HTTPBearer": []}]
    assert "security" not in document["paths"]["/health"]["get"]
