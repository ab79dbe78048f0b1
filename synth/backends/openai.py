"""Any OpenAI-compatible server: vLLM's, llama.cpp's, Ollama, hosted ones.

Servers differ in how a schema is given, and some take a way they do not know for none at all. So
each way is tried once at the start with a schema that no model would follow by itself. They also
differ in what else they take: where one refuses ``max_tokens`` it is given as
``max_completion_tokens``, and ``temperature``, ``top_p`` and ``seed`` are left out if refused, as
models that reason before they reply want it.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from glinermt.config import check_least, from_mapping
from glinermt.errors import BackendError, ConfigError, needs, unknown_choice
from glinermt.synth.backends.base import Reply, Request, with_schema
from glinermt.synth.schema import record, several, text

REFUSED = (401, 403, 404)
"""Statuses that no other prompt would change."""
TRANSIENT = (408, 409, 425, 429, 500, 502, 503, 504, 529)
LONGEST_WAIT = 60.0
"""Seconds between two attempts, at most."""
NO_COMPLETION = "the server's answer is no chat completion"
CONNECT = 10.0
"""Seconds in which a server must take a connection."""


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

LENGTHS = ("max_tokens", "max_completion_tokens")
"""How servers call the most tokens of a reply; the second is that of models that reason first."""
OPTIONAL = ("temperature", "top_p", "seed")
"""What is left out of requests to a server that refuses it."""
REASONED = 4000
"""Most tokens of the first try where a model has used up those of a reply with reasoning."""

_PROBE = record(kiwi=text(8), zebras=several(text(8), 2))


async def probe(reply: Callable[[Request, str], Awaitable[Reply]]) -> str:
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
        answer = await reply(asked, name)
        if answer.cut and not answer.text and not answer.error:
            asked = replace(asked, max_tokens=REASONED)
            answer = await reply(asked, name)
        if name == "prompt" and not answer.error:
            return name
        if not answer.error and _follows(answer.text):
            return name
        errors.append(f"{name}: {answer.why or 'schema not followed'}")
    causes = {error.partition(": ")[2] for error in errors}
    why = causes.pop() if len(causes) == 1 else "; ".join(errors)
    raise BackendError(
        f"the server answers nothing: {why}; see that it runs, and at --llm-option base_url=URL"
    )


def _follows(reply: str) -> bool:
    """Whether the reply begins as only the schema makes it; small models may never end it."""
    return re.match(r'\s*\{\s*"kiwi"\s*:\s*"', reply) is not None


LEAST = {"concurrency": 1, "requests_per_minute": 0, "timeout": 0.001, "tries": 1, "pause": 0}
"""Least value of numbers, where any other makes no sense."""


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
    length: str = "probe"
    """How the most tokens of a reply are given: ``probe``, or a name in ``LENGTHS``."""

    def __post_init__(self) -> None:
        check_least(self, LEAST)
        if not self.base_url.startswith(("http://", "https://")):
            shown = re.sub("//[^/]*@", "//", self.base_url)  # without a password
            raise ConfigError(f"base_url must begin with http:// or https://, got {shown}")
        if self.dialect != "probe" and self.dialect not in DIALECTS:
            raise ConfigError(unknown_choice("dialect", self.dialect, (*DIALECTS, "probe")))
        if self.length != "probe" and self.length not in LENGTHS:
            raise ConfigError(unknown_choice("length", self.length, (*LENGTHS, "probe")))


def connect(model: str, options: Mapping[str, Any]) -> "Server":
    """Connect to the server and find out how it takes a schema.

    Raises:
        BackendError: there is no such server, or it refuses the model or the key.
    """
    given = from_mapping(Options, options, where="openai")
    server = Server(model, given)
    if given.dialect == "probe":
        server.dialect = _run(server.probe())
        if server.dialect == "prompt":
            logging.getLogger(__name__).warning(
                "the server follows no schema, so that prompts show it and more replies are of no "
                "use; if it knows one of %s, name it with --llm-option dialect=NAME",
                ", ".join(list(DIALECTS)[:-1]),
            )
    return server


def _run(probing: Coroutine[Any, Any, str]) -> str:
    """Wait for it, also where an event loop runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(probing)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, probing).result()


