"""A second look at what was generated: an LLM judges every span, and what it doubts is left out.

    folder of generate -> verdicts of n samples -> another folder with what is left

A span stays where at least a share of the samples calls it right. Where one goes, nothing is taught
about its place, nor about a label that has no span left: it may well be there. What the judge says
was missed is taught nothing about either.
"""

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glinermt.errors import ConfigError, DataError
from glinermt.jsonl import cut_unfinished, data_files, read_jsonl, to_line, write_text
from glinermt.outputs import locked
from glinermt.synth.backends.base import LLM, Concurrent, Reply, Request
from glinermt.synth.checks.align import Source, occurrences
from glinermt.synth.engines.ask import FEW, given_up
from glinermt.synth.engines.side_by_side import side_by_side
from glinermt.synth.recipes.base import MENTION
from glinermt.synth.schema import ReplyError, Schema, one_of, parse, record, several, text
from glinermt.synth.store import MANIFEST, Store

RIGHT = "right"
VERDICTS = (RIGHT, "wrong type", "wrong border", "not asked for")
LONGEST = 200
"""Characters of what is read as a verdict, ours or not."""
MOST_SPANS = 30
"""Spans of an example that are judged; further ones stay as they are."""
AROUND = 40
"""Characters of the text shown on each side of a span."""
REPLIES, REPORT = "work/judgements.jsonl", "verification.json"
SYSTEM = (
    "You check annotations of texts. You reply with one JSON object and nothing else. You are "
    "strict: what you would not sign is not right."
)
PROMPT = """\
Below are a text and pieces of it that somebody marked. For each piece say in "judgements", under
its number, whether it is "right", has the "wrong type", the "wrong border" (words too many or too
few), or is "not asked for" in the text at all. In "missed" copy pieces of the text that should
have been marked in the same way and were not; leave it empty where there are none.

{asked}Marked:
{items}

Text:
{text}"""


@dataclass(frozen=True, slots=True)
class Checking:
    """How examples are judged."""

    samples: int = 1
    """Judgements of each example, each with another seed."""
    least_share: float = 0.5
    """Least share of the samples that must call a span right."""
    temperature: float = 0.0
    """Of the judge; more samples than one need some."""
    max_tokens: int = 1024
    batch: int = 100
    """Requests given to the LLM at once."""
    judge: str = ""
    """Name of the LLM; what another one replied is not taken for its judgement."""

    def __post_init__(self) -> None:
        if self.samples < 1 or self.batch < 1:
            raise ConfigError(f"samples and batch must be at least 1, got {self}")
        if not 0 < self.least_share <= 1:
            raise ConfigError(f"the share must be above 0 and at most 1, got {self.least_share}")
        if not 0 <= self.temperature <= 2:
            raise ConfigError(f"temperature must be from 0 to 2, got {self.temperature}")
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError("several samples at temperature 0 say the same; give a temperature")


