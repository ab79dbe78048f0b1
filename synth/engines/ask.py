"""Rows -> records of what the LLM replied; useless replies are asked for again, hotter."""

import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from glinermt.errors import BackendError
from glinermt.synth.backends.base import LLM, Reply, Request
from glinermt.synth.plan import Row, prompt, system
from glinermt.synth.recipes import RECIPES
from glinermt.synth.schema import ReplyError, parse
from glinermt.synth.settings import Sampling, Settings

HOTTER = 0.2
"""What each further attempt adds to the temperature."""
KEPT_REPLY = 20_000
"""Characters of a useless reply that are kept."""

FEW = 5
"""Rows without any answer, with none answered among them, that a silent LLM is told by; fewer may
be at fault themselves."""

Ask = Callable[[Sequence[Row]], "Iterator[Record]"]
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
    rows: Sequence[Row],
    sampling: Sampling,
    *,
    retries: int,
    batch: int,
    patience: int | None = None,
) -> Iterator[Record]:
    """Ask for the rows, those of one template together; yield a record for each, as they come.

    Args:
        llm: whom to ask.
        rows: what to ask for.
        sampling: of the first attempt.
        retries: how often a useless reply is asked for again.
        batch: rows given to the LLM at once; what it does with them in parallel is its business.
        patience: rows in a row without any answer after which the LLM is given up; None = a batch.

    Raises:
        BackendError: the LLM answers nothing any more.
    """
    clock = time.perf_counter()
    patience = max(FEW, batch if patience is None else patience)
    for row, reply, spent in _final(llm, rows, sampling, retries, batch, patience):
        now = time.perf_counter()
        yield _record(row, reply, spent, now - clock)
        clock = now


@dataclass(slots=True)
class _Spent:
    tokens_in: int = 0
    tokens_out: int = 0
    attempts: int = 0


Final = tuple[Row, Reply, _Spent]
"""The last reply to a row, and what all its attempts took."""


def _final(
    llm: LLM,
    rows: Sequence[Row],
    sampling: Sampling,
    retries: int,
    batch: int,
    patience: int,
) -> Iterator[Final]:
    """Ask batch by batch; rows without an answer are held until it is known who is at fault."""
    ordered = sorted(rows, key=lambda row: row.template)
    silent: list[Final] = []
    for first in range(0, len(ordered), batch):
        for final in _attempts(llm, ordered[first : first + batch], sampling, retries):
            if not final[1].transient:
                yield from silent
                silent = []
                yield final
                continue
            silent.append(final)
            if len(silent) >= patience:
                raise _given_up(silent)
    if len(silent) >= FEW:
        raise _given_up(silent)
    yield from silent


def _given_up(silent: Sequence[Final]) -> BackendError:
    return BackendError(
        f"the LLM answered none of {len(silent)} rows ({silent[0][1].error}); see to it and run "
        "again: what was answered before is kept"
    )


def _attempts(llm: LLM, rows: Sequence[Row], sampling: Sampling, retries: int) -> Iterator[Final]:
    spent = {row.id: _Spent() for row in rows}
    waiting = list(rows)
    for attempt in range(retries + 1):
        again = []
        for i, reply in llm.generate([request(row, sampling, attempt) for row in waiting]):
            row = waiting[i]
            count = spent[row.id]
            count.tokens_in += reply.tokens_in
            count.tokens_out += reply.tokens_out
            count.attempts += 1
            if attempt < retries and fault(row, reply):
                again.append(row)
            else:
                yield row, reply, count
        waiting = sorted(again, key=lambda row: row.template)
        if not waiting:
            break


def fault(row: Row, reply: Reply) -> str:
    """Say why a reply is of no use; empty where it can be used."""
    if reply.error:
        return f"llm: {reply.error}"
    try:
        parse(reply.text, RECIPES[row.recipe].schema, _ignore)
    except ReplyError as error:
        return str(error)
    return ""


def _ignore(_cause: str, _what: str) -> None:
    """Note nothing: what is dropped from a reply is counted when examples are made of it."""


def _record(row: Row, reply: Reply, spent: _Spent, seconds: float) -> Record:
    error = fault(row, reply)
    return Record(
        id=row.id,
        template=row.template,
        reply=reply.text[:KEPT_REPLY] if error else reply.text,
        error=error,
        tokens_in=spent.tokens_in,
        tokens_out=spent.tokens_out,
        attempts=spent.attempts,
        seconds=round(seconds, 4),
    )
