"""What no client should send never brings the server down."""

import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra [serve]")
pytest.importorskip("schemathesis", reason="needs schemathesis")

import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from glinermt.serve.app import create_app
from glinermt.serve.endpoints import ENDPOINTS
from glinermt.serve.service import ServeSettings
from glinermt.types import Query, Span
from tests.serve.running import running
from tests.stub import StubExtractor

pytestmark = pytest.mark.extras
MALFORMED = 10_000


def script(query: Query) -> list[Span]:
    """Mark the first character under the first label, as a model might."""
    text = query.text[:1]
    return [Span(0, 1, text, query.labels[0], 0.9)] if text and query.labels else []


def make_app() -> FastAPI:
    return create_app({"stub": StubExtractor(script)}, ServeSettings(max_body_bytes=100_000))


schema = schemathesis.openapi.from_dict(make_app().openapi())


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running(make_app()) as address:
        yield address


@schema.exclude(path_regex="/batch$").parametrize()  # streams are tested by hand
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_replies_are_as_the_openapi_document_says(case: Any, address: str) -> None:
    # Not all that a request must keep to is a matter of types: as many labels as texts, one budget.
    case.call_and_validate(base_url=address, excluded_checks=[positive_data_acceptance])


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_app(), raise_server_exceptions=False) as client:
        yield client


def test_ten_thousand_malformed_bodies_are_refused(client: TestClient) -> None:
    chance = random.Random(0)
    headers = {"Content-Type": "application/json"}
    statuses: dict[int, int] = {}
    for i in range(MALFORMED):
        endpoint = ENDPOINTS[i % len(ENDPOINTS)]
        content = malformed(chance, endpoint.request.model_fields)
        reply = client.post(f"/v1/{endpoint.path}", content=content, headers=headers)
        statuses[reply.status_code] = statuses.get(reply.status_code, 0) + 1
        assert reply.status_code in (200, 400, 413, 422), (content[:300], reply.text)
        if reply.status_code != 200:
            assert reply.json()["error"]["message"]
    assert statuses[400] > MALFORMED / 10
    assert statuses[422] > MALFORMED / 10


def malformed(chance: random.Random, names: Any) -> bytes:
    """Make a body that is wrong in some way: no JSON, bytes changed, or values of any type."""
    fields = [*names, "__class__", "text"]
    body = {chance.choice(fields): any_value(chance, 3) for _ in range(chance.randrange(6))}
    if chance.random() < 0.5:
        body["text"] = "some text"
    content = bytearray(json.dumps(body).encode())
    match chance.randrange(3):
        case 0:
            for _ in range(chance.randrange(1, 4)):
                content[chance.randrange(len(content))] = chance.randrange(256)
        case 1:
            del content[chance.randrange(len(content)) :]
    return bytes(content)


def any_value(chance: random.Random, depth: int) -> Any:
    simple = [None, True, 0, -1, 10**30, 1e308, float("nan"), float("inf"), "", " ", "a", "\ud800"]
    simple += ["\x00", "é" * 300, "{text}", "../../etc/passwd", "flat", "utf16", "stub", "a <> b"]
    if depth == 0 or chance.random() < 0.5:
        return chance.choice(simple)
    if chance.random() < 0.5:
        return [any_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    keys = ["threshold", "description", "head", "tail", "start", "end", "text", "label", "", "x"]
    return {chance.choice(keys): any_value(chance, depth - 1) for _ in range(chance.randrange(4))}
