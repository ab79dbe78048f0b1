"""Judging a sample by eye: a page that shows spans in their texts, and what its reader said.

The page works without a server: keys mark the span shown as right or wrong, and a button saves
``review.json``, which goes into the run's folder; the report then has the precision of each label.
"""

import html
import json
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from glinermt.errors import DataError
from glinermt.jsonl import write_text

PAGE, RESULTS = "review.html", "review.json"
AROUND = 300
"""Characters of the text shown on each side of a span."""


def write_review(
    rows: Iterable[Mapping[str, Any]], number: int, folder: Path, *, seed: int
) -> Path:
    """Write the page with up to ``number`` spans, drawn evenly from all rows; return its path.

    Relations of pairs, and texts without a span, are not shown.
    """
    draw = random.Random(seed)
    sample: list[dict[str, Any]] = []
    seen = 0
    for row in rows:
        for i, span in enumerate(row["spans"]):
            seen += 1
            item = _item(row, i, span)
            if len(sample) < number:
                sample.append(item)
            elif (place := draw.randrange(seen)) < number:  # each span is as likely to be shown
                sample[place] = item
    if not sample:
        raise DataError(f"{folder}: there is no span to review")
    draw.shuffle(sample)
    write_text(folder / PAGE, _page(sample))
    return folder / PAGE


def read_review(folder: Path) -> dict[str, Any] | None:
    """Return the precision that a reader found, overall and by label; None without a review.

    Raises:
        DataError: the file is not one that the page saved.
    """
    file = folder / RESULTS
    if not file.is_file():
        return None
    try:
        verdicts = [(str(v["label"]), v["right"]) for v in json.loads(file.read_text("utf-8"))]
        if not all(isinstance(right, bool) for _, right in verdicts):
            raise ValueError("right should be true or false")
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file}:0: not saved by {PAGE} ({error!r}); review again") from error
    labels: dict[str, list[bool]] = {}
    for label, right in verdicts:
        labels.setdefault(label, []).append(right)
    ranked = sorted(labels.items(), key=lambda item: (-len(item[1]), item[0]))
    return {
        "all": _share([right for _, right in verdicts]),
        "labels": {label: _share(own) for label, own in ranked},
    }


def _share(verdicts: Sequence[bool]) -> dict[str, Any]:
    """Return how many are right, with the 95% interval of Wilson (1927)."""
    number, right, z = len(verdicts), sum(verdicts), 1.959964
    if not number:
        return {"spans": 0, "precision": 0.0, "low": 0.0, "high": 1.0}
    share = right / number
    middle = (share + z * z / (2 * number)) / (1 + z * z / number)
    reach = z / (1 + z * z / number)
    reach *= math.sqrt(share * (1 - share) / number + z * z / (4 * number * number))
    return {
        "spans": number,
        "precision": round(share, 4),
        "low": round(max(0.0, middle - reach), 4),
        "high": round(min(1.0, middle + reach), 4),
    }


def _item(row: Mapping[str, Any], number: int, span: Mapping[str, Any]) -> dict[str, Any]:
    text, start, end = row["text"], span["start"], span["end"]
    return {
        "id": f"{row['id']}:{number}",
        "recipe": row["recipe"],
        "label": span["label"],
        "asked": row["prompt"],
        "before": text[max(0, start - AROUND) : start],
        "text": text[start:end],
        "after": text[end : end + AROUND],
    }


def _page(sample: Sequence[Mapping[str, Any]]) -> str:
    """Return the page; texts stand in it as data, and are shown as text and never as HTML."""
    data = json.dumps(list(sample), ensure_ascii=True).replace("<", "\\u003c")
    return _HTML.replace("@TITLE@", html.escape(f"{len(sample)} spans to review")).replace(
        "@DATA@", data
    )


_HTML = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>@TITLE@</title>
<style>
body { font: 17px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem;
       color: #1a202c; background: #fff; }
mark { background: #fde68a; padding: 0 .15em; border-radius: .2em; font-weight: 600; }
#label { font-weight: 600; } #asked { color: #4a5568; }
#text { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 4px solid #cbd5e0;
        padding-left: 1rem; min-height: 12rem; }
button { font: inherit; padding: .3em 1em; margin-right: .5em; }
[aria-pressed=true] { background: #2b6cb0; color: #fff; }
kbd { border: 1px solid #a0aec0; border-radius: .2em; padding: 0 .3em; }
@media (prefers-color-scheme: dark) { body { background: #1a202c; color: #edf2f7; }
  mark { background: #b7791f; color: #fff; } #asked { color: #a0aec0; } }
</style>
<main>
<p><span id="place"></span>: is the marked piece, with exactly these borders, a
<span id="label"></span>? <span id="asked"></span></p>
<p id="text"></p>
<p><button id="right">right <kbd>j</kbd></button><button id="wrong">wrong <kbd>f</kbd></button>
<button id="back">back <kbd>&larr;</kbd></button><button id="next">next <kbd>&rarr;</kbd></button>
<button id="save">save review.json <kbd>s</kbd></button></p>
<p id="done" role="status"></p>
</main>
<script type="application/json" id="data">@DATA@</script>
<script>
const items = JSON.parse(document.getElementById("data").textContent);
const key = "glinermt-review-" + items.map(i => i.id).join().slice(0, 500);
const $ = id => document.getElementById(id);
let verdicts = {};
try { verdicts = JSON.parse(localStorage.getItem(key)) || {}; } catch { verdicts = {}; }
let at = Math.max(0, items.findIndex(i => !(i.id in verdicts)));
function show() {
  const item = items[at];
  $("place").textContent = (at + 1) + " of " + items.length;
  $("label").textContent = item.label;
  $("asked").textContent = item.asked ? "Asked: " + item.asked : "";
  const mark = document.createElement("mark");
  mark.textContent = item.text;
  $("text").replaceChildren(item.before, mark, item.after);
  $("right").setAttribute("aria-pressed", verdicts[item.id] === true);
  $("wrong").setAttribute("aria-pressed", verdicts[item.id] === false);
  const said = Object.values(verdicts), right = said.filter(Boolean).length;
  $("done").textContent = said.length + " judged, " + right + " right";
}
function go(step) { at = Math.min(items.length - 1, Math.max(0, at + step)); show(); }
function judge(right) {
  verdicts[items[at].id] = right;
  try { localStorage.setItem(key, JSON.stringify(verdicts)); } catch { /* kept in the page only */ }
  go(1);
}
function save() {
  const said = items.filter(i => i.id in verdicts)
    .map(i => ({ id: i.id, recipe: i.recipe, label: i.label, right: verdicts[i.id] }));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(said, null, 1)]));
  link.download = "review.json";
  link.click();
}
const keys = { j: () => judge(true), f: () => judge(false), s: save,
  ArrowLeft: () => go(-1), ArrowRight: () => go(1) };
document.addEventListener("keydown", e => {
  if (!e.ctrlKey && !e.metaKey && !e.altKey && keys[e.key]) { e.preventDefault(); keys[e.key](); }
});
$("right").onclick = () => judge(true);
$("wrong").onclick = () => judge(false);
$("back").onclick = () => go(-1);
$("next").onclick = () => go(1);
$("save").onclick = save;
show();
</script>
"""
