"""Any OpenAI-compatible server: vLLM's, llama.cpp's, Ollama, hosted ones.

Servers differ in how a schema is given, and some take a way they do not know for none at all. So
each way is tried once at the start with a schema that no model would follow by itself.
"""

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from glinermt.config import from_mapping
from glinermt.errors import BackendError, ConfigError, unknown_choice
from glinermt.synth.backends.base import Reply, Request, with_schema
from glinermt.synth.schema import record, several, text

REFUSED = (401, 403, 404)
"""Statuses that no other prompt would change."""
TRANSIENT = (408, 409, 425, 429, 500, 502, 503, 504, 529)
LONGEST_WAIT = 60.0


Dialect = Callable[[Request], dict[str, Any]]
"""Request -> what is added to the body of the HTTP request."""


def _json_schema(request: Request) -> dict[str, Any]:
    named = {"name": request.recipe, "schema": request.schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _structured_outputs(request: Request) -> dict[str, Any]:
    return {"structured_outputs": {"json": request.schema}}


def _json_object(request: Request) -> dict[str, Any]:
    return {"response_format": {"type": "json_object", "schema": request.schema}}


def _in_prompt(request: Request) -> dict[str, Any]:
    return {"messages": with_schema(request)}


DIALECTS: dict[str, Dialect] = {
    "json_schema": _json_schema,
    "structured_outputs": _structured_outputs,
    "json_object": _json_object,
    "prompt": _in_prompt,
}

_PROBE = record(kiwi=text(8), zebras=several(text(8), 2))


def probe(reply: Callable[[Request, str], Reply]) -> str:
    """Return the first dialect by which the server follows a schema; ``prompt`` where none does.

    Raises:
        BackendError: the server answers no dialect at all.
    """
    asked = Request(
        id="probe",
        recipe="probe",
        system="You are friendly.",
        user="Say hello to me in one word.",
        schema=_PROBE,
        temperature=0.0,
        top_p=1.0,
        max_tokens=60,
        seed=0,
    )
    errors = []
    for name in DIALECTS:
        answer = reply(asked, name)
        if name == "prompt" and not answer.error:
            return name
        if not answer.error and _follows(answer.text):
            return name
        errors.append(f"{name}: {answer.error or 'schema not followed'}")
    causes = {error.partition(": ")[2] for error in errors}
    why = causes.pop() if len(causes) == 1 else "; ".join(errors)
    raise BackendError(
        f"the server answers nothing: {why}; see that it runs, and at --llm-option base_url=URL"
    )


def _follows(reply: str) -> bool:
    """Whether the reply begins as only the schema makes it; small models may never end it."""
    return re.match(r'\s*\{\s*"kiwi"\s*:\s*"', reply) is not None


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the openai backend."""

    base_url: str = "http://localhost:8000/v1"
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key, if the server wants one."""
    concurrency: int = 16
    """Requests under way at the same time."""
    requests_per_minute: int = 0
    """Most requests begun in a minute; 0 = no limit."""
    timeout: float = 300.0
    """Seconds to wait for a reply."""
    tries: int = 5
    """Attempts where the server or the network fails, with growing pauses."""
    pause: float = 1.0
    """Seconds before the second attempt; twice as long before each further one."""
    seeds: bool = True
    """Whether each request has its seed; vLLM's server dies of them on a CPU."""
    dialect: str = "probe"
    """How the schema is given: ``probe``, or a name in ``DIALECTS``."""


def connect(model: str, options: Mapping[str, Any]) -> "Server":
    """Connect to the server and find out how it takes a schema.

    Raises:
        BackendError: there is no such server, or it refuses the model or the key.
    """
    given = from_mapping(Options, options, where="openai")
    if given.dialect != "probe" and given.dialect not in DIALECTS:
        raise ConfigError(unknown_choice("dialect", given.dialect, (*DIALECTS, "probe")))
    server = Server(model, given)
    if given.dialect == "probe":
        server.dialect = probe(partial(server.ask, tries=1))
    return server


class Server:
    """A server's chat completions, asked by several threads."""

    def __init__(self, model: str, options: Options) -> None:
        try:
            import urllib3
        except ImportError as error:
            raise BackendError(
                "asking a server needs urllib3: pip install 'glinermt[synth]'"
            ) from error
        self._failure = urllib3.exceptions.HTTPError
        self._model = model
        self._options = options
        self._url = f"{options.base_url.rstrip('/')}/chat/completions"
        self.dialect = options.dialect
        self.at_once = options.concurrency
        """Requests under way at the same time."""
        self._pace = Pace(options.requests_per_minute)
        key = os.environ.get(options.api_key_env, "")
        self._pool = _pool(
            urllib3,
            self._url,
            maxsize=options.concurrency,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=urllib3.Timeout(connect=10.0, read=options.timeout),
            retries=False,
        )

    def reply(self, request: Request) -> Reply:
        """Ask once, and again where the server or the network fails.

        Raises:
            BackendError: the server refuses the key or the model.
        """
        return self.ask(request, self.dialect, self._options.tries)

    def ask(self, request: Request, dialect: str, tries: int) -> Reply:
        """Ask with the schema given in one way, at most so many times.

        Raises:
            BackendError: the server refuses the key or the model.
        """
        failure, pause = "", self._options.pause
        for number in range(tries):
            if number:
                time.sleep(min(pause, LONGEST_WAIT))
                pause *= 2
            self._pace.wait()
            try:
                response = self._pool.request("POST", self._url, json=self._body(request, dialect))
            except self._failure as error:
                failure = f"{type(error).__name__}: {error}"
                continue
            text = response.data.decode("utf-8", "replace")
            if response.status in REFUSED:
                raise BackendError(
                    f"{self._url} refuses model {self._model!r} with HTTP "
                    f"{response.status}: {text:.300}"
                )
            if response.status in TRANSIENT:
                failure = f"HTTP {response.status}"
                pause = max(pause, _retry_after(response.headers))
                continue
            if response.status != 200:
                return Reply(text[:500], error=f"HTTP {response.status}")
            return _read(response)
        return Reply("", error=failure, transient=True)

    def _body(self, request: Request, dialect: str) -> dict[str, Any]:
        return {
            "model": self._model,
            "messages": request.messages,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "max_tokens": request.max_tokens,
            **({"seed": request.seed} if self._options.seeds else {}),
            **DIALECTS[dialect](request),
        }


def _pool(urllib3: Any, url: str, **how: Any) -> Any:
    """Return connections to the server, through the proxy that the environment names."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return urllib3.PoolManager(**how)
    auth = urllib3.util.parse_url(proxy).auth
    headers = urllib3.util.make_headers(proxy_basic_auth=auth) if auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **how)


class Pace:
    """Lets so many requests a minute begin, evenly."""

    def __init__(self, per_minute: int) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        if not self._gap:
            return
        with self._lock:
            now = time.monotonic()
            begin = max(now, self._next)
            self._next = begin + self._gap
        time.sleep(begin - now)


def _read(response: Any) -> Reply:
    try:
        answer = response.json()
        text = answer["choices"][0]["message"]["content"] or ""
        usage = answer.get("usage") or {}
        return Reply(
            str(text), int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0))
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return Reply("", error="the server's answer is no chat completion", transient=True)


def _retry_after(headers: Mapping[str, str]) -> float:
    with contextlib.suppress(ValueError):
        return float(headers.get("retry-after", 0))
    return 0.0