def verify(
    folder: Path,
    out: Path,
    llm: LLM | Callable[[], LLM],
    checking: Checking,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Judge a generated folder's examples, write what is left to another; return the report.

    Its ``right_share`` and ``agreement`` are None where no span was judged.

    Replies are kept as they come: called again it asks only what is missing, and again for a reply
    that was cut when it may be longer now. Replies to other spans, or of another judge, stay in
    the file and are not used. Where ``llm`` is a function that connects to one, it is called when
    something is missing, and may be called again.

    Raises:
        DataError: a file cannot be read, or ``out`` is the folder itself or has other data.
        BackendError: the LLM cannot be used.
    """
    if out.resolve() == folder.resolve():
        raise DataError(f"{out}: verified examples need a folder of their own")
    tally: Counter[str] = Counter()
    files = data_files(folder)
    with locked(out):
        _check(out, [file.name for file in files])
        (out / "work").mkdir(exist_ok=True)
        known = _known(out / REPLIES, checking.max_tokens)
        for file in files:
            rows = [row for _, row in read_jsonl(file)]
            if any("id" not in row for row in rows):
                raise DataError(f"{file}:0: rows without an id; give a folder that generate wrote")
            verdicts = _judged(rows, out / REPLIES, known, llm, checking, tally, progress)
            left = [kept for row in rows if (kept := _checked(row, verdicts, checking, tally))]
            Store(out, file.suffix.removeprefix(".")).write_examples(file.stem, left)
        report = _report(tally, checking)
        write_text(out / REPORT, json.dumps(report, indent=1) + "\n")
    return report


def _check(out: Path, names: Sequence[str]) -> None:
    """Refuse a folder whose data would be lost, or taken for verified."""
    if (out / MANIFEST).is_file():
        raise DataError(f"{out}: it holds what generate wrote; name a folder of its own with --out")
    if others := sorted(file.name for file in out.glob("part-*") if file.name not in names):
        raise DataError(
            f"{out}: it has {', '.join(others)}, which the folder to verify has not (any more); "
            "take them away, or name another folder with --out"
        )


Asked = tuple[str, Mapping[str, Any], int]
"""The key of what is asked, the example, and the number of the sample."""
Verdict = tuple[dict[int, str], list[str]]
"""Verdicts by the number of a span, and what was missed."""


def _judged(
    rows: Sequence[Mapping[str, Any]],
    file: Path,
    known: dict[str, Reply],
    llm: LLM | Callable[[], LLM],
    checking: Checking,
    tally: Counter[str],
    progress: Callable[[int], None],
) -> dict[str, list[Verdict]]:
    """Return the samples' verdicts of each example, those known before and those asked for now.

    The replies are added to those known, and to their file.
    """
    wanted = [
        (_key(row, sample, checking), row, sample)
        for row in rows
        if row["spans"]
        for sample in range(checking.samples)
    ]
    missing = [asked for asked in wanted if asked[0] not in known]
    with file.open("ab") as stream:
        silent = 0
        for asked, reply in _replies(missing, llm, checking):
            known[asked[0]] = reply
            progress(1)
            silent = silent + 1 if reply.transient else 0
            if silent >= max(FEW, checking.batch) or silent == len(missing):
                raise given_up(silent, reply)
            if not reply.transient:  # asked again by the next run
                stream.write(to_line(_line(asked, reply, checking.max_tokens)))
                stream.flush()
    verdicts: dict[str, list[Verdict]] = {}
    for key, row, _ in wanted:
        reply = known[key]
        tally.update(tokens_in=reply.tokens_in, tokens_out=reply.tokens_out, replies=1)
        verdict = _read(reply, len(row["spans"]))
        if verdict is None:
            cut = reply.is_cut(checking.max_tokens)
            tally["replies cut at max_tokens" if cut else "replies of no use"] += 1
        else:
            verdicts.setdefault(row["id"], []).append(verdict)
    return verdicts


def _replies(
    missing: Sequence[Asked], llm: LLM | Callable[[], LLM], checking: Checking
) -> Iterator[tuple[Asked, Reply]]:
    if not missing:
        return
    if callable(llm):
        llm = llm()
    if isinstance(llm, Concurrent):
        yield from side_by_side(llm, partial(_replied, llm, checking), missing)
        return
    for first in range(0, len(missing), checking.batch):
        batch = missing[first : first + checking.batch]
        for i, answer in llm.generate([_request(*asked[1:], checking) for asked in batch]):
            yield batch[i], answer


async def _replied(llm: Concurrent, checking: Checking, asked: Asked) -> tuple[Asked, Reply]:
    return asked, await llm.reply(_request(*asked[1:], checking))


def _key(row: Mapping[str, Any], sample: int, checking: Checking) -> str:
    """Return a name for the judge and what it is asked, apart from how long its reply may be."""
    asked = _request(row, sample, checking)
    what = [checking.judge, asked.system, asked.user, asked.temperature, asked.seed]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]


def _known(file: Path, max_tokens: int) -> dict[str, Reply]:
    """Read the replies by their keys, but for those that were cut and may be longer now.

    A last line that was cut by a kill is removed.
    """
    if not file.is_file():
        return {}
    cut_unfinished(file)
    known = {}
    for _, row in read_jsonl(file):
        if "key" not in row:  # of before: nobody knows which spans it judged
            continue
        allowed = row.get("max_tokens", max_tokens)
        reply = Reply(
            row["reply"],
            row["tokens_in"],
            row["tokens_out"],
            row["error"],
            cut=row.get("cut", False),
        )
        if reply.is_cut(allowed) and allowed < max_tokens:
            continue
        known[row["key"]] = reply
    return known


def _line(asked: Asked, reply: Reply, max_tokens: int) -> dict[str, Any]:
    key, row, sample = asked
    return {
        "id": row["id"],
        "sample": sample,
        "key": key,
        "reply": reply.text,
        "error": reply.error,
        "tokens_in": reply.tokens_in,
        "tokens_out": reply.tokens_out,
        "max_tokens": max_tokens,
        "cut": reply.cut,
    }


def _request(row: Mapping[str, Any], sample: int, checking: Checking) -> Request:
    source: str = row["text"]
    lines = []
    for i, span in enumerate(row["spans"][:MOST_SPANS], start=1):
        start, end = span["start"], span["end"]
        before, after = source[max(0, start - AROUND) : start], source[end : end + AROUND]
        around = " ".join(f"{before} [[{source[start:end]}]] {after}".split())
        lines.append(f"{i}. {span['label'].replace(' <> ', ' - ')}: ... {around} ...")
    asked = f"Asked for: {row['prompt']}\n" if row["prompt"] else ""
    user = PROMPT.replace("{asked}", asked).replace("{items}", "\n".join(lines))
    return Request(
        id=row["id"],
        recipe="verify",
        system=SYSTEM,
        user=user.replace("{text}", source),
        schema=_schema(len(row["spans"]), one_of(*VERDICTS)),
        temperature=checking.temperature,
        top_p=1.0,
        max_tokens=checking.max_tokens,
        seed=zlib.crc32(f"{row['id']} {sample}".encode()),
    )


def _schema(spans: int, verdict: Schema) -> Schema:
    """Return the schema of a judgement: a field for each span, so that none can be left out."""
    judged = {str(number): verdict for number in range(1, min(spans, MOST_SPANS) + 1)}
    return record(judgements=record(**judged), missed=several(MENTION, 8))


def _read(reply: Reply, spans: int) -> Verdict | None:
    if reply.error:
        return None
    # One verdict that is missing, or none of ours, costs its own span alone.
    readable = _schema(spans, text(LONGEST))
    readable["properties"]["judgements"]["required"] = []
    try:
        value = parse(reply.text, readable, lambda _cause, _what: None)
    except ReplyError:
        return None
    said = {
        int(number) - 1: verdict.casefold()
        for number, verdict in value["judgements"].items()
        if verdict.casefold() in VERDICTS
    }
    return said, value["missed"]


def _checked(
    row: dict[str, Any],
    verdicts: Mapping[str, list[Verdict]],
    checking: Checking,
    tally: Counter[str],
) -> dict[str, Any] | None:
    """Return the example with what is left of it; None where nothing is that was there."""
    if not row["spans"]:
        tally["examples without a span, as they were"] += 1
        return row
    own = verdicts.get(row["id"], [])
    kept, doubtful = [], []
    for i, span in enumerate(row["spans"]):
        said = [judged[i] for judged, _ in own if i in judged]
        tally["spans"] += 1
        tally["spans not judged"] += not said
        if not said:
            kept.append(span)
            continue
        share = said.count(RIGHT) / len(said)
        tally["spans judged alike"] += len(set(said)) == 1
        if share >= checking.least_share:
            kept.append(span)
        else:
            doubtful.append(span)
            cause = Counter(word for word in said if word != RIGHT).most_common(1)[0][0]
            tally[f"dropped: {cause}"] += 1
    if not kept:
        tally["examples dropped"] += 1
        return None
    tally["examples kept"] += 1
    lost = {span["label"] for span in doubtful} - {span["label"] for span in kept}
    places = [[span["start"], span["end"]] for span in doubtful]
    places += _missed(row, [piece for _, missed in own for piece in missed], tally)
    result = {
        **row,
        "labels": [label for label in row["labels"] if label not in lost],
        "spans": kept,
    }
    if places:
        result["silent"] = sorted([*row.get("silent", []), *places])
    return result


def _missed(
    row: Mapping[str, Any], pieces: Iterable[str], tally: Counter[str]
) -> Iterator[list[int]]:
    """Yield where the pieces stand that were missed, of those that stand in the text."""
    source = Source(row["text"])
    marked = [(span["start"], span["end"]) for span in row["spans"]]
    for piece in dict.fromkeys(piece.strip() for piece in pieces):
        for start, end in occurrences(source, piece) if piece else ():
            if not any(start < e and s < end for s, e in marked):
                tally["places missed"] += 1
                yield [start, end]


def _report(tally: Mapping[str, int], checking: Checking) -> dict[str, Any]:
    spans = tally.get("spans", 0)
    judged = spans - tally.get("spans not judged", 0)
    dropped = sum(number for name, number in tally.items() if name.startswith("dropped: "))
    return {
        "samples": checking.samples,
        "least_share": checking.least_share,
        "right_share": round(1 - dropped / judged, 4) if judged else None,
        "agreement": round(tally.get("spans judged alike", 0) / judged, 4) if judged else None,
        "counts": dict(sorted(tally.items())),
    }
