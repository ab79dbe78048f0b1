"""Rows -> records of what the LLM replied; useless replies are asked for again, hotter."""

import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from glinermt.errors import BackendError
from glinermt.synth.backends.base import LLM, Batched, Concurrent, Reply, Request
from glinermt.synth.engines.side_by_side import side_by_side
from glinermt.synth.plan import Row, prompt, system
from glinermt.synth.recipes import RECIPES
from glinermt.synth.schema import ReplyError, parse
from glinermt.synth.settings import Sampling, Settings

HOTTER = 0.2
"""What each further attempt adds to the temperature."""
KEPT_REPLY = 20_000
"""Characters of a useless reply that are kept."""

CUT = "reply: cut at max_tokens"
"""Cause of failure of a reply that was not at its end when it had as many tokens as it might."""
CUT_SHORT = "reply: cut before max_tokens, at the end of what the LLM can hold"
"""The same where prompt and reply together had as many tokens as the model takes."""
FEW = 5
"""Rows without any answer, with none answered among them, that a silent LLM is told by; fewer may
be at fault themselves."""

Ask = Callable[[Iterable[Row]], "Iterator[Record]"]
"""How rows are asked, by whichever engine."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of which LLM, and how wide."""

    settings: Settings
    llm_options: Mapping[str, Any]
    batch: int
    workers: int = 1
    gpus_per_worker: float = 0.0


@dataclass(frozen=True, slots=True)
class Record:
    """The last reply to a row, and what all its attempts took."""

    id: str
    template: str
    reply: str
    error: str = ""
    """Cause of failure; empty where the reply can be used."""
    tokens_in: int = 0
    tokens_out: int = 0
    attempts: int = 1
    seconds: float = 0.0
    """Time that passed since the record before."""

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def request(row: Row, sampling: Sampling, attempt: int = 0) -> Request:
    """Word the request for a row; the seed depends on the row and the attempt only."""
    return Request(
        id=row.id,
        recipe=row.recipe,
        system=system(row),
        user=prompt(row),
        schema=RECIPES[row.recipe].schema,
        temperature=round(sampling.temperature + HOTTER * attempt, 3),
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        seed=zlib.crc32(f"{row.id} {attempt}".encode()),
        attempt=attempt,
    )


def ask(
    llm: LLM,
    rows: Iterable[Row],
    sampling: Sampling,
    *,
    retries: int,
    batch: int,
) -> Iterator[Record]:
    """Ask for the rows; yield a record for each, as they come.

    An LLM that many requests may be under way to always has as many as it takes: the next rows are
    asked for while the replies of earlier ones are dealt with. Others get batch by batch.

    Args:
        llm: whom to ask.
        rows: what to ask for, read as it is needed; those of one template should stand together.
        sampling: of the first attempt.
        retries: how often a useless reply is asked for again.
        batch: rows given to the LLM at once, and rows in a row without any answer after which it
            is given up.

    Raises:
        BackendError: the LLM answers nothing any more.
        KeyboardInterrupt: the user wants to stop; what was under way was waited for before.
    """
    clock = time.perf_counter()
    if isinstance(llm, Concurrent):
        attempts = partial(_attempts, llm, sampling=sampling, retries=retries)
        finals = side_by_side(llm, attempts, rows)
    else:
        finals = _batches(llm, rows, sampling, retries, batch)
    for row, reply, spent in _answered(finals, max(FEW, batch)):
        now = time.perf_counter()
        yield _record(row, reply, spent, now - clock)
        clock = now


@dataclass(slots=True)
class _Spent:
    tokens_in: int = 0
    tokens_out: int = 0
    attempts: int = 0
    error: str = ""
    """What is wrong with the last reply; see ``fault``."""

    def add(self, row: Row, reply: Reply, sampling: Sampling) -> None:
        self.error = fault(row, reply, sampling.max_tokens)
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out
        self.attempts += 1


Final = tuple[Row, Reply, _Spent]
"""The last reply to a row, and what all its attempts took."""


def _answered(finals: Iterator[Final], patience: int) -> Iterator[Final]:
    """Hold rows without an answer until it is known who is at fault, they or the LLM."""
    silent: list[Final] = []
    for final in finals:
        if not final[1].transient:
            yield from silent
            silent = []
            yield final
            continue
        silent.append(final)
        if len(silent) >= patience:
            raise given_up(len(silent), silent[0][1])
    if len(silent) >= FEW:
        raise given_up(len(silent), silent[0][1])
    yield from silent


def given_up(number: int, reply: Reply) -> BackendError:
    """Return what to raise where the LLM answered none of so many requests."""
    return BackendError(
        f"the LLM answered none of {number} rows ({reply.why}); see to it and run again: what was "
        "answered before is kept"
    )


def _batches(
    llm: Batched, rows: Iterable[Row], sampling: Sampling, retries: int, batch: int
) -> Iterator[Final]:
    given = iter(rows)
    while waiting := list(islice(given, batch)):
        spent = {row.id: _Spent() for row in waiting}
        for attempt in range(retries + 1):
            again = []
            for i, reply in llm.generate([request(row, sampling, attempt) for row in waiting]):
                row = waiting[i]
                spent[row.id].add(row, reply, sampling)
                if attempt < retries and spent[row.id].error:
                    again.append(row)
                else:
                    yield row, reply, spent[row.id]
            waiting = sorted(again, key=lambda row: row.template)
            if not waiting:
                break


async def _attempts(llm: Concurrent, row: Row, *, sampling: Sampling, retries: int) -> Final:
    spent = _Spent()
    for attempt in range(retries + 1):
        reply = await llm.reply(request(row, sampling, attempt))
        spent.add(row, reply, sampling)
        if not spent.error:
            break
    return row, reply, spent


def fault(row: Row, reply: Reply, max_tokens: int) -> str:
    """Say why a reply is of no use; empty where it can be used."""
    if reply.error:
        return f"llm: {reply.error}"
    try:
        parse(reply.text, RECIPES[row.recipe].schema, _ignore)
    except ReplyError as error:
        if not reply.is_cut(max_tokens):
            return str(error)
        return CUT_SHORT if 0 < reply.tokens_out < max_tokens else CUT
    return ""


def _ignore(_cause: str, _what: str) -> None:
    """Note nothing: what is dropped from a reply is counted when examples are made of it."""


def _record(row: Row, reply: Reply, spent: _Spent, seconds: float) -> Record:
    return Record(
        id=row.id,
        template=row.template,
        reply=reply.text[:KEPT_REPLY] if spent.error else reply.text,
        error=spent.error,
        tokens_in=spent.tokens_in,
        tokens_out=spent.tokens_out,
        attempts=spent.attempts,
        seconds=round(seconds, 4),
    )