class Server:
    """A server's chat completions, asked in an event loop."""

    def __init__(self, model: str, options: Options) -> None:
        needs("aiohttp", extra="synth")
        self._model = model
        self._options = options
        self._key = os.environ.get(options.api_key_env, "").strip()
        url = f"{options.base_url.rstrip('/')}/chat/completions"
        self._shown = re.sub(r"//[^/]*@", "//", url)
        """The address without a password."""
        self._url = self._shown if self._key else url
        self._session: Any = None
        self._pace = Pace(options.requests_per_minute)
        self.dialect = options.dialect
        self._length = LENGTHS[0] if options.length == "probe" else options.length
        self._left_out: set[str] = set() if options.seeds else {"seed"}
        self.at_once = options.concurrency
        """Requests under way at the same time."""

    async def reply(self, request: Request) -> Reply:
        """Ask once, and again where the server or the network fails.

        Raises:
            BackendError: the server refuses the key or the model.
        """
        return await self.ask(request, self.dialect, self._options.tries)

    async def probe(self) -> str:
        """Return the first dialect that the server honours; see ``probe``."""
        try:
            return await probe(partial(self.ask, tries=1))
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, request: Request, dialect: str, tries: int) -> Reply:
        """Ask with the schema given in one way, at most so many times.

        Raises:
            BackendError: the server refuses the key or the model.
        """
        pause = self._options.pause
        for number in range(1, tries + 1):
            await self._pace.wait()
            reply, wanted = await self._understood(request, dialect)
            if not reply.transient or number == tries:
                break
            pause = max(pause, wanted)
            await asyncio.sleep(min(pause, LONGEST_WAIT))
            pause *= 2
        return reply

    async def _understood(self, request: Request, dialect: str) -> tuple[Reply, float]:
        """Ask; and again at once where the server refuses a part of the request, without it."""
        while True:
            body = self._body(request, dialect)
            answer = await self._once(body)
            if not answer[0].error or self._body(request, dialect) == body:
                return answer

    async def _once(self, body: Mapping[str, Any]) -> tuple[Reply, float]:
        """Return the reply, and the seconds that the server wants us to wait where it failed."""
        import aiohttp

        if self._session is None:
            self._session = _session(aiohttp, self._url, self._key, self._options)
        try:
            async with self._session.post(self._url, json=body, allow_redirects=False) as response:
                text = (await response.read()).decode("utf-8", "replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Reply("", error=f"{type(error).__name__}: {error}", transient=True), 0.0
        return self._read(response.status, text), _retry_after(response.headers)

    def _read(self, status: int, text: str) -> Reply:
        """Return the reply of an answer; some servers send an error with status 200."""
        answer = _object(text)
        words = text.replace(self._key, "***") if self._key else text
        said = f"HTTP {status}"
        if status == 200 and (error := _error(answer)) is not None:
            said = f"HTTP 200 with error {error}".rstrip()
            status = int(error) if re.fullmatch(r"[45]\d\d", error) else 400
        if status in REFUSED:
            raise BackendError(
                f"{self._shown} refuses model {self._model!r} with {said}: {words:.300}"
            )
        if status != 200:
            self._learn(answer, words)
            return Reply(words[:500], error=said, transient=status in TRANSIENT)
        return _completion(answer) or Reply(words[:500], error=NO_COMPLETION, transient=True)

    def _learn(self, answer: Mapping[str, Any], words: str) -> None:
        """Take down which part of the request the server refuses, if that is what it says."""
        error = answer.get("error")
        said = error if isinstance(error, dict) else {}
        part = said.get("param") if str(said.get("code")).startswith("unsupported_") else None
        if self._options.length == "probe" and (part == LENGTHS[0] or LENGTHS[1] in words):
            self._length = LENGTHS[1]
        elif part in OPTIONAL and part not in self._left_out:
            self._left_out.add(part)
            logging.getLogger(__name__).warning(
                "the server refuses %s, which is left out: %.300s", part, words
            )

    def _body(self, request: Request, dialect: str) -> dict[str, Any]:
        optional = {name: getattr(request, name) for name in OPTIONAL}
        return {
            "model": self._model,
            "messages": request.messages,
            self._length: request.max_tokens,
            **{name: value for name, value in optional.items() if name not in self._left_out},
            **DIALECTS[dialect](request),
        }


def _session(aiohttp: Any, url: str, key: str, options: Options) -> Any:
    """Return connections to the server, through the proxy that the environment names."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and proxy_bypass(parts.hostname or ""):
        proxy = None
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=options.concurrency),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Authorization": f"Bearer {key}"} if key else None,
        proxy=proxy,
        timeout=aiohttp.ClientTimeout(sock_connect=CONNECT, sock_read=options.timeout),
    )


class Pace:
    """Lets so many requests a minute begin, evenly."""

    def __init__(self, per_minute: int) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0

    async def wait(self) -> None:
        if not self._gap:
            return
        now = time.monotonic()
        begin = max(now, self._next)
        self._next = begin + self._gap
        await asyncio.sleep(begin - now)


def _object(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is; an empty one where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _error(answer: Mapping[str, Any]) -> str | None:
    """Return the code of the error that is in an answer, None where there is no error."""
    error = answer.get("error") or _choice(answer).get("error")
    if not error:
        return None
    return str(error.get("code") or "") if isinstance(error, dict) else ""


def _choice(answer: Mapping[str, Any]) -> dict[str, Any]:
    match answer.get("choices"):
        case [dict() as choice, *_]:
            return choice
    return {}


def _completion(answer: Mapping[str, Any]) -> Reply | None:
    """Return the first choice as a reply; None where the answer is no chat completion."""
    choice, usage = _choice(answer), answer.get("usage") or {}
    try:
        return Reply(
            str(choice["message"]["content"] or ""),
            int(usage.get("prompt_tokens") or 0),
            int(usage.get("completion_tokens") or 0),
            cut=choice.get("finish_reason") == "length",
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float:
    with contextlib.suppress(ValueError):
        return float(headers.get("retry-after", 0))
    return 0.0
