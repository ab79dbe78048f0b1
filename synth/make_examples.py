"""A record -> the examples it gives. Pure: shards can be made again from what was replied."""

from typing import Any

from glinermt.synth.checks.contamination import Benchmarks
from glinermt.synth.checks.ledger import Ledger
from glinermt.synth.engines.ask import Record
from glinermt.synth.parse import ReplyError, parse
from glinermt.synth.plan import Row
from glinermt.synth.recipes import RECIPES
from glinermt.synth.source import Source
from glinermt.types import Example


def derive(
    row: Row, record: Record, benchmarks: Benchmarks, ledger: Ledger
) -> list[dict[str, Any]]:
    """Give the row's examples as the training reads them, with ``id`` and ``task`` added."""
    recipe = RECIPES[row.task]
    if record.error:
        return []
    try:
        reply = parse(record.reply, recipe.schema, ledger.drop)
    except ReplyError as error:
        ledger.drop(str(error), record.reply[:100])
        return []
    found: list[dict[str, Any]] = []
    for example in recipe.build(Source(row.text), reply, ledger):
        if benchmarks.hold(example.query.prompt):
            ledger.drop("prompt: in a benchmark", example.query.prompt)
            continue
        line = example.to_dict()
        if Example.from_dict(line) != example:
            ledger.drop("example: does not read back", example.query.prompt)
            continue
        found.append({**line, "id": f"{row.id}-{len(found)}", "task": row.task})
    return found
